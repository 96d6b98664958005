"""The contract of a switch driver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from pytest_nfv.hosts.protocol import Host
from pytest_nfv.model.offer import PortSpec


@dataclass(frozen=True, slots=True)
class PortCounters:
    """Counters of one switch port since it was made.

    Attributes:
        port: index of the generator port that it faces.
        name: the port's own name, for texts.
        rx_frames: frames taken in from the generator; tx_frames: frames put out to it.
        rx_drops, tx_drops: frames dropped on that side, by reason in the counter's own words.
        refused_as: the reason that a frame goes by which found the switch's ring full, where only the generator
            sees that; empty where `rx_drops` counts them.
    """

    port: int
    name: str
    rx_frames: int
    tx_frames: int
    rx_drops: dict[str, int] = field(default_factory=dict)
    tx_drops: dict[str, int] = field(default_factory=dict)
    refused_as: str = ""


@dataclass(frozen=True, slots=True)
class PollCycles:
    """Processor cycles of a thread that polls, since it began: those with frames to work on, and all."""

    busy: int
    total: int


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


class VSwitchDriver(Protocol):
    """One kind of switch, private to the run.

    A driver is made for one deployment: `Driver(settings)`, `start`, any number of trials, `stop`.
    """

    name: ClassVar[str]

    @property
    def generator_host(self) -> Host:
        """Where the generator's ends of the ports are: its process starts there, after `start`."""
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

    def start(self, ports: int, mtu: int, cores: Sequence[int]) -> tuple[PortSpec, ...]:
        """Bring the switch up on `cores` and return how a generator opens each of its `ports`.

        Raises:
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
