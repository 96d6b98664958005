"""What the generator adds to a figure by itself: which frames it samples, and its floor beside each latency."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pytest_nfv.model.offer import Offer
from pytest_nfv.model.trial import Latency

EVERY_FRAME_UP_TO_PPS = 1e6
SAMPLED_EVERY = 8192
"""Frames of which one batch is sampled above that load. To sample each takes 7 ns, of the 67 of 14.88 Mpps."""

FLOOR_S, FLOOR_LONGEST_S, FLOOR_FRAMES = 0.3, 2.0, 200
_BUCKETS_AN_OCTAVE = 4


def latency_every(rate_pps: float) -> int:
    """Return of how many frames one batch is sampled at a load per direction, as `Offer.latency_every` has it.

    Every frame, as long as there is time for that; at a higher load a sample.
    """
    return 1 if rate_pps <= EVERY_FRAME_UP_TO_PPS else SAMPLED_EVERY


@dataclass(frozen=True, slots=True)
class Floor:
    """The generator's own path at one load, in nanoseconds.

    Attributes:
        median_ns: what it adds to half of the figures, or more.
        resolution_ns: how far it varies by itself, from the median to the 90th percentile: what a device adds
            below that is not told from nothing.
    """

    median_ns: float
    resolution_ns: float

    @classmethod
    def of(cls, latency: Sequence[Latency]) -> Floor | None:
        """Take the worst direction; None where nothing was measured."""
        found = [(one.percentiles_ns[50.0], one.percentiles_ns.get(90.0, one.max_ns)) for one in latency]
        if not found:
            return None
        median_ns, high_ns = max(found)
        return cls(median_ns, max(0.0, high_ns - median_ns))

    def beside(self, latency: Sequence[Latency]) -> tuple[Latency, ...]:
        """Return the same latencies with this floor beside them."""
        return tuple(replace(one, floor_ns=self.median_ns, resolution_ns=self.resolution_ns) for one in latency)


class Floors:
    """The floors of one deployment, measured when first asked for and kept: one each quarter octave of load."""

    def __init__(self, measure: Callable[[Offer], Sequence[Latency]]) -> None:
        self._measure = measure
        self._known: dict[str, Floor | None] = {}

    def of(self, offer: Offer) -> Floor | None:
        """Return the floor of such an offer; None where the generator cannot be wired to itself.

        Raises:
            GeneratorError: the generator died or refused.
        """
        key = _alike(offer)
        if key not in self._known:
            self._known[key] = Floor.of(self._measure(_short(offer)))
        return self._known[key]


def _alike(offer: Offer) -> str:
    """Return what offers have in common whose floor is the same."""

    def bucket(rate_pps: float) -> float:
        return round(math.log2(rate_pps) * _BUCKETS_AN_OCTAVE)

    flows = (replace(flow, rate_pps=bucket(flow.rate_pps), frames=1) for flow in offer.flows)
    return str(replace(offer, flows=tuple(flows)))


def _short(offer: Offer) -> Offer:
    """Return the same load for as long as a floor takes, every frame sampled."""
    slowest_pps = min(flow.rate_pps for flow in offer.flows)
    span_s = min(max(FLOOR_S, FLOOR_FRAMES / slowest_pps), FLOOR_LONGEST_S)
    flows = tuple(replace(flow, frames=max(1, round(flow.rate_pps * span_s))) for flow in offer.flows)
    return replace(offer, flows=flows, latency_every=1)
