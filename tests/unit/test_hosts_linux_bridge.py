"""The linux-bridge driver and the driver table, on a lab of plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from pytest_nfv.errors import CapabilityMissing, ConfigurationError, DeploymentError
from pytest_nfv.hosts.lab import Lab, LinkState
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.protocol import Completed, Entry
from pytest_nfv.vswitches.linux_bridge import LinuxBridge
from pytest_nfv.vswitches.protocol import PortCounters
from pytest_nfv.vswitches.table import DRIVERS, driver


def link(master: str = "", up: bool = True, **counted: int) -> LinkState:
    counts = dict.fromkeys(("rx_packets", "tx_packets", "rx_dropped", "tx_dropped", "rx_errors", "tx_errors"), 0)
    return LinkState(up=up, carrier=True, master=master, address="", mtu=1500, **{**counts, **counted})


class FakeLab:
    """Says what it was asked, and holds links that a test may change."""

    run_id = "run01"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.interfaces: dict[str, dict[str, LinkState]] = {}
        self.entries: list[tuple[str, str]] = []
        self.refuses = ""

    def namespace(self, role: str) -> NamespaceHost:
        self._called(f"namespace {role}")
        self.interfaces[role] = {}
        return NamespaceHost(role, f"nfv-run01-{role}", "run01", Entry(), lambda *_, **__: None)

    def veth(self, one: Any, other: Any, mtu: int) -> None:
        self._called(f"veth {one.interface} {other.interface}")
        for end in (one, other):
            self.interfaces[end.namespace.role][end.interface] = link()

    def bridge(self, namespace: NamespaceHost, bridge: str, address: str, ports: Sequence[str]) -> None:
        self._called(f"bridge {bridge} {' '.join(ports)}")
        self.interfaces[namespace.role] |= {bridge: link(), **{port: link(bridge) for port in ports}}

    def threaded(self, namespace: NamespaceHost, interface: str) -> tuple[dict[int, str], str]:
        return {100 + int(interface[1]): f"napi/{interface}-1"}, ""

    def pin(self, threads: dict[int, str], cores: Sequence[int]) -> list[str]:
        self._called(f"pin {sorted(threads)} {list(cores)}")
        return ["napi/s0-run01-1 is not pinned to core 0 (Operation not permitted)"]

    def links(self, namespace: NamespaceHost) -> dict[str, LinkState]:
        return self.interfaces[namespace.role]

    def learned(self, namespace: NamespaceHost, bridge: str) -> list[tuple[str, str]]:
        return self.entries

    def remove(self, namespace: NamespaceHost) -> None:
        self._called(f"remove {namespace.role}")

    def _called(self, what: str) -> None:
        self.calls.append(what)
        if what.split()[0] == self.refuses:
            raise DeploymentError(f"cannot {what}")


@pytest.fixture
def lab() -> FakeLab:
    return FakeLab()


@pytest.fixture
def switch(lab: FakeLab) -> LinuxBridge:
    return LinuxBridge(cast(Lab, lab), {})


def test_start_makes_and_stop_removes_in_reverse(lab: FakeLab, switch: LinuxBridge) -> None:
    specs = switch.start(2, 1500, [0])
    assert [(spec.kind, dict(spec.parameters)) for spec in specs] == [
        ("af_packet", {"interface": "g0"}),
        ("af_packet", {"interface": "g1"}),
    ]
    assert len({spec.address for spec in specs}) == 2
    assert switch.generator_host.name == "local/gen"
    assert switch.notes == (
        "device core not pinned: napi/s0-run01-1 is not pinned to core 0 (Operation not permitted)",
    )
    assert switch.threads() == {100: "napi/s0-run01-1", 101: "napi/s1-run01-1"}
    switch.stop()
    switch.stop()
    assert lab.calls == [
        "namespace gen",
        "namespace dut",
        "veth s0-run01 g0",
        "veth s1-run01 g1",
        "bridge br0 s0-run01 s1-run01",
        "pin [100, 101] [0]",
        "remove dut",
        "remove gen",
    ]


@pytest.mark.parametrize("step", ["namespace", "veth", "bridge"])
def test_start_that_fails_takes_down_what_it_made(lab: FakeLab, switch: LinuxBridge, step: str) -> None:
    lab.refuses = step
    with pytest.raises(DeploymentError, match=f"cannot {step}"):
        switch.start(2, 1500, [0])
    removed = [call for call in lab.calls if call.startswith("remove")]
    assert removed == ([] if step == "namespace" else ["remove dut", "remove gen"])


def test_counters_count_each_frame_once(lab: FakeLab, switch: LinuxBridge) -> None:
    switch.start(2, 1500, [0])
    lab.interfaces["gen"]["g0"] = link(tx_packets=90, tx_dropped=10)
    lab.interfaces["dut"]["s0-run01"] = link("br0", rx_packets=90, rx_dropped=2)
    lab.interfaces["dut"]["s1-run01"] = link("br0", tx_packets=85, tx_dropped=3, queue_dropped=7)
    into = ({"veth ring full": 10, "dropped on receipt": 2}, {"veth ring full": 0, "dropped on receipt": 0})
    assert switch.counters() == (
        PortCounters(0, "s0", 88, 0, into[0], {"backlog full": 0, "link queue full": 0}),
        PortCounters(1, "s1", 0, 85, into[1], {"backlog full": 3, "link queue full": 7}),
    )


def test_learned_is_this_port_and_no_other(lab: FakeLab, switch: LinuxBridge) -> None:
    switch.start(2, 1500, [0])
    assert not switch.learned("02:6e:00:00:00:00", 0)
    lab.entries = [("02:6e:00:00:00:00", "s0-run01"), ("02:6e:00:00:00:01", "s0-run01")]
    assert switch.learned("02:6E:00:00:00:00", 0)
    assert not switch.learned("02:6e:00:00:00:01", 1)


def test_check_names_everything_amiss(lab: FakeLab, switch: LinuxBridge) -> None:
    switch.start(2, 1500, [0])
    switch.check()
    lab.interfaces["gen"]["g0"] = link(up=False)
    lab.interfaces["dut"]["s0-run01"] = link(master="")
    del lab.interfaces["dut"]["s1-run01"]
    with pytest.raises(DeploymentError) as caught:
        switch.check()
    assert str(caught.value) == (
        "linux-bridge: interface g0 is down; interface s0-run01 is no longer a port of br0; "
        "interface s1-run01 is gone"
    )


def test_the_generators_ports_are_of_the_kind_that_is_asked_for(lab: FakeLab) -> None:
    specs = LinuxBridge(cast(Lab, lab), {"ports": "af_xdp"}).start(2, 1500, [0])
    assert [spec.kind for spec in specs] == ["af_xdp", "af_xdp"]
    with pytest.raises(ConfigurationError, match="ports='netmap': accepted: af_packet, af_xdp"):
        LinuxBridge(cast(Lab, lab), {"ports": "netmap"})


def test_unknown_settings_are_named(lab: FakeLab) -> None:
    with pytest.raises(ConfigurationError, match="unknown setting stp, vlan; accepted: ports"):
        LinuxBridge(cast(Lab, lab), {"vlan": "1", "stp": "on"})


def test_before_start_there_is_nothing_to_ask(switch: LinuxBridge) -> None:
    with pytest.raises(DeploymentError, match="not started"):
        _ = switch.generator_host
    for call in (switch.check, switch.counters, lambda: switch.learned("02:6e:00:00:00:00", 0)):
        with pytest.raises(DeploymentError, match="not started"):
            call()


class Probed(LocalHost):
    """A host whose probe says what it is told to."""

    def __init__(self, status: int, stdout: str, stderr: str) -> None:
        super().__init__()
        self._said = (status, stdout, stderr)

    def run(self, argv: Sequence[str], **_: Any) -> Completed:
        return Completed(tuple(argv), *self._said)


def test_probe_returns_the_kernels_release() -> None:
    assert LinuxBridge.probe(Probed(0, "6.1.0-25-amd64\n", "")) == "6.1.0-25-amd64"


@pytest.mark.parametrize(
    ("stderr", "capability", "remedy"),
    [
        ("bridge: Operation not supported\n", "linux-bridge", "sudo modprobe bridge"),
        ("veth: Operation not supported\n", "linux-bridge", "sudo modprobe veth"),
        ("namespaces: Operation not permitted\n", "netns", "run"),
    ],
)
def test_probe_says_what_is_missing_and_how_to_get_it(stderr: str, capability: str, remedy: str) -> None:
    with pytest.raises(CapabilityMissing) as caught:
        LinuxBridge.probe(Probed(1, "", stderr))
    assert caught.value.capability == capability
    assert remedy in caught.value.remedy
    assert "Operation not" in caught.value.missing


def test_table_knows_its_drivers_and_names_them() -> None:
    assert driver("linux-bridge") is cast(Any, LinuxBridge)
    for name in DRIVERS:
        assert cast(Any, driver(name)).name == name
    with pytest.raises(ConfigurationError, match=r"vSwitch 'linux-brige': accepted: .*linux-bridge"):
        driver("linux-brige")
