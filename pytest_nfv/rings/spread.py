"""Several queues as one. Each flow keeps to one queue, as receive-side scaling has it, and so keeps its order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

import numpy as np

from pytest_nfv.rings.forwarding import flow_queue
from pytest_nfv.rings.frames import I64, Frames, Prepared
from pytest_nfv.rings.port import U8, U64, Arrived


class Sender(Protocol):
    """One transmit queue, as `Port` has it."""

    burst_max: int

    def prepare(self, frames: Prepared) -> None: ...  # noqa: D102 - see Port

    def reserve(self, count: int) -> U64: ...  # noqa: D102 - see Port

    def commit(self, count: int) -> tuple[int, int]: ...  # noqa: D102 - see Port

    def arrange(self, octets: int) -> None: ...  # noqa: D102 - see ForwardingPort

    def forward(self, frames: U8, octets: I64) -> int: ...  # noqa: D102 - see ForwardingPort


class Receiver(Protocol):
    """One receive queue, as `Port` has it."""

    def receive(self, limit: int) -> Arrived | None: ...  # noqa: D102 - see Port

    def release(self) -> None: ...  # noqa: D102 - see Port


R = TypeVar("R", bound=Receiver)


class Spread:
    """Transmit queues side by side: template i goes out of queue i modulo their number.

    Where octets vary, it is frame i: a 5-tuple keeps to one queue if the number of queues divides theirs. The
    words of a batch are written aside and dealt out on commit; a queue without room refuses its share.
    """

    def __init__(self, queues: Sequence[Sender]) -> None:
        self._queues = tuple(queues)
        self.burst_max = min(queue.burst_max for queue in queues)
        self._words: U64 = np.zeros((self.burst_max, 2), np.uint64)

    def prepare(self, frames: Prepared) -> None:
        """Give each queue its frames."""
        table = Frames.of(frames)
        queues = len(self._queues)
        self._turn = 0
        if table.varied is None:
            self._count = table.period
            for index, queue in enumerate(self._queues[: self._count]):
                some = slice(index, None, queues)
                queue.prepare(replace(table, templates=table.templates[some], octets=table.octets[some]))
        else:
            self._count = queues
            for index, queue in enumerate(self._queues):
                queue.prepare(table.every(index, queues))

    def reserve(self, count: int) -> U64:
        """Return words to be dealt out."""
        return self._words[: min(count, self.burst_max)]

    def commit(self, count: int) -> tuple[int, int]:
        """Deal out; return (taken, refused), which sum to `count`."""
        template = (self._turn + np.arange(count)) % self._count
        self._turn = (self._turn + count) % self._count
        refused = 0
        for index, queue in enumerate(self._queues[: self._count]):
            words = self._words[np.flatnonzero(template % len(self._queues) == index)]
            while len(words):
                slots = queue.reserve(len(words))
                slots[:] = words[: len(slots)]
                refused += queue.commit(len(slots))[1]
                words = words[len(slots) :]
        return count - refused, refused

    def arrange(self, octets: int) -> None:
        """Lay out the slots of every queue."""
        for queue in self._queues:
            queue.arrange(octets)

    def forward(self, frames: U8, octets: I64) -> int:
        """Deal frames out by their flow; return how many were taken."""
        chosen, taken = flow_queue(frames, len(self._queues)), 0
        for index, queue in enumerate(self._queues):
            rows = np.flatnonzero(chosen == index)
            if len(rows):
                taken += queue.forward(frames[rows], octets[rows])
        return taken


class Gather(Generic[R]):
    """Receive queues side by side, asked in turn."""

    def __init__(self, queues: Sequence[R]) -> None:
        self.queues = tuple(queues)
        self._next = 0
        self._last = self.queues[0]

    def receive(self, limit: int) -> Arrived | None:
        """Return what arrived at the next queue that has something."""
        for _ in self.queues:
            queue = self.queues[self._next]
            self._next = (self._next + 1) % len(self.queues)
            arrived = queue.receive(limit)
            if arrived is not None:
                self._last = queue
                return arrived
        return None

    def release(self) -> None:
        """Give the slots of the last batch back."""
        self._last.release()
