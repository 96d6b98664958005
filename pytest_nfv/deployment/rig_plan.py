"""Placement on a rig: which host has which part of a topology, at which of its ports, on which cores. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_nfv.deployment.choice import with_engines
from pytest_nfv.deployment.cores import spread
from pytest_nfv.deployment.plan import Placement, Split, receiver_core
from pytest_nfv.deployment.wiring import Chains
from pytest_nfv.errors import CapabilityMissing, ConfigurationError
from pytest_nfv.model.chain import Chain, Colocated
from pytest_nfv.model.machine import Machine, NicPort, Rig
from pytest_nfv.model.testbed import Testbed
from pytest_nfv.model.topology import P2P, SocketPair, Topology

CABLES = "cables"
_GENERATOR_MAC = "02:6e:00:00:00"


@dataclass(frozen=True, slots=True)
class HostCores:
    """What placement must know of a host.

    Attributes:
        allowed: cores that a run may use there.
        sockets: of each.
    """

    allowed: tuple[int, ...]
    sockets: Mapping[int, int]


def assumed_cores(rig: Rig) -> dict[str, HostCores]:
    """Return the cores that hosts have where none of them may be asked: those that the testbed names, and four."""
    found = {}
    for name, machine in rig.machines.items():
        cores = tuple(sorted({*machine.device_cores, *machine.generator_cores, *range(4)}))
        found[name] = HostCores(cores, dict.fromkeys(cores, 0))
    return found


def station(port: int) -> str:
    """Return the MAC address that a generator port's frames carry; no kernel's, as with a hardware generator."""
    return f"{_GENERATOR_MAC}:{port:02x}"


def place_on_rig(topology: Topology, testbed: Testbed, hosts: Mapping[str, HostCores]) -> Placement:
    """Place `topology` on a testbed's hosts.

    Args:
        topology: what is to stand.
        testbed: one with a rig.
        hosts: of each host of it, its cores.

    Raises:
        ConfigurationError: the testbed names a core that a host has not; or a topology that cannot be there, such
            as a VNF that no engine carries out.
        CapabilityMissing: too few cables between two hosts, or too few cores.
    """
    rig = testbed.rig
    assert rig is not None, "place_on_rig() is for testbeds with a rig"
    if isinstance(topology, SocketPair):
        raise CapabilityMissing(
            CABLES,
            f"{topology}: sender and receiver are applications on one machine with the switch",
            "run it on that machine itself: --nfv-host=local",
        )
    topology = with_engines(topology)
    generator = _generator_core(rig, hosts)
    splits: list[Split] = []
    notes: list[str] = []
    for place, (host, part) in enumerate(zip(rig.devices, _parted(topology, len(rig.devices)), strict=True)):
        first = sum(len(one.topology.lanes[0]) for one in splits if one.topology.lanes)
        taken = generator if host == rig.generator else ()
        device = _device_cores(rig.machines[host], hosts[host], taken, vnfs=bool(part.lanes))
        cores = spread(part, device, hosts[host].sockets, oversubscribe=testbed.oversubscribe)
        ports = _ports(rig, place, part.generator_ports)
        splits.append(Split(host, part, cores, ports, _stations(topology, rig, part, first), first))
        notes += [note if len(rig.devices) == 1 else f"{host}: {note}" for note in cores.notes]
    placement = Placement(
        testbed,
        topology,
        splits[0].cores,
        generator[0],
        tuple(notes),
        splits=tuple(splits),
        far=_far(rig, topology),
    )
    return replace(placement, receiver_core=receiver_core(topology, generator))


def _parted(topology: Topology, hosts: int) -> list[Topology]:
    """Return each host's part: of a chain, its VNFs in order, as evenly as they go."""
    if hosts == 1:
        return [topology]
    both = topology.directions[0] != topology.directions[-1]
    if isinstance(topology, P2P) and topology.pairs == 1:
        return [topology] * hosts
    if isinstance(topology, Colocated) or not isinstance(topology, Chain):
        raise ConfigurationError(f"{topology} across {hosts} hosts: accepted: Chain, PVP, or P2P of one pair")
    parts: list[Topology] = []
    at = 0
    for place in range(hosts):
        count = len(topology.vnfs) // hosts + (place < len(topology.vnfs) % hosts)
        vnfs, at = topology.vnfs[at : at + count], at + count
        if not vnfs:
            parts.append(P2P(topology.vswitch, bidirectional=both))
        else:
            parts.append(Chain(topology.vswitch, vnfs, bidirectional=both, placement=topology.placement))
    return parts


def _ports(rig: Rig, place: int, wanted: int) -> tuple[NicPort, ...]:
    """Return the ports of a device: those cabled to the generator, or to the hosts before and behind.

    Of a cable between two ports of one host, the first is the generator's.
    """
    host = rig.devices[place]
    if len(rig.devices) == 1:
        return tuple(device for _, device in _cabled(rig, rig.generator, host, wanted))
    before = rig.devices[place - 1] if place else rig.generator
    behind = rig.devices[place + 1] if place + 1 < len(rig.devices) else rig.generator
    return (_cabled(rig, host, before, 1)[0][0], _cabled(rig, host, behind, 1)[0][0])


def _far(rig: Rig, topology: Topology) -> tuple[NicPort, ...]:
    """Return the generator's ports, in order."""
    first, last = rig.devices[0], rig.devices[-1]
    if first == last:
        return tuple(near for near, _ in _cabled(rig, rig.generator, first, topology.generator_ports))
    return (_cabled(rig, rig.generator, first, 1)[0][0], _cabled(rig, rig.generator, last, 1)[0][0])


def _cabled(rig: Rig, one: str, other: str, wanted: int) -> Sequence[tuple[NicPort, NicPort]]:
    pairs = rig.between(one, other)
    if len(pairs) < wanted:
        raise CapabilityMissing(
            CABLES,
            f"{wanted} cables from {one} to {other} are needed, the testbed file has {len(pairs)}",
            f'plug in and declare more: [[link]] ends = ["{one}.PORT", "{other}.PORT"]',
        )
    return pairs[:wanted]


def _stations(topology: Topology, rig: Rig, part: Topology, first: int) -> tuple[str, ...]:
    """Return who is behind each port of a host's part: generator ports, or the nearest routers on other hosts."""
    generator = tuple(station(port) for port in range(topology.generator_ports))
    if len(rig.devices) == 1 or not topology.lanes:
        return generator
    count = len(part.lanes[0]) if part.lanes else 0
    return Chains(topology).around(first, count, generator)


def _generator_core(rig: Rig, hosts: Mapping[str, HostCores]) -> tuple[int, ...]:
    machine, allowed = rig.generator_machine, hosts[rig.generator].allowed
    _there(machine.name, "generator_cores", machine.generator_cores, allowed)
    if machine.generator_cores:
        return machine.generator_cores
    used = machine.device_cores if rig.generator in rig.devices else ()
    free = [core for core in allowed if core not in used]
    if not free:
        raise CapabilityMissing(
            "two-cores", f"{machine.name} has no core beside its device_cores", "name fewer device_cores"
        )
    return (free[-1],)


def _device_cores(machine: Machine, host: HostCores, taken: Sequence[int], *, vnfs: bool) -> tuple[int, ...]:
    """Return what the testbed names; else all but the generator's, and but core 0, which interrupts prefer."""
    _there(machine.name, "device_cores", machine.device_cores, host.allowed)
    if machine.device_cores:
        return machine.device_cores
    free = [core for core in host.allowed if core not in taken]
    beside = [core for core in free if core] or free
    if not beside:
        raise CapabilityMissing(
            "two-cores", f"{machine.name} has no core beside the generator's", "give it a second core"
        )
    return tuple(beside if vnfs else beside[:1])


def _there(host: str, key: str, cores: Sequence[int], allowed: Sequence[int]) -> None:
    for core in cores:
        if core not in allowed:
            raise ConfigurationError(
                f"host {host}: {key} names core {core}; accepted: {', '.join(map(str, allowed))}"
            )
