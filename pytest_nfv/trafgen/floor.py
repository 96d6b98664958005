"""The generator wired back to itself: the same work over wires of memory, to tell its own share of a latency."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import monotonic_ns

from pytest_nfv.model.offer import Offer
from pytest_nfv.model.trial import Direction, Latency
from pytest_nfv.rings.loopback import LoopbackPort
from pytest_nfv.trafgen.engine import Tick, Trial


def measure(offer: Offer, tick: Tick, clock: Callable[[], int] = monotonic_ns) -> tuple[Latency, ...]:
    """Return what latencies an offer has with no device and no ring of another's on the way, by direction.

    A frame is at the far end as soon as it is sent, so that what is left is the loop itself: from the stamp, over
    writing frames and whatever else is due, to the look that finds it.
    """
    ways = wired(tuple(dict.fromkeys(flow.direction for flow in offer.flows)))
    flows = tuple(replace(flow, direction=ways[flow.direction]) for flow in offer.flows)
    wires = max(way.tx for way in ways.values()) // 2 + 1
    ends = [end for _ in range(wires) for end in LoopbackPort.pair(clock=clock)]
    report = Trial(ends, replace(offer, flows=flows, role="both"), tick, clock).run()
    back = {local: way for way, local in ways.items()}
    return tuple(replace(one, direction=back[one.direction]) for one in report.latency)


def wired(ways: tuple[Direction, ...]) -> dict[Direction, Direction]:
    """Return each direction's place on wires that have the ends 0 and 1, 2 and 3: there and back share one."""
    found: dict[Direction, Direction] = {}
    for way in ways:
        back = found.get(Direction(way.rx, way.tx))
        first = 2 * len({place.tx // 2 for place in found.values()})
        found[way] = Direction(first, first + 1) if back is None else Direction(back.rx, back.tx)
    return found
