"""The OVS drivers on hosts that only say what they were asked."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from pytest_nfv.errors import CapabilityMissing, CommandError, ConfigurationError, DeploymentError
from pytest_nfv.hosts.lab import Lab, LinkState
from pytest_nfv.hosts.protocol import Completed
from pytest_nfv.vswitches import ovs_daemons, ovs_programs
from pytest_nfv.vswitches.ovs import Ovs
from pytest_nfv.vswitches.ovs_dpdk import OvsDpdk
from pytest_nfv.vswitches.protocol import PollCycles, Vnic, Wiring
from pytest_nfv.vswitches.table import driver
from tests.unit.test_ovs_counters import DUMP_PORTS, FDB, FLOWS, PMD_STATS, SOCKETS

VERSION = "ovs-vswitchd (Open vSwitch) 3.1.0\nDPDK 22.11.11\n"


class FakeProcess:
    """A daemon that runs until a test ends it."""

    pid = os.getpid()

    def __init__(self, log: list[str], name: str) -> None:
        self.status: int | None = None
        self.said = ""
        self._log, self._name = log, name

    def poll(self) -> int | None:
        return self.status

    def stop(self, timeout_s: float = 2.0) -> int:
        self._log.append(f"stop {self._name}")
        return 0

    def stderr_tail(self) -> str:
        return self.said


class FakeHost:
    """A host with Open vSwitch: answers as its tools do, and keeps what it was asked."""

    name = "local/dut"
    notes: tuple[str, ...] = ()

    def __init__(self, role: str = "dut") -> None:
        self.role = role
        self.ran: list[tuple[str, ...]] = []
        self.given: list[str] = []
        self.started: list[tuple[tuple[str, ...], tuple[int, ...], dict[str, str]]] = []
        self.processes: list[FakeProcess] = []
        self.log: list[str] = []
        self.answers = {"dump-ports": DUMP_PORTS, "fdb/show": FDB, "dpif-netdev/pmd-stats-show": PMD_STATS}
        self.interfaces: list[list[object]] = [["v0", 1, ["set", []]], ["br0", 65534, ["set", []]]]
        self.dies = 0
        self.version = VERSION

    def run(self, argv: Sequence[str], *, stdin: str = "", check: bool = True, **_: Any) -> Completed:
        self.ran.append(tuple(argv))
        self.given.append(stdin)
        if "--version" in argv and not self.version:
            raise CommandError(self.name, argv, None, "No such file or directory")
        return Completed(tuple(argv), 0, self._answer(list(argv)), "")

    def _answer(self, argv: list[str]) -> str:
        if "--version" in argv:
            return self.version
        if "Interface" in argv:
            return json.dumps({"data": self.interfaces, "headings": ["name", "ofport", "error"]})
        if argv[0] == "ss":
            return SOCKETS
        return next((text for word, text in self.answers.items() if word in argv), "")

    def start(
        self, argv: Sequence[str], *, cores: Sequence[int] = (), env: Mapping[str, str] | None = None
    ) -> FakeProcess:
        self.started.append((tuple(argv), tuple(cores), dict(env or {})))
        folder = Path((env or {})["OVS_RUNDIR"])
        (folder / ("db.sock" if len(self.started) == 1 else "br0.mgmt")).touch()
        process = FakeProcess(self.log, Path(argv[0]).name)
        if len(self.started) == self.dies:
            process.status, process.said = -6, "Cannot init EAL (Invalid argument)\n"
        self.processes.append(process)
        return process

    def configured(self) -> str:
        return "\n".join(" ".join(argv) for argv in self.ran if argv[0] == "ovs-vsctl")


class FakeLab:
    """A lab with one host, and huge pages for some requests."""

    run_id = "run01"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.host = FakeHost()
        self.huge_mib = 1 << 20
        self.removed: list[str] = []
        self.calls: list[str] = []
        self.states: dict[str, dict[str, LinkState]] = {}

    def namespace(self, role: str) -> FakeHost:
        self.host.role = role
        return self.host if role == "dut" else FakeHost(role)

    def huge_pages(self, mebibytes: int) -> tuple[bool, str]:
        return mebibytes <= self.huge_mib, f"{mebibytes} MiB of huge pages are not free"

    def veth(self, one: Any, other: Any, mtu: int) -> None:
        self.calls.append(f"veth {one.interface} {other.interface} {dict(one.offloads)} {dict(other.offloads)}")

    def threaded(self, namespace: object, interface: str) -> tuple[dict[int, str], str]:
        return {100 + int(interface[1]): f"napi/{interface}-1"}, ""

    def pin(self, threads: dict[int, str], cores: Sequence[int]) -> list[str]:
        self.calls.append(f"pin {sorted(threads)} {list(cores)}")
        return []

    def links(self, namespace: FakeHost) -> dict[str, LinkState]:
        return self.states[namespace.role]

    def remove(self, namespace: FakeHost) -> None:
        self.removed.append(namespace.role)


@pytest.fixture
def lab(tmp_path: Path) -> FakeLab:
    return FakeLab(tmp_path)


@pytest.fixture(autouse=True)
def _own_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake daemons are this process: what is given to them would be given to it."""
    for module in ("pytest_nfv.vswitches.ovs", "pytest_nfv.vswitches.ovs_dpdk"):
        monkeypatch.setattr(f"{module}.prefer", lambda threads: ())
        monkeypatch.setattr(f"{module}.prefer_session", lambda pid: True)
    monkeypatch.setattr("pytest_nfv.vswitches.ovs_dpdk.may_prefer", lambda threads: ())


def dpdk(lab: FakeLab, **settings: str) -> OvsDpdk:
    return OvsDpdk(cast(Lab, lab), settings)


def test_everything_of_dpdk_and_ovs_is_the_runs_own(lab: FakeLab) -> None:
    switch = dpdk(lab)
    specs = switch.start(2, 1500, [0])
    (folder,) = lab.directory.iterdir()
    (database, cores, _), (vswitchd, switch_cores, env) = lab.host.started
    assert cores == switch_cores == (0,)
    assert set(env.values()) == {str(folder)}
    assert "RUNTIME_DIRECTORY" in env
    for argv in (database, vswitchd):
        assert all(str(folder) in word for word in argv if "unix" in word or word.endswith(".db"))
    said = lab.host.configured()
    assert 'other_config:pmd-cpu-mask="0x1"' in said
    assert "--no-pci --no-telemetry --iova-mode=va --file-prefix=run01" in said
    assert 'other_config:dpdk-socket-limit="186"' in said
    assert f'type=dpdkvhostuserclient options:vhost-server-path="{folder}/v1"' in said
    assert "pmd-rxq-affinity" not in said
    assert [spec.kind for spec in specs] == ["vhost_user"] * 2
    assert specs[1].parameters == {"socket": f"{folder}/v1", "role": "server", "queues": "1"}
    assert any("in_port=2,actions=output:1" in given for given in lab.host.given)
    switch.stop()
    switch.stop()
    assert lab.host.log == ["stop ovs-vswitchd-dpdk", "stop ovsdb-server"]
    assert lab.removed == ["dut"]
    assert not list(lab.directory.iterdir())


def test_queues_of_all_ports_go_round_the_cores(lab: FakeLab) -> None:
    dpdk(lab, queues="2", vhost="server").start(2, 9000, [0, 2, 3])
    said = lab.host.configured()
    assert 'other_config:pmd-cpu-mask="0xd"' in said
    assert 'other_config:pmd-rxq-affinity="0:0,1:2"' in said
    assert 'other_config:pmd-rxq-affinity="0:3,1:0"' in said
    assert "mtu_request=9000 type=dpdkvhostuser " in said


@pytest.mark.parametrize(
    ("affinity", "placed"),
    [("queue", ['"0:0,1:2"', '"0:3,1:0"']), ("port", ['"0:0,1:0"', '"0:2,1:2"']), ("ovs", [])],
)
def test_queues_are_placed_on_cores_as_asked(lab: FakeLab, affinity: str, placed: list[str]) -> None:
    dpdk(lab, queues="2", affinity=affinity).start(2, 1500, [0, 2, 3])
    assert re.findall(r'other_config:pmd-rxq-affinity=("[^"]*")', lab.host.configured()) == placed


@pytest.mark.parametrize("affinity", ["queue", "port", "ovs"])
def test_with_one_core_nothing_is_placed(lab: FakeLab, affinity: str) -> None:
    dpdk(lab, queues="2", affinity=affinity).start(2, 1500, [1])
    assert "pmd-rxq-affinity" not in lab.host.configured()


def vnics(*queues: int) -> Wiring:
    """VNFs between generator ports 0 and 1, each vNIC of a pair with so many queues."""
    made = tuple(
        Vnic(f"vnf{n // 2}", n % 2, cast(Any, None), f"02:6e:10:00:00:{n:02x}", count)
        for n, count in enumerate(queues)
    )
    return Wiring(made, ((0, 2), (3, 1)))


def test_a_vnfs_queues_have_memory_cores_and_frames(lab: FakeLab) -> None:
    specs = dpdk(lab).start(2, 1500, [0, 2, 3], vnics(4, 4))
    said = lab.host.configured()
    assert [spec.parameters["queues"] for spec in specs] == ["1", "1", "4", "4"]
    assert re.findall(r'pmd-rxq-affinity="([^"]*)"', said) == ["0:0", "0:2", "0:3,1:0,2:2,3:3", "0:0,1:2,2:3,3:0"]
    assert said.count("other_config:tx-steering=hash") == 2
    assert f'dpdk-socket-limit="{64 + 2 * 61 + 2 * 97}"' in said  # the rest, two ports of a queue, two of four


def test_without_huge_pages_dpdk_takes_plain_memory_and_says_so(lab: FakeLab) -> None:
    lab.huge_mib = 0
    switch = dpdk(lab)
    switch.start(2, 1500, [0])
    assert "--no-huge --legacy-mem -m 279" in lab.host.configured()
    assert switch.notes == ("no huge pages for DPDK: 186 MiB of huge pages are not free",)


def test_without_any_room_it_cannot_run_here(lab: FakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.huge_mib = 0
    monkeypatch.setattr("pytest_nfv.vswitches.ovs_dpdk._free_mib", lambda: 300)
    with pytest.raises(CapabilityMissing, match="huge pages are not free; give the machine 372 MiB"):
        dpdk(lab).start(2, 1500, [0])


@pytest.mark.parametrize("which", [1, 2])
def test_a_daemon_that_does_not_come_up_tells_its_last_words(lab: FakeLab, which: int) -> None:
    lab.host.dies = which
    if which == 2:
        lab.host.interfaces[0][1] = ["set", []]
    else:
        lab.host.start = _dead(lab.host)  # type: ignore[method-assign]  # one that makes no socket
    with pytest.raises(DeploymentError, match=r"ovs-dpdk: ovs\S+ has ended, exit status -6\nCannot init EAL"):
        dpdk(lab).start(2, 1500, [0])
    assert not list(lab.directory.iterdir())


def _dead(host: FakeHost) -> Any:
    def start(argv: Sequence[str], **_: Any) -> FakeProcess:
        process = FakeProcess(host.log, "ovsdb-server")
        process.status, process.said = -6, "Cannot init EAL\n"
        return process

    return start


def test_a_port_that_ovs_refuses_is_named(lab: FakeLab) -> None:
    lab.host.interfaces.append(["v1", -1, "could not open network device v1 (No such device)"])
    with pytest.raises(DeploymentError, match=r"ovs-dpdk: v1: could not open network device v1"):
        dpdk(lab).start(2, 1500, [0])


def test_ports_that_never_come_up_end_at_the_deadline(lab: FakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ovs_daemons, "START_S", 0.05)
    lab.host.interfaces[0][1] = ["set", []]
    with pytest.raises(DeploymentError, match=r"after 0\.05 s not every port came up"):
        dpdk(lab).start(2, 1500, [0])


def test_counters_name_the_refused_and_the_dropped(lab: FakeLab) -> None:
    switch = dpdk(lab)
    switch.start(2, 1500, [0])
    with pytest.raises(DeploymentError, match=r"ovs-dpdk: port v1: nobody is connected"):
        switch.counters()
    lab.host.answers["dump-ports"] = DUMP_PORTS.replace("=?", "=5")
    first, second = switch.counters()
    assert (first.port, first.name, first.rx_frames, first.tx_frames) == (0, "v0", 131_871, 131_868)
    assert first.tx_drops["ovs_tx_failure_drops"] == 40
    assert first.refused_as == "vhost ring full"
    assert second.rx_frames == 5


def test_ports_that_ovs_serves_are_counted_by_rules(lab: FakeLab) -> None:
    switch = dpdk(lab, vhost="server")
    switch.start(2, 1500, [0])
    lab.host.answers |= {"dump-ports": DUMP_PORTS.replace("pkts=131", "pkts=?"), "dump-flows": FLOWS}
    first, second = switch.counters()
    assert (first.rx_frames, second.rx_frames, second.tx_frames) == (230, 7, 230)
    assert first.tx_frames == 0  # 7 less than the 41 dropped: never below none
    assert first.tx_drops["ovs_tx_failure_drops"] == 40


def test_a_port_is_known_once_frames_came_in_there(lab: FakeLab) -> None:
    switch = dpdk(lab)
    switch.start(2, 1500, [0])
    assert switch.learned("02:6e:00:00:00:00", 0)
    assert not switch.learned("02:6e:00:00:00:01", 1)


def test_a_learning_switch_knows_addresses_by_port(lab: FakeLab) -> None:
    switch = Ovs(cast(Lab, lab), {"rules": "normal"})
    switch.start(2, 1500, [0])
    assert switch.learned("02:6E:00:00:00:00", 0)
    assert not switch.learned("02:6e:00:00:00:01", 1)


def test_cycles_belong_to_the_polling_thread_of_the_core(lab: FakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    switch = dpdk(lab)
    switch.start(2, 1500, [0])
    names = {7: "ovs-vswitchd-dp", 8: "pmd-c00/id:8", 9: "pmd-c12/id:9"}
    monkeypatch.setattr(OvsDpdk, "threads", lambda self: names)
    assert switch.poll_cycles() == {8: PollCycles(319_887_609, 319_887_609 + 12_909_574_247)}


def test_threads_of_both_daemons_have_names_of_their_own(lab: FakeLab) -> None:
    switch = dpdk(lab)
    switch.start(2, 1500, [0])
    threads = switch.threads()
    assert os.getpid() in threads
    assert len(set(threads.values())) == len(threads)


@pytest.mark.parametrize("kind", [OvsDpdk, Ovs])
def test_a_daemon_that_is_stopped_is_told(lab: FakeLab, kind: type[OvsDpdk] | type[Ovs]) -> None:
    switch = kind(cast(Lab, lab), {"rules": "normal"})
    switch.start(2, 1500, [0])
    with subprocess.Popen(["sleep", "60"]) as process:
        lab.host.processes[1].pid = process.pid
        switch.check()
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        with pytest.raises(DeploymentError, match=f"ovs-vswitchd is stopped, process {process.pid}"):
            switch.check()
        process.kill()


@pytest.mark.parametrize("kind", [OvsDpdk, Ovs])
def test_a_daemon_that_died_is_told(lab: FakeLab, kind: type[OvsDpdk] | type[Ovs]) -> None:
    switch = kind(cast(Lab, lab), {"rules": "normal"})
    switch.start(2, 1500, [0])
    switch.check()
    lab.host.processes[1].status = -9
    with pytest.raises(DeploymentError, match="has ended, exit status -9"):
        switch.check()
    with pytest.raises(DeploymentError, match="has ended, exit status -9"):
        switch.learned("02:6e:00:00:00:00", 0)


def link(**counted: int) -> LinkState:
    counts = dict.fromkeys(("rx_packets", "tx_packets", "rx_dropped", "tx_dropped", "rx_errors", "tx_errors"), 0)
    return LinkState(up=True, carrier=True, master="", address="", mtu=1500, **{**counts, **counted})


def test_frames_dropped_at_a_socket_are_no_frames_taken_in(lab: FakeLab) -> None:
    switch = Ovs(cast(Lab, lab), {})
    specs = switch.start(2, 1500, [0])
    assert [(spec.kind, dict(spec.parameters)) for spec in specs] == [
        ("af_packet", {"interface": "g0"}),
        ("af_packet", {"interface": "g1"}),
    ]
    off = "{'tso': False, 'gso': False"
    assert lab.calls == [
        f"veth s0-run01 g0 {off}, 'gro': True}} {off}}}",
        f"veth s1-run01 g1 {off}, 'gro': True}} {off}}}",
        "pin [100, 101] [0]",
    ]
    lab.host.role = "dut"
    lab.states["gen"] = {"g0": link(tx_dropped=10), "g1": link()}
    lab.states["dut"] = {
        "s0-run01": link(rx_packets=90, rx_dropped=2),
        "s1-run01": link(tx_packets=80, tx_dropped=3, queue_dropped=7),
    }
    lab.host.answers["--packet"] = ""
    sockets = SOCKETS.replace("lleu137", "run01").replace("d5548", "d5").replace("d5615", "d0")
    lab.host._answer = lambda argv: sockets  # type: ignore[method-assign]  # ss only, from now on
    first, second = switch.counters()
    assert first.rx_frames == 83
    assert first.rx_drops == {"veth ring full": 10, "dropped on receipt": 2, "socket buffer full": 5}
    assert (second.tx_frames, second.tx_drops) == (80, {"backlog full": 3, "link queue full": 7})
    del lab.states["dut"]["s1-run01"]
    with pytest.raises(DeploymentError, match="ovs: interface s1-run01 is gone"):
        switch.counters()


def test_unknown_settings_are_named(lab: FakeLab) -> None:
    with pytest.raises(
        ConfigurationError, match=r"ovs: unknown setting queues; accepted: rules, emc, smc, megaflows$"
    ):
        Ovs(cast(Lab, lab), {"queues": "2"})
    with pytest.raises(
        ConfigurationError, match=r"ovs-dpdk: unknown setting pmds; accepted: .*vhost, queues, slots"
    ):
        dpdk(lab, pmds="2")


def test_before_start_there_is_nothing_to_ask(lab: FakeLab) -> None:
    for switch in (dpdk(lab), Ovs(cast(Lab, lab), {})):
        for call in (switch.check, switch.counters, switch.threads):
            with pytest.raises(DeploymentError, match="not started"):
                call()


def test_probe_tells_versions(lab: FakeLab) -> None:
    assert OvsDpdk.probe(cast(Any, lab.host)) == "3.1.0, DPDK 22.11.11"
    assert ovs_programs.find(cast(Any, lab.host), "ovs", ("a",), dpdk=False, package="p") == ("a", "3.1.0")


def test_probe_says_what_to_install(lab: FakeLab) -> None:
    lab.host.version = "ovs-vswitchd (Open vSwitch) 3.1.0\n"
    with pytest.raises(
        CapabilityMissing, match=r"built without DPDK; sudo apt-get install openvswitch-switch-dpdk"
    ):
        OvsDpdk.probe(cast(Any, lab.host))
    lab.host.version = ""
    with pytest.raises(CapabilityMissing, match=r"ovs: no /usr/sbin/ovsdb-server .* install openvswitch-switch"):
        Ovs.probe(cast(Any, lab.host))


def test_the_table_has_both() -> None:
    assert driver("ovs") is cast(Any, Ovs)
    assert driver("ovs-dpdk") is cast(Any, OvsDpdk)
