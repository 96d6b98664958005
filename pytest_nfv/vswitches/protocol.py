"""The contract of a switch driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.nic import Nic
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.model.offer import PortSpec


@dataclass(frozen=True, slots=True)
class PortCounters:
    """Counters of one switch port since it was made.

    Attributes:
        port: its number: that of the generator port that it faces, or one behind those (`Wiring`).
        name: the port's own name, for texts.
        rx_frames: frames taken in from the generator; tx_frames: frames put out to it.
        rx_drops, tx_drops: frames dropped on that side, by reason in the counter's own words.
        refused_as: the reason that a frame goes by which found the switch's ring full, where only the generator
            sees that; empty where `rx_drops` counts them.
        unseen_as: the reason that frames go by which the far end sent and no counter here knows; empty where a
            difference between the two means that they cannot be believed.
    """

    port: int
    name: str
    rx_frames: int
    tx_frames: int
    rx_drops: dict[str, int] = field(default_factory=dict)
    tx_drops: dict[str, int] = field(default_factory=dict)
    refused_as: str = ""
    unseen_as: str = ""


@dataclass(frozen=True, slots=True)
class PollCycles:
    """Processor cycles of a thread that polls, since it began: those with frames to work on, and all.

    Attributes:
        counted: they are cycles of the time stamp counter; else ns.
    """

    busy: int
    total: int
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Vnic:
    """A virtual network interface of a VNF, which a port of the switch is to face.

    Attributes:
        vnf: whose it is, for texts: `vnf0`.
        number: which of that VNF's, from 0.
        node: the network namespace that it is made in, where it is an interface.
        address: its MAC address.
        queues: queue pairs, where it is no interface.
        tap: it is a virtual machine's: the switch's side is a tap interface, beside its other ports.
    """

    vnf: str
    number: int
    node: NamespaceHost
    address: str
    queues: int = 1
    tap: bool = False


WIRE_OR_CARD = "on the wire, or in the network card"
"""Where frames are lost that the far end of an uplink sent, and that no counter here knows."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a switch has beside the generator's ports, and which of its ports reach one another.

    Ports are numbered: the generator's first, those that face vNICs behind, in order.

    Attributes:
        vnics: VNFs' interfaces.
        segments: ports that reach one another, and no others; empty: all ports are one segment.
        uplinks: network cards' ports in the place of the generator's, one each; empty: the generator is here.
    """

    vnics: tuple[Vnic, ...] = ()
    segments: tuple[tuple[int, ...], ...] = ()
    uplinks: tuple[Nic, ...] = ()

    def of(self, ports: int) -> tuple[tuple[int, ...], ...]:
        """Return the segments of a switch with so many ports in all."""
        return self.segments or (tuple(range(ports)),)

    def pairs(self, ports: int, switch: str) -> dict[int, int]:
        """Return each port's other one, where ports reach one another in pairs: 2k and 2k + 1 without segments.

        Args:
            ports: how many there are in all.
            switch: its name, for the message.

        Raises:
            ConfigurationError: a segment that is no pair.
        """
        segments = self.segments or tuple((port, port + 1) for port in range(0, ports, 2))
        if any(len(one) != 2 or max(one) >= ports for one in segments):
            raise ConfigurationError(
                f"{switch}: segments {segments} of {ports} ports: accepted: each of two ports"
            )
        return {one: other for a, b in segments for one, other in ((a, b), (b, a))}

    def segment(self, port: int) -> int:
        """Return the number of the segment that a port is in."""
        return next((number for number, ports in enumerate(self.segments) if port in ports), 0)


@dataclass(frozen=True, slots=True)
class Attachment:
    """An application's place at a switch.

    Attributes:
        host: the network namespace that the application starts in.
        interface: the application's interface there; address: its MAC address.
        ip: its IPv4 address, "" where it has none.
    """

    host: Host
    interface: str
    address: str
    ip: str = ""


ALONE = Wiring()
"""A switch between generator ports, and nothing else."""


class VSwitchDriver(Protocol):
    """One kind of switch, private to the run.

    A driver is made for one deployment: `Driver(settings)`, `start`, any number of trials, `stop`.
    """

    name: ClassVar[str]

    @classmethod
    def joins(cls, settings: Mapping[str, str]) -> str:
        """Return what the far end of a port is with such settings.

        `veth`: an interface; `vhost_user` and `memif`: rings in shared memory.
        """
        ...

    @property
    def generator_host(self) -> Host:
        """Where the generator's ends of the ports are: its process starts there, after `start`."""
        ...

    @property
    def device_host(self) -> Host:
        """Where the switch's own interfaces are, after `start`; this machine where it has none."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know beside every figure, after `start`: `device core not pinned: ...`."""
        ...

    @classmethod
    def probe(cls, host: Host) -> str:
        """Return the version found on `host`.

        Raises:
            CapabilityMissing: it cannot run there; says what is missing and how to get it.
        """
        ...

    def start(self, ports: int, mtu: int, cores: Sequence[int], wiring: Wiring = ALONE) -> tuple[PortSpec, ...]:
        """Bring the switch up on `cores`, with `ports` for a generator and those of `wiring` for VNFs.

        Returns:
            How each is opened at its far end, by a generator or a VNF.

        Raises:
            ConfigurationError: the switch cannot be wired so.
            DeploymentError: it did not come up; with its own last words.
        """
        ...

    def learned(self, address: str, port: int) -> bool:
        """Whether frames for the MAC `address` go out of `port` only; True where nothing is to be learned."""
        ...

    def counters(self) -> tuple[PortCounters, ...]:
        """Read the counters of every port."""
        ...

    def threads(self) -> dict[int, str]:
        """Return thread id to name of everything that forwards, for processor time and run delay."""
        ...

    def poll_cycles(self) -> dict[int, PollCycles]:
        """Return thread id to cycles of every forwarding thread that polls and counts them; else empty."""
        ...

    def forwarded(self, frame: bytes) -> bytes:
        """Return what becomes of a frame on its way through: `mac` forwarding rewrites addresses."""
        ...

    def check(self) -> None:
        """Raise where the switch is no longer what was started.

        Raises:
            DeploymentError: it died or was changed; with what is left.
        """
        ...

    def stop(self) -> None:
        """Take everything down again; safe to call twice."""
        ...


class ApplicationSwitch(VSwitchDriver, Protocol):
    """A switch that can also join applications, which use the kernel's sockets."""

    def start_applications(self, count: int, mtu: int, *, addressed: bool) -> tuple[Attachment, ...]:
        """Bring the switch up, in place of `start`, with an application's namespace at each of `count` ports.

        Where they are `addressed`, each has an IPv4 address and knows the others.

        Raises:
            DeploymentError: it did not come up; with its own last words.
        """
        ...
