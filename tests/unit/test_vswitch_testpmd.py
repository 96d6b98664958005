"""The testpmd driver, on a lab of plain values and a testpmd that answers what it is told to."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from pytest_nfv.dpdk import console
from pytest_nfv.errors import CapabilityMissing, CommandError, ConfigurationError, DeploymentError
from pytest_nfv.hosts.lab import Lab, LinkState
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.protocol import Completed, Entry
from pytest_nfv.vswitches import testpmd
from pytest_nfv.vswitches.protocol import PollCycles, PortCounters, Vnic, Wiring
from pytest_nfv.vswitches.table import driver
from pytest_nfv.vswitches.testpmd import Testpmd
from tests.unit.test_testpmd_stats import FORWARD, GREETING, NIC

NOBODY = 1 << 30  # above any process id
ANSWERS = {"show port stats all": NIC, "show fwd stats all": FORWARD}


class FakeStdin:
    """Answers each line at once, as the console does: an echo, the answer, a prompt."""

    def __init__(self, out: int, answers: Mapping[str, str]) -> None:
        self._out, self._answers = out, dict(answers)
        self.said: list[str] = []
        self.silent = self.broken = False

    def write(self, text: str) -> None:
        if self.broken:
            raise BrokenPipeError(32, "Broken pipe")
        command = text.removesuffix("\n")
        self.said.append(command)
        if not self.silent:
            os.write(self._out, f"{command}\r\n{self._answers.get(command, '')}testpmd> ".encode())

    def flush(self) -> None: ...


class FakeTestpmd:
    """A process of ours that never was."""

    pid = NOBODY

    def __init__(self, greeting: str = GREETING + "testpmd> ", answers: Mapping[str, str] = ANSWERS) -> None:
        reader, self.writer = os.pipe()
        os.write(self.writer, greeting.encode())
        self.stdout = os.fdopen(reader)
        self.stdin = FakeStdin(self.writer, answers)
        self.status: int | None = None
        self.stops = 0

    def poll(self) -> int | None:
        return self.status

    def end(self, status: int) -> None:
        self.status = status
        self.stdin.broken = True
        os.close(self.writer)
        self.writer = -1

    def stop(self, timeout_s: float = 2.0) -> int:
        self.stops += 1
        return self.status or 0

    def stderr_tail(self) -> str:
        return "EAL: No free hugepages\n"

    def close(self) -> None:
        self.stdout.close()
        if self.writer >= 0:
            os.close(self.writer)


class FakeHost(LocalHost):
    """Starts the fake process."""

    def __init__(self, process: FakeTestpmd) -> None:
        super().__init__()
        self.process = process
        self.started: list[tuple[list[str], Sequence[int], Mapping[str, str]]] = []

    def start(
        self, argv: Sequence[str], *, cores: Sequence[int] = (), env: Mapping[str, str] | None = None
    ) -> Any:
        self.started.append((list(argv), cores, env or {}))
        return self.process


def link(**counted: int) -> LinkState:
    counts = dict.fromkeys(("rx_packets", "tx_packets", "rx_dropped", "tx_dropped", "rx_errors", "tx_errors"), 0)
    return LinkState(up=True, carrier=True, master="", address="", mtu=1500, **{**counts, **counted})


class FakeLab:
    """Says what it was asked."""

    run_id = "run01"
    rootless = False

    def __init__(self, directory: Path, process: FakeTestpmd) -> None:
        self.directory = directory
        self.host = FakeHost(process)
        self.calls: list[str] = []
        self.pages = (True, "huge pages raised from 0 to 91")
        self.interfaces: dict[str, dict[str, LinkState]] = {}

    def huge_pages(self, mebibytes: int) -> tuple[bool, str]:
        return self.pages

    def namespace(self, role: str) -> NamespaceHost:
        self.calls.append(f"namespace {role}")
        self.interfaces[role] = {}
        host = NamespaceHost(role, f"nfv-run01-{role}", "run01", Entry(), lambda *_, **__: None)
        cast(Any, host).start = self.host.start
        return host

    def veth(self, one: Any, other: Any, mtu: int) -> None:
        self.calls.append(f"veth {one.interface} {other.interface}")
        for end in (one, other):
            self.interfaces[end.namespace.role][end.interface] = link()

    def threaded(self, namespace: NamespaceHost, interface: str) -> tuple[dict[int, str], str]:
        return {100 + int(interface[1]): f"napi/{interface}-1"}, ""

    def pin(self, threads: dict[int, str], cores: Sequence[int]) -> list[str]:
        self.calls.append(f"pin {sorted(threads)} {list(cores)}")
        return []

    def links(self, namespace: NamespaceHost) -> dict[str, LinkState]:
        return self.interfaces[namespace.role]

    def remove(self, namespace: NamespaceHost) -> None:
        self.calls.append(f"remove {namespace.role}")


@pytest.fixture
def process() -> Iterator[FakeTestpmd]:
    made = FakeTestpmd()
    yield made
    made.close()


@pytest.fixture
def lab(tmp_path: Path, process: FakeTestpmd) -> FakeLab:
    return FakeLab(tmp_path, process)


def switch_of(lab: FakeLab, **settings: str) -> Testpmd:
    return Testpmd(cast(Lab, lab), settings)


def test_start_forwards_between_sockets_in_a_folder_that_goes_with_it(lab: FakeLab, process: FakeTestpmd) -> None:
    switch = switch_of(lab, queues="2", slots="256")
    specs = switch.start(2, 1500, [0])
    ((argv, cores, env),) = lab.host.started
    (folder,) = lab.directory.iterdir()
    assert [(spec.kind, spec.address, dict(spec.parameters)) for spec in specs] == [
        (
            "vhost_user",
            f"02:6e:00:00:00:0{port}",
            {
                "socket": f"{folder}/vhost{port}",
                "role": "client",
                "queues": "2",
                "rx_slots": "256",
                "tx_slots": "256",
            },
        )
        for port in (0, 1)
    ]
    assert f"net_vhost1,iface={folder}/vhost1,queues=2" in argv
    assert f"--file-prefix=run01-{folder.name}" in argv
    assert "--in-memory" in argv
    assert (cores, env) == ([0], {"RUNTIME_DIRECTORY": str(folder)})
    assert process.stdin.said == ["start"]
    assert switch.generator_host is lab.host
    assert switch.notes == ()
    assert switch.learned("02:6e:00:00:00:00", 0)
    switch.stop()
    switch.stop()
    assert process.stops == 1
    assert not list(lab.directory.iterdir())


def test_a_vnf_has_as_many_queues_as_the_switchs_ports(lab: FakeLab) -> None:
    vnics = tuple(Vnic("vnf0", nic, cast(Any, None), f"02:6e:10:00:00:0{nic}", queues=2) for nic in (0, 1))
    wiring = Wiring(vnics, ((0, 2), (3, 1)))
    with pytest.raises(ConfigurationError, match=r"vNICs of 2 queues: accepted: 1, .* queues=2 gives them"):
        switch_of(lab).start(2, 1500, [0], wiring)
    specs = switch_of(lab, queues="2").start(2, 1500, [0], wiring)
    assert {spec.parameters["queues"] for spec in specs} == {"2"}


def test_memif_ports_share_a_socket(lab: FakeLab) -> None:
    specs = switch_of(lab, ports="memif").start(4, 1500, [0])
    assert {spec.parameters["socket"] for spec in specs} == {str(next(lab.directory.iterdir()) / "memif")}
    assert [spec.parameters["id"] for spec in specs] == ["0", "1", "2", "3"]
    ((argv, _, _),) = lab.host.started
    assert f"net_memif3,role=server,id=3,socket={specs[0].parameters['socket']},socket-abstract=no" in argv


def test_no_huge_pages_is_a_note(lab: FakeLab) -> None:
    lab.pages = (False, "102 MiB of huge pages are not free (Permission denied); sudo sysctl vm.nr_hugepages=91")
    switch = switch_of(lab)
    switch.start(2, 1500, [0])
    assert "--no-huge" in lab.host.started[0][0]
    (note,) = switch.notes
    assert note.startswith("testpmd has no huge pages: 102 MiB")


def test_counters_name_what_was_lost_where(lab: FakeLab) -> None:
    switch = switch_of(lab)
    switch.start(2, 1500, [0])
    assert switch.counters() == (
        PortCounters(
            0,
            "testpmd port 0",
            60009,
            9,
            {"rx missed": 3, "rx errors": 4, "no mbuf": 5},
            {"tx vhost ring full": 0},
            "rx vhost ring full",
        ),
        PortCounters(
            1,
            "testpmd port 1",
            9,
            60000,
            {"rx missed": 0, "rx errors": 0, "no mbuf": 0},
            {"tx vhost ring full": 9},
            "rx vhost ring full",
        ),
    )


def test_af_xdp_counts_each_frame_once(lab: FakeLab) -> None:
    switch = switch_of(lab, ports="af_xdp")
    specs = switch.start(2, 1500, [0])
    assert [(spec.kind, dict(spec.parameters)) for spec in specs] == [
        ("af_packet", {"interface": "g0"}),
        ("af_packet", {"interface": "g1"}),
    ]
    assert "net_af_xdp1,iface=s1-run01" in lab.host.started[0][0]
    assert switch.threads() == {100: "napi/s0-run01-1", 101: "napi/s1-run01-1"}
    lab.interfaces["gen"]["g0"] = link(tx_packets=90, tx_dropped=10)
    lab.interfaces["dut"]["s0-run01"] = link(rx_dropped=2)
    lab.interfaces["dut"]["s1-run01"] = link(tx_dropped=7)
    first, second = switch.counters()
    assert first.rx_drops == {"veth ring full": 10, "rx AF_XDP ring full": 2, "rx errors": 4, "no mbuf": 5}
    assert (second.tx_frames, second.tx_drops) == (59_993, {"tx AF_XDP ring full": 9, "backlog full": 7})
    assert not first.refused_as
    del lab.interfaces["dut"]["s1-run01"]
    with pytest.raises(DeploymentError, match="interface s1-run01 is gone"):
        switch.counters()
    switch.stop()
    assert lab.calls == [
        "namespace gen",
        "namespace dut",
        "veth g0 s0-run01",
        "veth g1 s1-run01",
        "pin [100, 101] [0]",
        "remove dut",
        "remove gen",
    ]


def test_af_xdp_needs_more_than_a_user_namespaces_root_and_frames_of_a_page(lab: FakeLab) -> None:
    with pytest.raises(ConfigurationError, match=r"mtu 9000: accepted with ports=af_xdp: up to 3000"):
        switch_of(lab, ports="af_xdp").start(2, 9000, [0])
    lab.rootless = True
    with pytest.raises(CapabilityMissing, match=r"bpf\(2\).*run as root") as caught:
        switch_of(lab, ports="af_xdp").start(2, 1500, [0])
    assert caught.value.capability == "testpmd"
    assert lab.calls == []
    assert not list(lab.directory.iterdir())


def test_forwarded_tells_the_addresses_on_arrival(lab: FakeLab) -> None:
    own = [bytes.fromhex(f"5648 4f53 540{port}") for port in (0, 1)]
    generators = [bytes.fromhex(f"026e 0000 000{port}") for port in (0, 1)]
    frame = generators[1] + generators[0] + b"payload"
    assert switch_of(lab).forwarded(frame) == frame
    assert switch_of(lab, mode="macswap").forwarded(frame) == generators[0] + generators[1] + b"payload"
    switch = switch_of(lab, mode="mac")
    switch.start(2, 1500, [0])
    assert switch.forwarded(frame) == generators[1] + own[1] + b"payload"
    assert switch.forwarded(generators[0] + b"\x02other" + b"payload") == generators[0] + own[0] + b"payload"
    with pytest.raises(ConfigurationError, match=r"a frame from 02:02:02:02:02:02 to .*accepted: one from or to"):
        switch.forwarded(b"\x02" * 60)


def test_cycles_are_those_of_the_one_thread_that_forwards(lab: FakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    switch = switch_of(lab)
    switch.start(2, 1500, [0])
    threads = {7: "dpdk-testpmd", 8: "rte-worker-1"}
    monkeypatch.setattr(testpmd, "threads_of", lambda _: threads)
    started_s = switch._started_s
    monkeypatch.setattr(time, "monotonic", lambda: started_s + 2.0)
    assert switch.poll_cycles() == {8: PollCycles(18_293_027, 5_200_000_000)}
    threads[9] = "rte-worker-2"
    assert switch.poll_cycles() == {}


def test_one_that_dies_tells_how_and_its_last_words(lab: FakeLab, process: FakeTestpmd) -> None:
    switch = switch_of(lab)
    switch.start(2, 1500, [0])
    switch.check()
    process.end(-9)
    for call in (switch.check, switch.counters):
        with pytest.raises(DeploymentError, match=r"testpmd: it was ended by signal 9\n(.|\n)*No free hugepages"):
            call()


def test_one_that_ends_before_its_prompt_is_removed_again(lab: FakeLab, process: FakeTestpmd) -> None:
    broken = FakeTestpmd("EAL: Error - exiting with code: 1\n")
    broken.end(1)
    lab.host.process = broken
    with pytest.raises(DeploymentError, match=r"it ended with exit status 1\n(.|\n)*exiting with code: 1"):
        switch_of(lab).start(2, 1500, [0])
    assert broken.stops == 1
    assert not list(lab.directory.iterdir())
    broken.close()


def test_one_that_is_silent_is_given_a_deadline(
    lab: FakeLab, process: FakeTestpmd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "ANSWER_S", 0.05)
    switch = switch_of(lab)
    switch.start(2, 1500, [0])
    process.stdin.silent = True
    with pytest.raises(DeploymentError, match=r"no answer to 'show port stats all' within 0\.05 s"):
        switch.counters()


def test_what_it_tells_unasked_is_no_answer(lab: FakeLab, process: FakeTestpmd) -> None:
    switch = switch_of(lab)
    switch.start(2, 1500, [0])
    os.write(process.writer, b"\nPort 0: link state change event\ntestpmd> ")
    assert switch.counters()[0].rx_frames == 60009


def test_odd_ports_no_core_and_a_second_start_are_refused(lab: FakeLab) -> None:
    with pytest.raises(ConfigurationError, match="3 ports on 1 cores: accepted: pairs of ports"):
        switch_of(lab).start(3, 1500, [0])
    with pytest.raises(ConfigurationError, match="2 ports on 0 cores"):
        switch_of(lab).start(2, 1500, [])
    switch = switch_of(lab)
    switch.start(2, 1500, [0])
    with pytest.raises(DeploymentError, match="started already"):
        switch.start(2, 1500, [0])


def test_before_start_there_is_nothing_to_ask(lab: FakeLab) -> None:
    switch = switch_of(lab)
    assert switch.threads() == {}
    for call in (switch.check, switch.counters, switch.poll_cycles, lambda: switch.generator_host):
        with pytest.raises(DeploymentError, match="not started"):
            call()


class Probed(LocalHost):
    """A host whose testpmd says what it is told to."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__()
        self._said = (status, "", text)

    def run(self, argv: Sequence[str], **_: Any) -> Completed:
        if self._said[0] == 127:
            raise CommandError(self.name, argv, None, "not started: dpdk-testpmd: No such file or directory")
        return Completed(tuple(argv), *self._said)


def test_probe_returns_dpdks_version() -> None:
    said = "EAL: Detected CPU lcores: 2\nEAL: RTE Version: 'DPDK 22.11.11'\nUsage: dpdk-testpmd [options]\n"
    assert Testpmd.probe(Probed(0, said)) == "DPDK 22.11.11"


@pytest.mark.parametrize(
    ("status", "text", "missing"),
    [(127, "", "is not to be found on local"), (1, "librte_eal.so.23: cannot open\n", "librte_eal.so.23")],
)
def test_probe_says_what_is_missing_and_how_to_get_it(status: int, text: str, missing: str) -> None:
    with pytest.raises(CapabilityMissing, match="dpdk-dev") as caught:
        Testpmd.probe(Probed(status, text))
    assert missing in caught.value.missing


def test_basicfwd_is_another_name_of_it() -> None:
    assert driver("basicfwd") is driver("testpmd") is cast(Any, Testpmd)
    with pytest.raises(ConfigurationError, match=r"accepted: basicfwd, .*testpmd"):
        driver("l2fwd")
