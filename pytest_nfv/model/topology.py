"""Topologies: roles and how they are joined, with no word about machines or cores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.trial import Direction
from pytest_nfv.model.vnf import VNF

Settings = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, init=False)
class VSwitch:
    """A switch by its driver's name, with what that driver is told.

    Attributes:
        name: a row of the driver table: `linux-bridge`.
        settings: (key, value) pairs that the driver understands, in the order of their keys whatever order or
            mapping they were given in; hashable, so that equal deployments are shared.
    """

    name: str
    settings: Settings

    def __init__(self, name: str, settings: Mapping[str, str] | Settings = ()) -> None:
        """Make one; `settings` are a mapping of texts to texts, or pairs of texts.

        Raises:
            ConfigurationError: no name, or settings of another shape, or a key given twice.
        """
        if not name:
            raise ConfigurationError("a vSwitch needs a name")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "settings", _pairs(name, settings))

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        settings = f", {dict(self.settings)}" if self.settings else ""
        return f"VSwitch({self.name!r}{settings})"


def _pairs(name: str, settings: object) -> Settings:
    pairs = tuple(settings.items()) if isinstance(settings, Mapping) else settings
    if not isinstance(pairs, tuple) or not all(map(_is_setting, pairs)):
        raise ConfigurationError(
            f"VSwitch({name!r}) settings {settings!r}: accepted: texts by texts, such as "
            '{"queues": "2"}, or pairs of texts, such as (("queues", "2"),)'
        )
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        raise ConfigurationError(f"VSwitch({name!r}) settings {keys}: accepted: each key once")
    return tuple(sorted(pairs))


def _is_setting(pair: object) -> bool:
    return isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(word, str) for word in pair)


class Topology(Protocol):
    """What a test declares. A topology is hashable: equal ones share a deployment.

    Attributes:
        kind: the topology's short name, for records and texts: `P2P`.
        generator_ports: how many generator ports it takes.
        kernel_octets: octets at the head of each frame that a kernel writes and reads, so that the generator gives
            and gets the rest only; 0 where it has whole frames.
    """

    kind: ClassVar[str]

    @property
    def vswitch(self) -> VSwitch: ...

    @property
    def lanes(self) -> tuple[tuple[VNF, ...], ...]:
        """The VNFs between generator ports 2k and 2k + 1, for each k; empty where the topology has none."""
        ...

    @property
    def kernel_octets(self) -> int: ...

    @property
    def generator_ports(self) -> int: ...

    @property
    def directions(self) -> tuple[Direction, ...]: ...


def vswitch_of(kind: str, value: object) -> VSwitch:
    """Return a switch as a value; its name is taken too.

    Raises:
        ConfigurationError: it is neither.
    """
    if isinstance(value, str):
        return VSwitch(value)
    if not isinstance(value, VSwitch):
        raise ConfigurationError(f"{kind}({value!r}): accepted: a VSwitch or a switch's name")
    return value


PAIRS_MAX = 64


@dataclass(frozen=True, slots=True)
class P2P:
    """Generator port, switch, generator port (the P2P of ETSI TST009 and OPNFV VSPERF).

    Attributes:
        vswitch: the device under test; a driver's name is taken too.
        bidirectional: load both ways at once, each at the offered load.
        pairs: so many such pairs of ports beside each other, each loaded alike (T20's 1vs1, 2vs2, ...).
    """

    kind: ClassVar[str] = "P2P"
    kernel_octets: ClassVar[int] = 0
    lanes: ClassVar[tuple[tuple[VNF, ...], ...]] = ()

    vswitch: VSwitch
    bidirectional: bool = field(default=False, kw_only=True)
    pairs: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "vswitch", vswitch_of(self.kind, self.vswitch))
        if not isinstance(self.pairs, int) or not 1 <= self.pairs <= PAIRS_MAX:
            raise ConfigurationError(f"P2P(pairs={self.pairs!r}): accepted: 1 to {PAIRS_MAX}")

    def __str__(self) -> str:
        pairs = f", {self.pairs} pairs" if self.pairs > 1 else ""
        return f"P2P({self.vswitch}{', both ways' if self.bidirectional else ''}{pairs})"

    @property
    def generator_ports(self) -> int:
        """Two a pair: one before the switch, one behind."""
        return 2 * self.pairs

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The ways that are loaded."""
        firsts = range(0, self.generator_ports, 2)
        there = tuple(Direction(first, first + 1) for first in firsts)
        back = tuple(Direction(first + 1, first) for first in firsts)
        return there + back if self.bidirectional else there


PROTOCOLS = ("udp", "raw")
CALLS = ("single", "many")
_ETHERNET_IPV4_UDP = 14 + 20 + 8


@dataclass(frozen=True, slots=True)
class SocketPair:
    """A sender and a receiver, applications on kernel sockets, joined by a switch (T20's 1vs1, experiment T1).

    Each has a network namespace and a core of its own. Here the sockets and the applications are part of what is
    measured.

    Attributes:
        vswitch: the switch between them; a driver's name is taken too.
        protocol: `udp`, where the kernel makes the headers; `raw` (AF_PACKET), where the application does.
        call: `single`, a frame a system call (send, recv); `many` (sendmmsg, recvmmsg).
    """

    kind: ClassVar[str] = "1vs1"
    lanes: ClassVar[tuple[tuple[VNF, ...], ...]] = ()

    vswitch: VSwitch
    protocol: str = "udp"
    call: str = "many"

    def __post_init__(self) -> None:
        object.__setattr__(self, "vswitch", vswitch_of("SocketPair", self.vswitch))
        for name, value, accepted in (("protocol", self.protocol, PROTOCOLS), ("call", self.call, CALLS)):
            if value not in accepted:
                raise ConfigurationError(f"SocketPair({name}={value!r}): accepted: {', '.join(accepted)}")

    def __str__(self) -> str:
        return f"1vs1({self.vswitch}, {self.protocol} sockets, {self.calls})"

    @property
    def calls(self) -> str:
        """The system calls' names."""
        return "send/recv" if self.call == "single" else "sendmmsg/recvmmsg"

    @property
    def kernel_octets(self) -> int:
        """Ethernet, IPv4 and UDP header where the sockets are UDP's."""
        return _ETHERNET_IPV4_UDP if self.protocol == "udp" else 0

    @property
    def generator_ports(self) -> int:
        """Two: the sender's socket and the receiver's."""
        return 2

    @property
    def directions(self) -> tuple[Direction, ...]:
        """From the sender to the receiver."""
        return (Direction(0, 1),)
