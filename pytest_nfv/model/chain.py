"""Topologies with VNFs: one (PVP), several one after the other (Chain), several beside each other (Colocated)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import ClassVar, Self

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.topology import PAIRS_MAX, VSwitch, vswitch_of
from pytest_nfv.model.trial import Direction
from pytest_nfv.model.vnf import VNF

PLACEMENTS = ("same_core", "same_socket", "cross_socket", "spread")
CHAIN_MAX = 64


def _placement(kind: str, value: str | None) -> None:
    if value is not None and value not in PLACEMENTS:
        raise ConfigurationError(f"{kind}(placement={value!r}): accepted: {', '.join(PLACEMENTS)}")


def _vnf(kind: str, value: object) -> None:
    if not isinstance(value, VNF):
        raise ConfigurationError(f"{kind}({value!r}): accepted: a VNF, such as VNF(L3Fwd())")


def _listed(kind: str, value: object) -> None:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ConfigurationError(f"{kind}({value!r}): accepted: a list of VNFs, such as [VNF(L3Fwd())]")


@dataclass(frozen=True, slots=True)
class Chain:
    """Generator port, switch, VNF, switch, VNF, ..., switch, generator port (S16's service chains).

    Attributes:
        vswitch: the device under test; a driver's name is taken too.
        vnfs: in the order in which a frame of generator port 0 meets them.
        bidirectional: load both ways at once, each at the offered load.
        placement: which core each VNF has, beside the switch's. `same_core`: the switch's. `same_socket`,
            `cross_socket`: one of its own, on the switch's socket or on another. `spread`: one of its own.
            None: one of its own as far as the testbed's device cores go, then shared.
    """

    kind: ClassVar[str] = "Chain"
    kernel_octets: ClassVar[int] = 0
    generator_ports: ClassVar[int] = 2

    vswitch: VSwitch
    vnfs: tuple[VNF, ...]
    bidirectional: bool = field(default=False, kw_only=True)
    placement: str | None = field(default=None, kw_only=True)

    def __init__(
        self,
        vswitch: VSwitch | str,
        vnfs: Sequence[VNF],
        *,
        bidirectional: bool = False,
        placement: str | None = None,
    ) -> None:
        _listed(self.kind, vnfs)
        if not 1 <= len(vnfs) <= CHAIN_MAX:
            raise ConfigurationError(f"{self.kind} of {len(vnfs)} VNFs: accepted: 1 to {CHAIN_MAX}")
        for one in vnfs:
            _vnf(self.kind, one)
            if one.vnics > 2 and len(vnfs) > 1:
                raise ConfigurationError(f"{self.kind}: {one}: accepted in a chain of several: 2 vNICs each")
        _placement(self.kind, placement)
        object.__setattr__(self, "vswitch", vswitch_of(self.kind, vswitch))
        object.__setattr__(self, "vnfs", tuple(vnfs))
        object.__setattr__(self, "bidirectional", bidirectional)
        object.__setattr__(self, "placement", placement)

    def __str__(self) -> str:
        words = [str(self.vswitch), " > ".join(map(str, self.vnfs))]
        words += ["both ways"] if self.bidirectional else []
        words += [self.placement] if self.placement else []
        return f"{self.kind}({', '.join(words)})"

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The ways that are loaded."""
        return (Direction(0, 1), Direction(1, 0)) if self.bidirectional else (Direction(0, 1),)

    def of(self, vnfs: Sequence[VNF]) -> Self:
        """Return the same with other VNFs, as many."""
        made = copy(self)
        object.__setattr__(made, "vnfs", tuple(vnfs))
        return made

    @property
    def lanes(self) -> tuple[tuple[VNF, ...], ...]:
        """One, between generator ports 0 and 1."""
        return (self.vnfs,)


@dataclass(frozen=True, slots=True, init=False)
class PVP(Chain):
    """Generator port, switch, VNF, switch, generator port (ETSI TST009's and VSPERF's PVP; S16's baseline)."""

    kind: ClassVar[str] = "PVP"

    def __init__(
        self,
        vswitch: VSwitch | str,
        vnf: VNF,
        *,
        bidirectional: bool = False,
        placement: str | None = None,
    ) -> None:
        _vnf(self.kind, vnf)
        Chain.__init__(self, vswitch, (vnf,), bidirectional=bidirectional, placement=placement)


@dataclass(frozen=True, slots=True)
class Colocated:
    """The same chain several times on one switch, each with generator ports of its own (S16's S7).

    Attributes:
        chain: a `PVP` or a `Chain`.
        n: how many.
    """

    kind: ClassVar[str] = "Colocated"
    kernel_octets: ClassVar[int] = 0

    chain: Chain
    n: int

    def __post_init__(self) -> None:
        if not isinstance(self.chain, Chain):
            raise ConfigurationError(f"Colocated({self.chain!r}): accepted: a PVP or a Chain")
        if isinstance(self.n, bool) or not isinstance(self.n, int) or not 1 <= self.n <= PAIRS_MAX:
            raise ConfigurationError(f"Colocated(n={self.n!r}): accepted: 1 to {PAIRS_MAX}")

    def __str__(self) -> str:
        return f"{self.n} x {self.chain}"

    @property
    def vswitch(self) -> VSwitch:
        """The one that they share."""
        return self.chain.vswitch

    @property
    def placement(self) -> str | None:
        """As the chain's."""
        return self.chain.placement

    @property
    def generator_ports(self) -> int:
        """Two a chain."""
        return 2 * self.n

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The ways that are loaded, chain by chain."""
        return tuple(
            Direction(2 * number + way.tx, 2 * number + way.rx)
            for number in range(self.n)
            for way in self.chain.directions
        )

    @property
    def lanes(self) -> tuple[tuple[VNF, ...], ...]:
        """Lane k is between generator ports 2k and 2k + 1."""
        return (self.chain.vnfs,) * self.n
