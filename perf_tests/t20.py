"""The tuple by which T20 (nfv-testperf) names a test: (D, L, S, V, P, R, B)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

from pytest_nfv import PacketRate, VSwitch, kpps

SWITCHES = ("linux-bridge", "basicfwd", "ovs", "ovs-dpdk")
"""Of the paper's switches those that there are drivers for; its `ovs` is `ovs-dpdk` here."""
SIZES = (64, 128, 256, 512, 1024, 1500)


@dataclass(frozen=True, slots=True)
class Case:
    """One test of the paper.

    Attributes:
        dimension: what is measured: throughput or latency.
        pairs: of applications beside each other; here of generator ports.
        location: `local`, or `remote`: the switch is on another host than the generator.
        rate: frames a second of each pair; burst: frames sent back to back at a time.
    """

    dimension: str
    switch: str
    frame_size: int
    rate: PacketRate
    burst: int
    pairs: int = 1
    location: str = "local"

    def __str__(self) -> str:
        words = (self.dimension, self.location, f"{self.pairs}vs{self.pairs}", self.switch, self.frame_size)
        return ",".join(map(str, (*words, _short(self.rate), self.burst)))

    @property
    def vswitch(self) -> VSwitch:
        """The switch as a value."""
        return VSwitch(self.switch)


def cases(
    first: Case,
    *,
    switches: Sequence[str] = SWITCHES,
    sizes: Sequence[int] = (),
    rates: Sequence[PacketRate] = (),
    bursts: Sequence[int] = (),
    pairs: Sequence[int] = (),
) -> list[Case]:
    """Return `first` in every combination of what is varied, switch by switch so that deployments are shared."""
    varied: Iterable[tuple[str, int, int, PacketRate, int]] = product(
        switches,
        pairs or (first.pairs,),
        sizes or (first.frame_size,),
        rates or (first.rate,),
        bursts or (first.burst,),
    )
    return [
        replace(first, switch=switch, pairs=n, frame_size=size, rate=rate, burst=burst)
        for switch, n, size, rate, burst in varied
    ]


def _short(rate: PacketRate) -> str:
    thousands = rate.pps / (1 * kpps).pps
    return f"{thousands / 1000:g}M" if thousands >= 1000 else f"{rate.pps:g}"
