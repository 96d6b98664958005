"""The numpy engine as a process, between two memif ports of this test, and what it says of what is wrong."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pytest_nfv.errors import ConfigurationError, DeploymentError
from pytest_nfv.generators.templates import ethernet_udp
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.model.nf import Drop, Firewall, L2Fwd, L3Fwd, Own, Signature
from pytest_nfv.model.nf_oracle import Sent, process, signature
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.forwarding import ForwardingPort, forwarding
from pytest_nfv.rings.table import open_ports
from pytest_nfv.vnfs.numpy_engine import Counters, NumpyEngine

MTU = 1500
DEADLINE_S = 10.0
ADDRESSES = ("02:00:00:00:00:0a", "02:00:00:00:00:0b")
FRAME = ethernet_udp(64, src="02:00:00:00:00:01", dst=ADDRESSES[0])


def nic(folder: Path, number: int, role: str) -> PortSpec:
    parameters = {"socket": str(folder / f"nic{number}"), "role": role, "rx_slots": "256", "tx_slots": "256"}
    return PortSpec("memif", ADDRESSES[number], MTU, parameters)


@pytest.fixture
def engine() -> Iterator[NumpyEngine]:
    engine = NumpyEngine(LocalHost(), min(os.sched_getaffinity(0)))
    yield engine
    engine.close()
    engine.close()


class Wired:
    """The engine, and the far ends of its vNICs."""

    def __init__(self, engine: NumpyEngine, folder: Path) -> None:
        # Each end waits for the other as it is opened. The engine's comes from this thread: its process ends with
        # the thread that started it.
        specs = [nic(folder, number, "client") for number in range(2)]
        with ThreadPoolExecutor(1) as pool:
            opening = pool.submit(open_ports, specs)
            engine.open([nic(folder, number, "server") for number in range(2)])
        self.ends: tuple[ForwardingPort, ...] = forwarding(opening.result(), ["memif", "memif"])
        for port in self.ends:
            port.expect(MTU + 14)
            port.arrange(MTU + 14)

    def put(self, number: int, *frames: bytes) -> None:
        rows = np.zeros((len(frames), MTU), np.uint8)
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

    def close(self) -> None:
        for port in self.ends:
            port.close()


@pytest.fixture
def wired(engine: NumpyEngine, tmp_path: Path) -> Iterator[Wired]:
    wired = Wired(engine, tmp_path)
    yield wired
    wired.close()


def counters_when(engine: NumpyEngine, received: int) -> Counters:
    deadline = time.monotonic() + DEADLINE_S
    while (counters := engine.counters()).nics[0].received < received and time.monotonic() < deadline:
        time.sleep(0.01)
    return counters


def ask_until(engine: NumpyEngine, deadline: float) -> None:
    while time.monotonic() < deadline:
        engine.counters()
        time.sleep(0.01)


def test_a_router_runs_and_counts(engine: NumpyEngine, wired: Wired) -> None:
    function = L3Fwd(10, addresses=ADDRESSES)
    engine.run(function)
    wired.put(0, FRAME, FRAME[:22] + b"\x01" + FRAME[23:])  # the second one's checksum is wrong now
    routed = process(function, 0, FRAME)
    assert isinstance(routed, Sent)
    assert wired.take(routed.nic, 1) == [routed.frame]
    counters = counters_when(engine, 2)
    assert counters.nics[0].received == 2
    assert counters.nics[1].sent == 1
    assert {reason: count for reason, count in counters.nics[0].dropped.items() if count} == {Drop.MALFORMED: 1}
    assert counters.busy <= counters.rounds
    assert engine.stop().nics == counters.nics


def test_one_process_runs_one_function_after_the_other(engine: NumpyEngine, wired: Wired) -> None:
    for function in (L2Fwd(), Firewall(), Signature()):
        engine.run(function, batch=32, share=True)
        wired.put(1, FRAME)
        assert wired.take(0, 1) == [FRAME]
        counters = engine.stop()
        assert (counters.nics[1].received, counters.nics[0].sent) == (1, 1)
    assert counters.function == {"signed": 1, "signature_sum": signature(FRAME)}


def test_its_addresses_are_learned(engine: NumpyEngine, wired: Wired) -> None:
    engine.learn()
    for number, address in enumerate(ADDRESSES):
        frames = wired.take(number, 3)
        assert {frame[6:12].hex(":") for frame in frames} == {address}


def test_a_users_function_is_found_in_its_folder(engine: NumpyEngine, wired: Wired, tmp_path: Path) -> None:
    code = "def mirror(batch):\n    batch.frames[:, :6] = 9\n    return batch.nic\n"
    (tmp_path / "nfv_test_mirror.py").write_text(code)
    engine.run(Own("nfv_test_mirror:mirror", str(tmp_path)))
    wired.put(0, FRAME)
    assert wired.take(0, 1) == [bytes([9] * 6) + FRAME[6:]]


def test_the_function_that_the_docs_show_runs(
    engine: NumpyEngine, wired: Wired, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "vnfs.md").read_text(encoding="utf-8")
    code = text.partition("```python\n# shop.py\n")[2].partition("```")[0]
    assert "def only_odd_ports" in code
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "shop.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    engine.run(Own("shop:only_odd_ports", folder="examples"))
    even = FRAME[:36] + b"\x00\x08" + FRAME[38:]
    wired.put(0, FRAME, even, FRAME)  # to port 7, 8 and 7
    marked = FRAME[:15] + bytes([46 << 2]) + FRAME[16:]
    assert wired.take(1, 2) == [marked, marked]
    assert engine.stop().nics[0].dropped[Drop.POLICY] == 1


def test_a_users_function_may_print_and_ends_nothing_but_its_run(
    engine: NumpyEngine, wired: Wired, tmp_path: Path
) -> None:
    code = "print('imported')\ndef talk(batch):\n    print('seen', len(batch.frames))\n    return 1 - batch.nic\n"
    code += "def leave(batch):\n    raise SystemExit(3)\ndef write(batch):\n    batch.octets[:] = 1\n"
    (tmp_path / "nfv_test_talk.py").write_text(code)
    engine.run(Own("nfv_test_talk:talk", str(tmp_path)))
    wired.put(0, FRAME)
    assert wired.take(1, 1) == [FRAME]
    assert engine.stop().nics[1].sent == 1
    for name, says in (("leave", r"SystemExit: 3 \(.*nfv_test_talk.py, line 6\)"), ("write", "read-only")):
        engine.run(Own(f"nfv_test_talk:{name}", str(tmp_path)))
        wired.put(0, FRAME)
        with pytest.raises(DeploymentError, match=says):
            counters_when(engine, 2)


def test_a_run_that_broke_says_why(engine: NumpyEngine, wired: Wired, tmp_path: Path) -> None:
    (tmp_path / "nfv_test_broken.py").write_text("def broken(batch):\n    return 1 // 0\n")
    engine.run(Own("nfv_test_broken:broken", str(tmp_path)))
    wired.put(0, FRAME)
    with pytest.raises(DeploymentError, match="nfv_test_broken:broken: ZeroDivisionError"):
        counters_when(engine, 1)
    engine.run(L2Fwd())  # and the process is as good as before
    wired.put(0, FRAME)
    assert wired.take(1, 1) == [FRAME]


def test_a_peer_that_went_away_is_named(engine: NumpyEngine, wired: Wired) -> None:
    engine.run(L2Fwd())
    wired.close()
    deadline = time.monotonic() + DEADLINE_S
    with pytest.raises(DeploymentError, match=r"memif.*nic"):
        ask_until(engine, deadline)


def test_wrong_requests_are_answered_and_a_run_goes_on(engine: NumpyEngine, wired: Wired) -> None:
    with pytest.raises(DeploymentError, match="nothing runs"):
        engine.counters()
    with pytest.raises(ConfigurationError, match="batch 0: accepted: 1 to 512"):
        engine.run(L2Fwd(), batch=0)
    with pytest.raises(ConfigurationError, match="no_such_module"):
        engine.run(Own("no_such_module:function"))
    engine.run(L2Fwd())
    with pytest.raises(DeploymentError, match="'learn' while a function runs: accepted: counters, stop, close"):
        engine.learn()
    wired.put(0, FRAME)
    assert wired.take(1, 1) == [FRAME]


def test_ports_that_cannot_be_opened_are_named(engine: NumpyEngine) -> None:
    with pytest.raises(ConfigurationError, match="1 ports: accepted: the 2"):
        engine.open([PortSpec("loopback", ADDRESSES[0])])
    with pytest.raises(ConfigurationError, match="carrier-pigeon"):
        engine.open([PortSpec("carrier-pigeon", address) for address in ADDRESSES])
    with pytest.raises(DeploymentError, match="no port is open"):
        engine.run(L2Fwd())


def test_it_ends_with_its_parent(engine: NumpyEngine, wired: Wired) -> None:
    engine.run(L2Fwd())
    process = engine._process
    assert process is not None
    process.stdin.close()
    deadline = time.monotonic() + DEADLINE_S
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() == 0


def test_a_process_that_died_is_told(engine: NumpyEngine, wired: Wired) -> None:
    engine.run(L2Fwd())
    os.kill(engine.pid(), signal.SIGKILL)
    with pytest.raises(DeploymentError, match=r"network function on local: .*exit status"):
        engine.counters()
