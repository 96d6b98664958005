"""Whether the ports of a testbed file are there, free and up, and whether its cables join them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from pytest_nfv.errors import CommandError, DeploymentError
from pytest_nfv.hosts.nic_ports import FoundPort
from pytest_nfv.hosts.processors import Processors
from pytest_nfv.hosts.protocol import MachineHost
from pytest_nfv.model.machine import Cable, Machine, NicPort
from pytest_nfv.testbeds.rows import Row, missing, note, ok
from pytest_nfv.units import Link

LISTEN_S = 3.0
_DPDK_DRIVERS = ("vfio-pci", "igb_uio", "uio_pci_generic")
_CABLE = ("-m", "pytest_nfv.hosts.cable")


@dataclass(frozen=True, slots=True)
class Reached:
    """A host that answered.

    Attributes:
        ports: all Ethernet ports found on it.
        package: whether it has this package.
        root: whether we are root there.
    """

    machine: Machine
    host: MachineHost
    ports: Sequence[FoundPort]
    package: bool
    root: bool

    def found(self, port: NicPort) -> FoundPort | None:
        """Return what the file means, the virtual function where it says one; None where it is not there."""
        same = (
            one for one in self.ports if (one.pci == port.pci if port.pci else one.interface == port.interface)
        )
        whole = next(same, None)
        if port.vf is None or whole is None:
            return whole
        name = f"/sys/bus/pci/devices/{whole.pci}/virtfn{port.vf}/uevent"
        text = self.host.read_texts([name]).get(name, "")
        address = next((line[14:] for line in text.splitlines() if line.startswith("PCI_SLOT_NAME=")), "")
        return next((one for one in self.ports if address and one.pci == address), None)


def ports(reached: Reached, speeds: Mapping[str, Link]) -> Iterator[Row]:
    """Check each port that the file names; `speeds` are those of the cables at them, by the port's name."""
    for port in reached.machine.ports:
        yield _port(f"{reached.machine.name}.{port.name}", port, reached, speeds.get(port.name))


def _port(subject: str, port: NicPort, reached: Reached, speed: Link | None) -> Row:
    found = reached.found(port)
    if found is None:
        return _absent(subject, port, reached)
    if found.used_by:
        said = f"{found.interface} is in use: {', '.join(found.used_by)}"
        return missing(subject, "port", said, "name a port that nothing else uses, or take that off it")
    if found.driver in _DPDK_DRIVERS:
        said = f"{found.pci} is DPDK's ({found.driver}): switches of the kernel, and a generator, cannot have it"
        return note(subject, "port", said, f"`dpdk-devbind.py -b KERNEL_DRIVER {found.pci}` makes it the kernel's")
    if not found.interface:
        said = f"{found.pci} ({found.driver or 'no driver'}) has no interface that is seen"
        return missing(subject, "port", said, "end what has taken it into a namespace: a run, a container, a VM")
    if not found.up:
        said = f"{found.interface}, {found.driver}; not set up, so that its link is not known"
        return note(subject, "port", said, f"`ip link set {found.interface} up` there shows it")
    if not found.carrier:
        said = f"{found.interface}, {found.driver}: no link"
        return note(subject, "port", said, "its other end is not plugged in, or not set up")
    if found.speed_mbps is None or found.driver == "veth":
        return ok(subject, "port", f"{found.interface}, {found.driver}, link up")
    is_now = Link(found.speed_mbps * 1e6)
    if speed is not None and is_now != speed:
        said = f"{found.interface} has {is_now}, where its link says {speed}"
        return missing(subject, "port", said, f'speed = "{is_now}", or another cable or module')
    return ok(subject, "port", f"{found.interface}, {found.driver}, link up, {is_now}")


def _absent(subject: str, port: NicPort, reached: Reached) -> Row:
    place = port.interface or port.pci
    whole = reached.found(NicPort(port.name, port.interface, port.pci))
    if port.vf is not None and whole is not None:
        said = (
            f"{place} has no virtual function {port.vf} with an interface; it has {whole.vfs} of {whole.vfs_most}"
        )
        make = f"echo {port.vf + 1} > /sys/class/net/{whole.interface}/device/sriov_numvfs"
        return missing(subject, "port", said, f"`{make}` there as root")
    have = ", ".join(f"{one.interface or 'no interface'} {one.pci}".strip() for one in reached.ports) or "none"
    return missing(subject, "port", f"no port {place} there", f"it has: {have}")


def near(reached: Reached, cores: Processors) -> Iterator[Row]:
    """Say where the generator is on another NUMA node than the ports: every frame then crosses sockets."""
    ports = [reached.found(port) for port in reached.machine.ports]
    nodes = {port.node for port in ports if port and port.node is not None}
    away = {cores.node_of(core) for core in reached.machine.generator_cores} - nodes - {None}
    if nodes and away:
        said = f"generator cores on node {_words(away)}, ports on {_words(nodes)}"
        yield note(reached.machine.name, "NUMA", said, "name generator cores of the ports' node")


def _words(numbers: set[int] | set[int | None]) -> str:
    return ", ".join(sorted(map(str, numbers)))


def cable(link: Cable, hosts: Mapping[str, Reached]) -> Row:
    """Send frames into one end, and see where they come out."""
    subject = f"{'.'.join(link.one)} - {'.'.join(link.other)}"
    one, other = (hosts.get(host) for host, _ in (link.one, link.other))
    if one is None or other is None:
        return note(subject, "cable", "not tried, as a host of it is not reached")
    start, end = one.found(one.machine.port(link.one[1])), other.found(other.machine.port(link.other[1]))
    if not (start and end and start.up and end.up) or start.used_by or end.used_by:
        return note(subject, "cable", "not tried, as an end of it is not there, not set up or not free")
    if not (start.carrier and end.carrier):
        return missing(subject, "cable", "no link, although both ends are set up", "plug it in at both ends")
    lacking = [reached.machine.name for reached in (one, other) if not (reached.package and reached.root)]
    if lacking:
        said = f"both ends have a link; not tried with frames: {lacking[0]} lacks root or the package"
        return note(subject, "cable", said)
    try:
        seen = crossing(one, start.interface, other)
    except DeploymentError as error:
        said = f"frames could not be tried: {str(error).splitlines()[-1]}"
        return missing(subject, "cable", said, "see its hosts")
    if seen == end.interface:
        return ok(subject, "cable", "frames from one end come out at the other")
    names = {found.interface: port.name for port in other.machine.ports if (found := other.found(port))}
    there = (
        f"come out at {other.machine.name}.{names[seen]}" if seen else f"do not come out at {other.machine.name}"
    )
    return missing(subject, "cable", f"frames {there}", "mend `ends`, or plug the cable as it says")


def crossing(one: Reached, interface: str, other: Reached) -> str:
    """Return the interface of `other`, of those in the file, where frames from one of `one` come in; or nothing.

    Raises:
        DeploymentError: an end could not send or listen.
    """
    found = [other.found(port) for port in other.machine.ports]
    listening = [port.interface for port in found if port and port.carrier and not port.used_by]
    if other is one:
        listening.remove(interface)
    token = uuid4().hex
    process = other.host.start([other.host.python, *_CABLE, "listen", str(LISTEN_S), token, *listening])
    try:
        if process.stdout.readline().strip() != "listening":
            raise CommandError(other.machine.name, ["listen", *listening], process.poll(), process.stderr_tail())
        one.host.run([one.host.python, *_CABLE, "send", token, interface])
        return process.stdout.readline().strip()
    finally:
        process.stop()
