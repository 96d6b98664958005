"""The generator wired back to itself: the same work over wires of memory, to tell its own share of a latency."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import monotonic_ns
from typing import Any, cast

import numpy as np

from pytest_nfv.model.offer import Offer
from pytest_nfv.model.trial import Direction, Latency
from pytest_nfv.rings.loopback import LoopbackPort
from pytest_nfv.rings.port import Arrived, Port
from pytest_nfv.trafgen.engine import Tick, Trial


def measure(
    offer: Offer, tick: Tick, clock: Callable[[], int] = monotonic_ns, *, stamped: bool = False
) -> tuple[Latency, ...]:
    """Return what latencies an offer has with no device and no ring of another's on the way, by direction.

    A frame is at the far end as soon as it is sent, so that what is left is the loop itself: from the stamp, over
    writing frames and whatever else is due, to the look that finds it. With `stamped` ports, whose kernel stamps
    what arrives, that look is no part of a latency: there the floor ends when the frame is at the far end.
    """
    ways = wired(tuple(dict.fromkeys(flow.direction for flow in offer.flows)))
    flows = tuple(replace(flow, direction=ways[flow.direction]) for flow in offer.flows)
    wires = max(way.tx for way in ways.values()) // 2 + 1
    pairs = [LoopbackPort.pair(clock=clock) for _ in range(wires)]
    ends = [end for pair in pairs for end in (_stamping(pair, clock) if stamped else pair)]
    report = Trial(ends, replace(offer, flows=flows, role="both"), tick, clock, stamped=stamped).run()
    back = {local: way for way, local in ways.items()}
    return tuple(replace(one, direction=back[one.direction]) for one in report.latency)


class _Stamping:
    """One end of a wire that stamps frames as they are put on it; the rest is the end's own."""

    def __init__(self, end: Port, out: list[int], back: list[int], clock: Callable[[], int]) -> None:
        self._end, self._out, self._back, self._clock = end, out, back, clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._end, name)

    def commit(self, count: int) -> tuple[int, int]:
        taken, refused = self._end.commit(count)
        self._out += [self._clock()] * taken
        return taken, refused

    def receive(self, limit: int) -> Arrived | None:
        arrived = self._end.receive(limit)
        if arrived is None:
            return None
        count = len(arrived.octets)
        stamps_ns = np.array(self._back[:count], np.int64)
        del self._back[:count]
        return replace(arrived, stamps_ns=stamps_ns)


def _stamping(pair: tuple[Port, Port], clock: Callable[[], int]) -> tuple[Port, Port]:
    there: list[int] = []
    back: list[int] = []
    ends = _Stamping(pair[0], there, back, clock), _Stamping(pair[1], back, there, clock)
    return cast(tuple[Port, Port], ends)  # what they do not say themselves, `__getattr__` hands on


def wired(ways: tuple[Direction, ...]) -> dict[Direction, Direction]:
    """Return each direction's place on wires that have the ends 0 and 1, 2 and 3: there and back share one."""
    found: dict[Direction, Direction] = {}
    for way in ways:
        back = found.get(Direction(way.rx, way.tx))
        first = 2 * len({place.tx // 2 for place in found.values()})
        found[way] = Direction(first, first + 1) if back is None else Direction(back.rx, back.tx)
    return found
