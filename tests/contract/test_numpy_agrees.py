"""The numpy engine's process and the oracle, over the rings that frames really go through: hypothesis and scapy.

far end 0  ==ring==  vNIC 0  [ process ]  vNIC 1  ==ring==  far end 1
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether
from scapy.utils import checksum as scapy_checksum

from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.model.nf import ADDRESSES, Drop, Firewall, Function, L2Fwd, L3Fwd, Signature
from pytest_nfv.model.nf_oracle import Sent, process, signature
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.forwarding import ForwardingPort, forwarding
from pytest_nfv.rings.table import open_ports
from pytest_nfv.vnfs.numpy_engine import NumpyEngine
from tests.contract.test_ports import own_namespace
from tests.unit.nf_frames import FRAMES, route_tables, rule_sets, scapy_frames

MTU = 1500
LONGEST = MTU + 14
DEADLINE_S = 10.0
TAGS = (b"\x81\x00", b"\x88\xa8")
SERVING = ("memif server", "vhost_user_backend")
FAR = {"vhost_user": "vhost_user_backend", "vhost_user_backend": "vhost_user"}
KINDS = ("memif", "memif server", "vhost_user", "vhost_user_backend", "af_packet", "af_xdp")
Specs = list[PortSpec]


def veths() -> None:
    from pyroute2 import IPRoute  # type: ignore[import-untyped]  # pyroute2 ships no types

    with IPRoute() as routes:
        for number in range(2):
            routes.link("add", ifname=f"n{number}", kind="veth", peer={"ifname": f"f{number}"}, mtu=MTU)
            for name in ("n", "f"):
                routes.link("set", index=routes.link_lookup(ifname=f"{name}{number}")[0], state="up")


def specs(kind: str, folder: Path) -> tuple[Specs, Specs]:
    """Return the engine's ports, and the far ends."""
    near: Specs = []
    far: Specs = []
    for number, address in enumerate(ADDRESSES):
        if kind.startswith("af_"):
            near.append(PortSpec(kind, address, MTU, {"interface": f"n{number}"}))
            far.append(PortSpec(kind, f"02:6e:66:00:01:0{number}", MTU, {"interface": f"f{number}"}))
            continue
        here, there = ("server", "client") if kind in SERVING else ("client", "server")
        ring = {"socket": str(folder / f"nic{number}"), "rx_slots": "256", "tx_slots": "256"}
        name = kind.split()[0]
        near.append(PortSpec(name, address, MTU, {**ring, "role": here}))
        far.append(PortSpec(FAR.get(name, name), address, MTU, {**ring, "role": there}))
    return near, far


class Bench:
    """The engine, and the far ends of its vNICs."""

    def __init__(self, engine: NumpyEngine, kind: str, folder: Path) -> None:
        near, far = specs(kind, folder)
        self.kind, self.engine = kind, engine
        with ThreadPoolExecutor(1) as pool:  # each end waits for the other
            opening = pool.submit(open_ports, far)
            engine.open(near)
        self.ends: tuple[ForwardingPort, ...] = forwarding(opening.result(), [one.kind for one in far])
        for port in self.ends:
            port.expect(LONGEST)
            port.arrange(LONGEST)

    def carries(self, frame: bytes) -> bool:
        """Whether the kernel's interfaces take such a frame as it is: others have no header, or lose their tag."""
        return not self.kind.startswith("af_") or (len(frame) >= 14 and frame[12:14] not in TAGS)

    def put(self, number: int, frames: list[bytes]) -> None:
        rows = np.zeros((len(frames), max(64, *map(len, frames))), np.uint8)
        for row, frame in zip(rows, frames, strict=True):
            row[: len(frame)] = np.frombuffer(frame, np.uint8)
        octets = np.array([len(frame) for frame in frames], np.int64)
        assert self.ends[number].forward(rows, octets) == len(frames)

    def take(self, number: int, count: int) -> list[bytes]:
        frames: list[bytes] = []
        deadline = time.monotonic() + DEADLINE_S
        while len(frames) < count and time.monotonic() < deadline:
            arrived = self.ends[number].receive(64)
            if arrived is not None:
                rows = zip(arrived.frames, arrived.octets.tolist(), strict=True)
                frames += [row[:octets].tobytes() for row, octets in rows]
                self.ends[number].release()
        return frames

    def processed(self, count: int) -> None:
        """Wait until all frames are counted: those that are dropped are seen nowhere else."""
        deadline = time.monotonic() + DEADLINE_S
        while sum(nic.received for nic in self.engine.counters().nics) < count:
            assert time.monotonic() < deadline


@pytest.fixture(scope="module", params=KINDS)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    engine = NumpyEngine(LocalHost(), min(os.sched_getaffinity(0)))
    with ExitStack() as stack:
        stack.callback(engine.close)
        if request.param.startswith("af_"):
            stack.enter_context(own_namespace())
            veths()
        made = Bench(engine, request.param, tmp_path_factory.mktemp("nics"))
        for port in made.ends:
            stack.callback(port.close)
        yield made


EXAMPLES = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
BATCHES = st.lists(st.one_of(FRAMES, scapy_frames()), min_size=1, max_size=12)
FUNCTIONS: list[Callable[[], st.SearchStrategy[Function]]] = [
    lambda: st.just(L2Fwd()),
    lambda: st.builds(L3Fwd, route_tables()),
    lambda: st.builds(Firewall, rule_sets()),
    lambda: st.just(Signature()),
]


@EXAMPLES
@given(st.data(), st.integers(0, 1), BATCHES)
@pytest.mark.parametrize("function_of", FUNCTIONS, ids=["l2fwd", "l3fwd", "firewall", "signature"])
def test_what_comes_out_is_what_the_oracle_says(
    bench: Bench,
    function_of: Callable[[], st.SearchStrategy[Function]],
    data: st.DataObject,
    nic: int,
    frames: list[bytes],
) -> None:
    function = data.draw(function_of())
    frames = [frame for frame in frames if bench.carries(frame)]
    if not frames:
        return
    verdicts = [process(function, nic, frame) for frame in frames]
    bench.engine.run(function)
    bench.put(nic, frames)
    bench.processed(len(frames))
    counters = bench.engine.stop()
    for out in range(2):
        expected = [one.frame for one in verdicts if isinstance(one, Sent) and one.nic == out]
        assert bench.take(out, len(expected)) == expected
        assert counters.nics[out].sent == len(expected)
    dropped = [one for one in verdicts if isinstance(one, Drop)]
    counted = {reason: count for reason, count in counters.nics[nic].dropped.items() if count}
    assert counted == {reason: dropped.count(reason) for reason in dropped}
    assert counters.nics[nic].received == len(frames)
    if isinstance(function, Signature):
        signed = [signature(frame) for frame in frames if len(frame) >= 14]
        assert counters.function == {"signed": len(signed), "signature_sum": sum(signed)}


def test_what_is_routed_is_sound_to_scapy(bench: Bench) -> None:
    bench.engine.run(L3Fwd(10))
    sent = [
        bytes(Ether(dst=ADDRESSES[0]) / IP(src="198.18.0.1", dst=f"198.19.0.{last}", ttl=64, id=last) / bytes(26))
        for last in range(1, 201)
    ]
    bench.put(0, sent[:100])
    bench.put(0, sent[100:])
    came = bench.take(1, len(sent))
    bench.engine.stop()
    assert [Ether(one)[IP].dst for one in came] == [Ether(one)[IP].dst for one in sent]
    assert {(Ether(one)[IP].ttl, scapy_checksum(one[14:34])) for one in came} == {(63, 0)}
