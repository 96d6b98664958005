"""Which frames of one flow came back: first copies, further copies, late ones. Exact, in memory for holes only.

Sequence numbers are expected in order. What was jumped over is a hole, kept as an interval; a frame from a hole is
late (RFC 4737's reordered: its number is below one that came before), one from nowhere is a further copy
(RFC 5560). In order, or in order with gaps, a batch costs a few array operations.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_WRAP = 1 << 32
_FIRST_ROOM = 1024


class Holes:
    """Disjoint intervals [start, end) in ascending order; a filled one stays behind, empty."""

    def __init__(self) -> None:
        self._starts: I64 = np.zeros(_FIRST_ROOM, np.int64)
        self._ends: I64 = np.zeros(_FIRST_ROOM, np.int64)
        self._count = 0

    def _room(self, more: int) -> None:
        need = self._count + more
        if need > len(self._starts):
            size = max(need, 2 * len(self._starts))
            self._starts, self._ends = np.resize(self._starts, size), np.resize(self._ends, size)

    def append(self, starts: I64, ends: I64) -> None:
        """Add intervals above all others."""
        self._room(len(starts))
        self._starts[self._count : self._count + len(starts)] = starts
        self._ends[self._count : self._count + len(starts)] = ends
        self._count += len(starts)

    def fill(self, numbers: I64) -> Mask:
        """Take ascending, distinct `numbers` out; return which of them were in a hole."""
        if not self._count:
            return np.zeros(len(numbers), np.bool_)
        at = np.searchsorted(self._starts[: self._count], numbers, side="right") - 1
        inside: Mask = (at >= 0) & (numbers < self._ends[np.maximum(at, 0)])
        hits, homes = numbers[inside], at[inside]
        if len(hits):
            breaks = np.flatnonzero((np.diff(hits) != 1) | (np.diff(homes) != 0)) + 1
            first, last = np.r_[0, breaks], np.r_[breaks, len(hits)] - 1
            self._cut(homes[first], hits[first], hits[last] + 1)
        return inside

    def _cut(self, homes: I64, starts: I64, ends: I64) -> None:
        """Take the runs [starts, ends) out of the holes numbered `homes`."""
        alone = np.bincount(homes - homes[0])[homes - homes[0]] == 1
        front = alone & (self._starts[homes] == starts)
        back = alone & ~front & (self._ends[homes] == ends)
        self._starts[homes[front]] = ends[front]
        self._ends[homes[back]] = starts[back]
        for one in np.flatnonzero(~(front | back))[::-1]:  # from above, so that the numbers below stay right
            self._split(int(homes[one]), int(starts[one]), int(ends[one]))

    def _split(self, home: int, start: int, end: int) -> None:
        self._room(1)
        for array in (self._starts, self._ends):
            array[home + 2 : self._count + 1] = array[home + 1 : self._count].copy()
        self._count += 1
        self._starts[home + 1], self._ends[home + 1] = end, self._ends[home]
        self._ends[home] = start


class Tracker:
    """Counts of one flow in one trial.

    Attributes:
        received: first copies; reordered: those of them that came late; duplicated: further copies.
    """

    def __init__(self) -> None:
        self._next = 0
        self._holes = Holes()
        self.received = self.reordered = self.duplicated = 0

    def unwrap(self, low: npt.NDArray[np.uint64]) -> I64:
        """Return the whole numbers whose low 32 bits are `low`: those nearest to what comes next."""
        steps = low.astype(np.uint32) - np.uint32(self._next % _WRAP)
        numbers: I64 = steps.view(np.int32).astype(np.int64)
        numbers += self._next
        return numbers

    @property
    def next(self) -> int:
        """The number that comes next where nothing is lost."""
        return self._next

    def follow(self, count: int) -> None:
        """Take the next `count` frames, in order: what `add` would make of them, without a look at each."""
        self._next += count
        self.received += count

    def add(self, numbers: I64) -> Mask | None:
        """Take frames in arrival order; return which were first copies, None for all."""
        count = len(numbers)
        if not count:
            return None
        steps = np.empty(count, np.int64)
        steps[0] = numbers[0] - self._next + 1
        np.subtract(numbers[1:], numbers[:-1], out=steps[1:])
        least = int(steps.min())
        if least >= 1:
            if int(steps.max()) > 1:
                self._gaps(numbers, steps)
            self._next = int(numbers[-1]) + 1
            self.received += count
            return None
        return self._mixed(numbers)

    def _gaps(self, numbers: I64, steps: I64) -> None:
        after = steps > 1
        ends = numbers[after]
        self._holes.append(ends - steps[after] + 1, ends)

    def _mixed(self, numbers: I64) -> Mask:
        highest = np.maximum.accumulate(np.r_[self._next - 1, numbers[:-1]])
        first: Mask = numbers > highest
        self.add(numbers[first])
        late, where = np.unique(numbers[~first], return_index=True)
        filled = self._holes.fill(late)
        found = int(filled.sum())
        self.received += found
        self.reordered += found
        self.duplicated += int((~first).sum()) - found
        first[np.flatnonzero(~first)[where[filled]]] = True
        return first
