"""Hosts of a rig in use: which labs are of use, when facts are read, and what of each card can be told and set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest

from pytest_nfv.deployment import labs as module
from pytest_nfv.deployment import rig_care
from pytest_nfv.deployment.labs import RigLabs
from pytest_nfv.model.machine import NicPort
from pytest_nfv.model.topology import P2P, VSwitch
from tests.unit.recorded_hosts import CPU, PCI, RecordedHost
from tests.unit.test_rig_plan import back_to_back, placed

GOVERNOR = f"{CPU}/cpu0/cpufreq/scaling_governor"


@dataclass
class FarLab:
    """In the place of a lab."""

    host: RecordedHost
    broken: str = ""

    def survey(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def labs(monkeypatch: pytest.MonkeyPatch) -> RigLabs:
    hosts = {"gen": RecordedHost({}), "dut": RecordedHost({GOVERNOR: "powersave"})}
    monkeypatch.setattr(module, "_host", lambda machine, _: hosts[machine.name])
    monkeypatch.setattr(module, "Lab", SimpleNamespace(far=lambda host, _: FarLab(host)))
    return RigLabs(back_to_back())


def test_a_broken_lab_is_told_by_the_rig(labs: RigLabs) -> None:
    assert labs.broken == ""
    first, second = labs.lab("gen"), labs.lab("dut")
    assert labs.broken == ""
    second.broken = "dut is gone"  # type: ignore[misc] # a stand-in's
    assert labs.broken == "dut is gone"
    first.broken = "gen is gone"  # type: ignore[misc] # a stand-in's
    assert labs.broken == "gen is gone; dut is gone"


def test_facts_are_read_once_or_anew_and_the_newest_are_kept(labs: RigLabs) -> None:
    assert labs.facts("dut").governor == "powersave"
    labs.host("dut").files[GOVERNOR] = "performance"  # type: ignore[attr-defined] # a recorded one's
    assert labs.facts("dut").governor == "powersave"
    (place,) = [
        one
        for name, one in rig_care.places(reached(labs), placed(P2P(VSwitch("linux-bridge")), labs.rig)).items()
        if name == "dut"
    ]
    assert place.facts().governor == "performance"
    assert labs.facts("dut").governor == "performance"


def reached(labs: RigLabs) -> RigLabs:
    """Give every host what `places` asks of its ports."""
    for name in labs.rig.machines:
        host: RecordedHost = labs.lab(name).host  # type: ignore[assignment]
        host.obliging = True
        for port in ("eth0", "eth1"):
            host.answers[("ls", "--", f"/sys/class/net/{port}")] = "address"
    return labs


def test_a_port_without_an_interface_is_known_by_its_slot(labs: RigLabs) -> None:
    slots = ["0000:3b:00.0", "0000:3b:00.1"]
    ports = tuple(NicPort(f"p{number}", pci=slot) for number, slot in enumerate(slots))
    machines = dict(labs.rig.machines)
    machines["dut"] = replace(machines["dut"], ports=ports)
    labs.rig = replace(labs.rig, machines=machines)
    host: RecordedHost = reached(labs).lab("dut").host  # type: ignore[assignment]
    for slot in slots:
        host.answers[("ls", "--", f"{PCI}/{slot}")] = "numa_node"
        host.answers[("readlink", "-f", "--", f"{PCI}/{slot}")] = f"/sys/devices/pci0000:3a/{slot}"
    host.answers[("ls", "--", f"{PCI}/{slots[1]}/net")] = "eth5"
    found = rig_care.places(labs, placed(P2P(VSwitch("linux-bridge")), labs.rig))
    assert (found["dut"].interfaces, found["dut"].slots) == (("eth5",), (slots[0],))
    assert (found["gen"].interfaces, found["gen"].slots) == (("eth0", "eth1"), ())
