"""Which core each VNF has: the topology's placement against the machine's cores. Pure, but for `sockets_of`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_nfv.errors import CapabilityMissing
from pytest_nfv.model.topology import Topology
from pytest_nfv.model.vnf import VNF

CAPABILITY = "cores"


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where.

    Attributes:
        switch: the switch's; vnfs: each VNF's, one for each pair of its vNICs or virtual processor: with too few,
            the same several times.
        notes: what shares what.
    """

    switch: tuple[int, ...]
    vnfs: tuple[tuple[int, ...], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def every(self) -> tuple[int, ...]:
        """All, the switch's first."""
        return tuple(dict.fromkeys(core for cores in (self.switch, *self.vnfs) for core in cores))

    @property
    def shared(self) -> bool:
        """Whether any core has more than one of them."""
        every = [core for cores in (self.switch, *self.vnfs) for core in cores]
        return len(every) != len(set(every))


def sockets_of(cores: Sequence[int], system: Path = Path("/sys/devices/system/cpu")) -> dict[int, int]:
    """Return the socket of each core, 0 where the kernel does not tell."""
    found = {}
    for core in cores:
        try:
            found[core] = int((system / f"cpu{core}" / "topology" / "physical_package_id").read_text())
        except (OSError, ValueError):
            found[core] = 0
    return found


def spread(topology: Topology, device: Sequence[int], sockets: Mapping[int, int], *, oversubscribe: bool) -> Cores:
    """Give switch and VNFs cores of `device`.

    Args:
        topology: with its own idea of where (`placement`).
        device: the cores that the device under test may have.
        sockets: of each core.
        oversubscribe: where there are too few cores for what the topology asks, share them and say so.

    Raises:
        CapabilityMissing: too few, and they may not be shared.
    """
    vnfs = [vnf for lane in topology.lanes for vnf in lane]
    if not vnfs:
        return Cores(tuple(device))
    placement: str | None = getattr(topology, "placement", None)
    if placement is None:
        return _as_far_as_they_go(topology, device, vnfs)
    switch, home = tuple(device[:1]), sockets[device[0]]
    if placement == "same_core":
        return _said(topology, switch, [switch * _wants(vnf) for vnf in vnfs], "")
    accepted = {
        "same_socket": [core for core in device[1:] if sockets[core] == home],
        "cross_socket": [core for core in device if sockets[core] != home],
        "spread": list(device[1:]),
    }[placement]
    wanted = sum(map(_wants, vnfs))
    if len(accepted) >= wanted:
        return _said(topology, switch, _dealt(vnfs, accepted), "")
    beside = f"beside core {switch[0]}, {_WHERE[placement]}"
    lacks = f"{topology} takes {wanted} device cores {beside}; there are {len(accepted)}"
    if not oversubscribe:
        raise CapabilityMissing(
            CAPABILITY, lacks, "name more in the testbed's device_cores, or share them: --nfv-oversubscribe"
        )
    return _said(topology, switch, _dealt(vnfs, accepted or list(switch)), f"oversubscribed: {lacks}")


_WHERE = {"same_socket": "on its socket", "cross_socket": "on another socket", "spread": "on any socket"}


def _wants(vnf: VNF) -> int:
    return vnf.vcpus if vnf.host == "vm" else vnf.vnics // 2


def of_pair(vnf: VNF, cores: Sequence[int], pair: int) -> tuple[int, ...]:
    """Return which of a VNF's cores a pair of its vNICs has: its own, and of a VM all."""
    return tuple(dict.fromkeys(cores)) if vnf.host == "vm" else (cores[pair],)


def _as_far_as_they_go(topology: Topology, device: Sequence[int], vnfs: Sequence[VNF]) -> Cores:
    """Give each VNF cores of its own, then the switch what is left; with too few, VNFs share all but the first."""
    wanted = sum(map(_wants, vnfs))
    if len(device) > wanted:
        return _said(topology, tuple(device[: len(device) - wanted]), _dealt(vnfs, device[-wanted:]), "")
    return _said(topology, tuple(device[:1]), _dealt(vnfs, device[1:] or device), "")


def _dealt(vnfs: Sequence[VNF], cores: Sequence[int]) -> list[tuple[int, ...]]:
    """Deal cores round robin, to each VNF as many as it wants."""
    dealt, at = [], 0
    for vnf in vnfs:
        mine = [cores[(at + number) % len(cores)] for number in range(_wants(vnf))]
        at += len(mine)
        dealt.append(tuple(mine))
    return dealt


def _said(topology: Topology, switch: tuple[int, ...], vnfs: Sequence[tuple[int, ...]], note: str) -> Cores:
    there: dict[int, list[str]] = {core: [str(topology.vswitch)] for core in switch}
    of_all = [vnf for lane in topology.lanes for vnf in lane]
    for number, (vnf, cores) in enumerate(zip(of_all, vnfs, strict=True)):
        for core, name in zip(cores, _names(number, vnf), strict=True):
            there.setdefault(core, []).append(name)
    shared = [
        f"core {core} is shared by {', '.join(names)}" for core, names in sorted(there.items()) if len(names) > 1
    ]
    return Cores(switch, tuple(vnfs), (*([note] if note else []), *shared))


def _names(number: int, vnf: VNF) -> list[str]:
    """Return who has each of a VNF's cores."""
    part = " vCPU " if vnf.host == "vm" else "."
    return [f"vnf{number}{part}{one}" for one in range(_wants(vnf))] if _wants(vnf) > 1 else [f"vnf{number}"]
