"""Testbeds: which machines and cores there are. Two are built in, `local` and `sim`; `testbed_file` reads more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.machine import Rig, distinct_cores
from pytest_nfv.model.simulation import Simulation
from pytest_nfv.units import FRAME_SIZE_MAX, FRAME_SIZE_MIN, Link

KINDS = ("local", "sim", "lab")
_HEADER_AND_FCS = 18


@dataclass(frozen=True, slots=True)
class Testbed:
    """One place where topologies can be deployed.

    Attributes:
        link: the link whose line rate is meant.
        device_cores, generator_cores: processor numbers; empty lets the placement choose. Of two generator cores
            one sends and one receives, where no port does both. Of a lab, the rig's machines have them.
        vswitches: the switches that a run uses unless it asks for others.
        mtu: largest layer-3 packet on the links.
        oversubscribe: VNFs share cores where there are too few for what a topology asks.
        simulation: the simulated device's parameters, for kind `sim`.
        rig: the machines and the cables between them, for kind `lab`.
        may_change: which of `machine.CHANGES` a run may change on this machine; of a lab, its machines say so.
        source: where it was declared.
    """

    __test__ = False  # not a test class, whatever pytest makes of its name

    name: str
    kind: str
    link: Link
    device_cores: tuple[int, ...] = ()
    generator_cores: tuple[int, ...] = ()
    vswitches: tuple[str, ...] = ("linux-bridge",)
    mtu: int = 1500
    oversubscribe: bool = False
    simulation: Simulation | None = None
    rig: Rig | None = None
    may_change: frozenset[str] = frozenset()
    source: str = "built in"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigurationError(f"kind = {self.kind!r}: accepted: {', '.join(KINDS)}")
        if (self.kind == "sim") != (self.simulation is not None):
            raise ConfigurationError(f"kind = {self.kind!r}: a simulation goes with kind 'sim', and only with it")
        if (self.kind == "lab") != (self.rig is not None):
            raise ConfigurationError(f"kind = {self.kind!r}: machines go with kind 'lab', and only with it")
        distinct_cores(self.device_cores, self.generator_cores)
        checked_mtu(self.mtu)

    @property
    def frame_size_max(self) -> int:
        """Largest frame, FCS included, that fits the MTU (no VLAN tag)."""
        return self.mtu + _HEADER_AND_FCS

    @property
    def search_link(self) -> Link:
        """The link whose line rate a throughput search does not look beyond.

        A virtual link has no speed of its own, and its nominal one says what is asked, not what is possible: there
        it is 10GbE at least, and the generator's own limit comes first.
        """
        return (
            max(self.link, Link.of("10GbE"), key=lambda link: link.l1_bps) if self.kind == "local" else self.link
        )

    @property
    def addresses(self) -> frozenset[str]:
        """Of the machines that it measures on, as ssh(1) takes them, empty for this one; none where simulated."""
        if self.rig is not None:
            return frozenset(machine.address for machine in self.rig.machines.values())
        return frozenset({""} if self.kind == "local" else ())

    @property
    def tags(self) -> frozenset[str]:
        """Properties of its machines, whichever their role."""
        machines = self.rig.machines.values() if self.rig else ()
        return frozenset(tag for machine in machines for tag in machine.tags)

    @property
    def device_changes(self) -> frozenset[str]:
        """What a run may change wherever its device under test is."""
        if self.rig is None:
            return self.may_change
        return frozenset.intersection(*(self.rig.machines[name].may_change for name in self.rig.devices))

    def with_link(self, link: Link) -> Testbed:
        """Return the same testbed with another meaning of line rate."""
        return replace(self, link=link)

    def with_simulation(self, simulation: Simulation) -> Testbed:
        """Return the same simulated testbed with another device."""
        return replace(self, simulation=simulation)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values for the record."""
        return {
            "name": self.name,
            "kind": self.kind,
            "link": str(self.link),
            "device_cores": list(self.device_cores),
            "generator_cores": list(self.generator_cores),
            "vswitches": list(self.vswitches),
            "mtu_octets": self.mtu,
            "oversubscribe": self.oversubscribe,
            "may_change": sorted(self.device_changes),
            "source": self.source,
        } | ({"rig": self.rig.to_json()} if self.rig else {})


def checked_mtu(octets: int) -> int:
    """Return an MTU that the frames of this package can have.

    Raises:
        ConfigurationError: it is out of range.
    """
    low, high = FRAME_SIZE_MIN - _HEADER_AND_FCS, FRAME_SIZE_MAX - _HEADER_AND_FCS
    if not low <= octets <= high:
        raise ConfigurationError(f"mtu = {octets}: accepted: {low} to {high}")
    return octets


def built_in() -> dict[str, Testbed]:
    """Return the testbeds that need no file.

    `local` calls 100 Mb/s its line rate: the kernel's veth path on one core forwards less than 1 Mpps, so
    that this is what every frame size can be expected to reach on any machine; `--nfv-link` asks for more.
    """
    return {
        "local": Testbed("local", "local", Link.of("100MbE")),
        "sim": Testbed(
            "sim", "sim", Link.of("10GbE"), simulation=Simulation.parse("capacity=40Mpps,generator=40Mpps")
        ),
    }
