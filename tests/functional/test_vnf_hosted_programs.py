"""Programs of this machine as VNFs, enclosed or in a container: frames flow by interfaces and by sockets."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_nfv.errors import CapabilityMissing
from pytest_nfv.hosts import userns
from pytest_nfv.hosts.inside import machine_pid, processes_below
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.protocol import Host, Process
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.nf import ADDRESSES, Function, L2Fwd, L3Fwd
from pytest_nfv.model.nf_oracle import Sent, process
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.forwarding import ForwardingPort, forwarding
from pytest_nfv.rings.table import open_ports
from pytest_nfv.vnfs.lxc import LxcVnf
from pytest_nfv.vnfs.lxc_config import Mount
from pytest_nfv.vnfs.lxc_mounts import python_mounts
from pytest_nfv.vnfs.namespace import NamespaceVnf
from pytest_nfv.vnfs.numpy_engine import NumpyEngine
from pytest_nfv.vnfs.xdp import XdpEngine
from tests.functional.vnf_bench import MTU, NICS, Bench, agrees
from tests.functional.vnf_frames import others, packet, packets

CORE = min(os.sched_getaffinity(0))
DEADLINE_S = 20.0
MEMORY_MIB = 512
FEW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

pytestmark = [
    pytest.mark.skipif(not userns.privileged(), reason="mounts and control groups take root: run as root"),
    pytest.mark.usefixtures("nothing_left"),
]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    run_id = new_run_id()
    lab = Lab(LocalHost(run_id), run_id, False, tmp_path)
    try:
        the_bench = Bench(lab)
        try:
            yield the_bench
        finally:
            the_bench.close()
    finally:
        lab.close()


@pytest.fixture
def sockets(bench: Bench) -> Path:
    folder = bench.lab.directory / "sockets"
    folder.mkdir()
    return folder


@pytest.fixture(params=["namespace", "lxc"])
def host(
    request: pytest.FixtureRequest, bench: Bench, sockets: Path, lacks: Callable[[CapabilityMissing], None]
) -> Iterator[Host]:
    """Where the VNF runs, its memory limited; the directory of sockets is in there, and all that programs need."""
    made: NamespaceVnf | LxcVnf
    try:
        if request.param == "lxc":
            mounts = [*python_mounts(), Mount(sockets, writable=True)]
            made = LxcVnf(bench.lab, bench.vnf, cores=[CORE], memory_mib=MEMORY_MIB, mounts=mounts)
            made.start_container()
        else:
            made = NamespaceVnf(bench.lab, bench.vnf, cores=[CORE], memory_mib=MEMORY_MIB)
    except CapabilityMissing as missing:
        lacks(missing)
        raise
    yield made
    made.stop()


@pytest.fixture
def engine(host: Host) -> Iterator[NumpyEngine]:
    engine = NumpyEngine(host, CORE)
    yield engine
    engine.close()


class Ends:
    """The far ends of a VNF's two sockets."""

    def __init__(self, kind: str, role: str, sockets: Sequence[Path]) -> None:
        given = {"role": role, "rx_slots": "256", "tx_slots": "256"}
        specs = [
            PortSpec(kind, f"02:6e:66:00:01:0{number}", MTU, given | {"socket": str(path)})
            for number, path in enumerate(sockets)
        ]
        self._ports: tuple[ForwardingPort, ...] = forwarding(open_ports(specs), [kind] * len(specs))

    def exchange(self, function: Function, nic: int, frame: bytes) -> None:
        """Send one frame in, and see the one come out that the oracle says."""
        for port in self._ports:
            port.expect(MTU + 14)
            port.arrange(MTU + 14)
        wanted = process(function, nic, frame)
        assert isinstance(wanted, Sent)
        row = np.frombuffer(frame, np.uint8)[None, :].copy()
        deadline = time.monotonic() + DEADLINE_S
        while not self._ports[nic].forward(row, np.array([len(frame)], np.int64)):
            assert time.monotonic() < deadline, "its ring takes nothing"
        out = self._ports[wanted.nic]
        while (arrived := out.receive(8)) is None:
            assert time.monotonic() < deadline, "nothing came out"
        assert arrived.frames[0, : arrived.octets[0]].tobytes() == wanted.frame
        assert len(arrived.octets) == 1
        out.release()

    def close(self) -> None:
        for port in self._ports:
            port.close()


def vhost_nics(sockets: Path) -> list[PortSpec]:
    slots = {"role": "client", "rx_slots": "256", "tx_slots": "256", "pages": "plain"}
    return [
        PortSpec("vhost_user", ADDRESSES[nic], MTU, slots | {"socket": str(sockets / f"nic{nic}")})
        for nic in range(2)
    ]


@pytest.mark.parametrize("function", [L2Fwd(), L3Fwd(10)], ids=lambda function: function.kind)
def test_the_numpy_engine_forwards_between_interfaces(
    bench: Bench, engine: NumpyEngine, function: Function
) -> None:
    engine.open([PortSpec("af_packet", ADDRESSES[nic], MTU, {"interface": NICS[nic]}) for nic in range(2)])
    engine.run(function, share=True)

    @FEW
    @given(st.lists(st.one_of(packets(), others()), min_size=5, max_size=20))
    def check(frames: list[tuple[int, bytes]]) -> None:
        agrees(bench, function, frames)

    check()
    assert engine.counters().nics[0].received > 0


def test_the_numpy_engine_forwards_between_sockets(sockets: Path, engine: NumpyEngine) -> None:
    function = L3Fwd(10)
    ends = Ends("vhost_user_backend", "server", [sockets / f"nic{nic}" for nic in range(2)])
    try:
        engine.open(vhost_nics(sockets))
        engine.run(function, share=True)
        for nic in range(2):
            ends.exchange(function, nic, packet(nic, "198.18.0.1", "198.19.0.1", b"n" * 64))
    finally:
        ends.close()


def test_testpmd_forwards_between_sockets(
    bench: Bench, sockets: Path, host: Host, needs: Callable[[str], None]
) -> None:
    needs("testpmd")
    paths = [sockets / f"nic{nic}" for nic in range(2)]
    argv = ["dpdk-testpmd", "--lcores", f"0@{CORE},1@{CORE}", "--no-pci", "--no-telemetry", "--no-huge"]
    argv += ["--no-shconf", "-m", "256", "--iova-mode=va", f"--file-prefix={bench.lab.run_id}"]
    argv += [word for nic, path in enumerate(paths) for word in ("--vdev", f"net_vhost{nic},iface={path}")]
    argv += ["--", "--auto-start", "--forward-mode=io", "--no-flush-rx", "--total-num-mbufs=16384"]
    testpmd = host.start(argv, env={"RUNTIME_DIRECTORY": str(sockets)})
    try:
        until(lambda: all(path.exists() for path in paths), testpmd)
        ends = Ends("vhost_user", "client", paths)
        try:
            for nic in range(2):
                ends.exchange(L2Fwd(), nic, packet(nic, "198.18.0.1", "198.19.0.1", b"n" * 64))
        finally:
            ends.close()
        assert "dpdk-testpmd" in " ".join(map(comm_of, processes_below(testpmd.pid)))
    finally:
        testpmd.stop()


def until(reached: Callable[[], bool], of: Process) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not reached():
        assert of.poll() is None, of.stderr_tail()
        assert time.monotonic() < deadline, of.stderr_tail()
        time.sleep(0.02)


def comm_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def test_xdp_is_held_by_a_process_in_there(bench: Bench, host: Host) -> None:
    engine = XdpEngine(bench.lab, bench.vnf, L3Fwd(10), host=host)
    engine.start()
    try:
        agrees(bench, L3Fwd(10), [(nic, packet(nic, "198.18.0.1", "198.19.0.1", b"n" * 64)) for nic in range(2)])
        assert engine.counters().drops["no_route"] == 0
    finally:
        engine.stop()


def test_its_processes_are_found_from_outside(bench: Bench, host: Host) -> None:
    code = "import os, sys; print(os.getpid(), flush=True); sys.stdin.read()"
    started = host.start([sys.executable, "-I", "-S", "-c", code])
    inside = int(started.stdout.readline())
    pid = machine_pid(started.pid, inside)
    try:
        assert pid != inside
        assert pid in processes_below(started.pid)
        assert code.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert os.sched_getaffinity(pid) == {CORE}
        assert bench.vnf.namespace in Path(f"/proc/{pid}/cgroup").read_text(), "in the group with the limit"
    finally:
        started.stop()
    assert processes_below(started.pid) == []
