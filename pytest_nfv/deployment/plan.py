"""Placement: which core does what, decided before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_nfv.deployment.choice import with_engines
from pytest_nfv.deployment.cores import Cores, sockets_of, spread
from pytest_nfv.errors import CapabilityMissing, ConfigurationError
from pytest_nfv.model.machine import NicPort
from pytest_nfv.model.testbed import Testbed
from pytest_nfv.model.topology import SocketPair, Topology


@dataclass(frozen=True, slots=True)
class Split:
    """One host's part of a topology, on a testbed of several hosts.

    Attributes:
        host: its name; topology: what stands there.
        cores: where switch and VNFs run on it.
        ports: of its network cards, in the order of the switch's ports.
        stations: MAC address of what is behind each.
        first_vnf: number of its first VNF in the whole.
    """

    host: str
    topology: Topology
    cores: Cores
    ports: tuple[NicPort, ...]
    stations: tuple[str, ...]
    first_vnf: int = 0


@dataclass(frozen=True, slots=True)
class Placement:
    """A topology on a testbed.

    Attributes:
        cores: where switch and VNFs run; generator_core: where the generator spins.
        receiver_core: where its receiving half does, if that is a process of its own; None: one process does both.
        notes: what every figure from this placement must say beside itself.
        splits: of a testbed with a rig, each host's part; `cores` is the first one's then.
        far: the generator's ports there, in order.
    """

    testbed: Testbed
    topology: Topology
    cores: Cores
    generator_core: int
    notes: tuple[str, ...] = ()
    receiver_core: int | None = None
    splits: tuple[Split, ...] = ()
    far: tuple[NicPort, ...] = ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of the devices' hosts; empty on a testbed that is this machine."""
        return tuple(split.host for split in self.splits)

    @property
    def generator_host(self) -> str:
        """Name of the generator's host; empty on a testbed that is this machine."""
        return self.testbed.rig.generator if self.testbed.rig is not None else ""

    @property
    def device_cores(self) -> tuple[int, ...]:
        """All cores of the device under test, the switch's first."""
        return self.cores.every

    @property
    def generator_cores(self) -> tuple[int, ...]:
        """The generator's, its sending half's first."""
        return (self.generator_core,) if self.receiver_core is None else (self.generator_core, self.receiver_core)

    @property
    def clocked_cores(self) -> tuple[int, ...]:
        """Cores whose clock is the device's: where applications are a part of it, theirs too."""
        return self.measured_cores if isinstance(self.topology, SocketPair) else self.device_cores

    @property
    def measured_cores(self) -> tuple[int, ...]:
        """All cores of the device and the generator."""
        return tuple(dict.fromkeys((*self.device_cores, *self.generator_cores)))

    def lines(self) -> list[str]:
        """Describe it, for `--nfv-plan`."""
        cores = ", ".join(map(str, self.cores.switch))
        first = f"{self.topology} on testbed {self.testbed.name}, line rate {self.testbed.link}"
        if isinstance(self.topology, SocketPair):
            return [first, *(f"  {note}" for note in self.notes)]
        if self.splits:
            return [first, *self._rig_lines(), *(f"  note: {note}" for note in self.notes)]
        return [
            first,
            f"  device {self.topology.vswitch} on core {cores}; generator on core {self._generator_cores}; "
            f"{self.topology.generator_ports} generator ports",
            *self._vnf_lines(),
            *(f"  note: {note}" for note in self.notes),
        ]

    def _rig_lines(self) -> Iterator[str]:
        for split in self.splits:
            ports = ", ".join(map(str, split.ports))
            yield (
                f"  device {split.topology} on {split.host}, core {', '.join(map(str, split.cores.switch))}, "
                f"ports {ports}"
            )
            for number, (vnf, cores) in enumerate(
                zip((one for lane in split.topology.lanes for one in lane), split.cores.vnfs, strict=True)
            ):
                on = ", ".join(map(str, dict.fromkeys(cores)))
                yield f"    vnf{split.first_vnf + number} {vnf} on core {on}"
        ports = ", ".join(map(str, self.far))
        yield f"  generator on {self.generator_host}, core {self._generator_cores}, ports {ports}"

    def _vnf_lines(self) -> list[str]:
        vnfs = [vnf for lane in self.topology.lanes for vnf in lane]
        return [
            f"  vnf{number} {vnf} on core {', '.join(map(str, dict.fromkeys(cores)))}"
            for number, (vnf, cores) in enumerate(zip(vnfs, self.cores.vnfs, strict=True))
        ]

    @property
    def _generator_cores(self) -> str:
        if self.receiver_core is None:
            return str(self.generator_core)
        return f"{self.generator_core} (sends), {self.receiver_core} (receives)"


def place(
    topology: Topology, testbed: Testbed, allowed_cores: Sequence[int], sockets: Mapping[int, int] | None = None
) -> Placement:
    """Place `topology` on the cores that this process may use.

    Args:
        topology: what is to stand.
        testbed: where.
        allowed_cores: of this machine.
        sockets: of each core; asked of the kernel where not given.

    Raises:
        ConfigurationError: the testbed names a core that does not exist here; or no engine does what a VNF is to.
        CapabilityMissing: fewer than two cores: device and generator would measure each other; or too few for the
            placement that the topology asks for.
    """
    topology = with_engines(topology)
    allowed = sorted(allowed_cores)
    for key, cores in (("device_cores", testbed.device_cores), ("generator_cores", testbed.generator_cores)):
        for core in cores:
            if core not in allowed:
                raise ConfigurationError(
                    f"testbed {testbed.name}: {key} names core {core}; accepted: {', '.join(map(str, allowed))}"
                )
    free = [core for core in allowed if core not in testbed.device_cores]
    generator = testbed.generator_cores[0] if testbed.generator_cores else (free[-1] if free else None)
    taken = testbed.generator_cores or (generator,)
    beside = [core for core in allowed if core not in taken]  # a switch alone takes one of them
    device = testbed.device_cores or tuple(beside if topology.lanes else beside[:1])
    if generator is None or not device:
        raise CapabilityMissing(
            "two-cores",
            f"only core {', '.join(map(str, allowed))} may be used, and device and generator must not share one",
            "give the machine a second core, or this process more of them (taskset, cgroup)",
        )
    notes: tuple[str, ...] = ()
    if isinstance(topology, SocketPair):
        notes = (f"sender and {topology.vswitch} share core {generator}; receiver polls on core {device[0]}",)
    spent = spread(topology, device, sockets or sockets_of(device), oversubscribe=testbed.oversubscribe)
    return Placement(
        testbed,
        topology,
        spent,
        generator,
        (*notes, *spent.notes),
        None if isinstance(topology, SocketPair) else receiver_core(topology, testbed.generator_cores),
    )


def receiver_core(topology: Topology, generator_cores: Sequence[int]) -> int | None:
    """Return the core of a receiving half: with two generator cores, where no port both sends and receives."""
    sends, receives = ({getattr(way, end) for way in topology.directions} for end in ("tx", "rx"))
    if len(generator_cores) < 2 or sends & receives:
        return None
    return generator_cores[1]
