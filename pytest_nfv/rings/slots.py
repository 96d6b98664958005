"""Frames put into slots, for the transmit side of every ring: what does not change is never written again.

A frame ends where its slot ends, whatever its length: signatures are a column of words.
"""

from __future__ import annotations

import numpy as np

from pytest_nfv.rings.frames import I64, Frames, Rows, anywhere
from pytest_nfv.rings.port import U8


class Slots:
    """Writes frames, by their numbers, into rows. `batch` is the most that one call writes."""

    def __init__(self, frames: Frames, rows: U8, batch: int) -> None:
        """Use `rows`, shape (slots, longest frame or more)."""
        self._rows = rows[:, rows.shape[1] - frames.longest :]
        self._templates = frames.templates
        self._period = frames.period
        self._cycle = np.arange(batch + self._period) % self._period
        self._octets = frames.octets[self._cycle]
        self._alike = frames.alike
        self._count = 0
        if frames.varied is not None:
            self._count = len(frames.varied)
            self._varied: Rows = frames.varied[np.arange(batch + self._count) % self._count]
            self._place(frames)

    def _place(self, frames: Frames) -> None:
        """Find the octets that vary: in one column, or in one each template."""
        width = self._varied.dtype.itemsize
        columns = frames.longest - frames.octets + frames.at
        self._column: Rows | None = None
        if (columns == columns[0]).all():
            first = int(columns[0])
            self._column = self._rows[:, first : first + width].view(self._varied.dtype)[:, 0]
        else:
            self._anywhere = anywhere(self._rows, width)
            self._columns = columns[self._cycle]
            self._starts: I64 = np.arange(len(self._rows)) * self._rows.strides[0]

    def octets(self, number: int, count: int) -> I64:
        """Return the lengths of `count` frames from `number` on."""
        turn = number % self._period
        return self._octets[turn : turn + count]

    def write(self, first: int, number: int, count: int) -> None:
        """Write frames from `number` on, whole, into rows from `first` on."""
        if self._period == 1:
            self._rows[first : first + count] = self._templates
        else:
            turn = number % self._period
            self._rows[first : first + count] = self._templates[self._cycle[turn : turn + count]]
        self.vary(first, number, count)

    def vary(self, first: int, number: int, count: int) -> None:
        """Write only what varies: the rest is there."""
        if not self._count:
            return
        row = number % self._count
        varied = self._varied[row : row + count]
        if self._column is not None:
            self._column[first : first + count] = varied
        else:
            turn = number % self._period
            self._anywhere[self._starts[first : first + count] + self._columns[turn : turn + count]] = varied

    def left(self, first: int, number: int, count: int) -> U8:
        """Return rows that begin where their frames begin; what follows a frame is anything.

        They are views where all frames have one length, else copies.
        """
        if self._alike:
            return self._rows[first : first + count]
        longest = self._rows.shape[1]
        starts = np.arange(first, first + count) * self._rows.strides[0] + longest - self.octets(number, count)
        # a short frame's octets are read on into the next row, which is why `AsideSlots` has one more
        copies: U8 = anywhere(self._rows, longest)[starts].view(np.uint8).reshape(count, longest)
        return copies


class RingSlots:
    """The slots of a ring, filled when the frames come, and again only where they hold another frame than is due.

    A ring that P and N divide goes on for ever. Refused frames put slots and frames out of step: then every slot
    is filled once more.

    Attributes:
        octets: shape (slots,), the length of the frame in each slot at first.
    """

    def __init__(self, frames: Frames, rows: U8, batch: int, first: int) -> None:
        """Use `rows`, shape (slots, longest frame or more); slot `first` is the next."""
        size = len(rows)
        self._slots = Slots(frames, rows, batch)
        self._size = size
        self._alike = frames.alike
        self._one = frames.period == 1
        self._fits = size % frames.period == 0
        self._varies = frames.varied is not None
        self._varied_fits = frames.varied is None or size % len(frames.varied) == 0
        self._turn = self._stale = 0
        self.octets: I64 = frames.octets[(np.arange(size) - first) % frames.period]
        for start, end in ((first, size), (0, first)):
            for slot in range(start, end, batch):
                self._slots.write(slot, (slot - first) % size, min(batch, end - slot))
        self._rewrite = frames.rewrite
        self._settled = self._one and not self._varies and not self._rewrite

    def ready(self, first: int, count: int) -> I64 | None:
        """Have the slots from `first` on hold the frames that are due; return their lengths if these changed."""
        if self._settled:
            return None
        if self._rewrite or (not self._one and (self._stale or not self._fits)):
            self._slots.write(first, self._turn, count)
            return None if self._alike else self._slots.octets(self._turn, count)
        if self._varies and (self._stale or not self._varied_fits):
            self._slots.vary(first, self._turn, count)
        return None

    def sent(self, count: int) -> None:
        """Go on: the next `count` slots are out."""
        self._turn += count
        if self._stale:
            self._stale = max(0, self._stale - count)

    def refused(self, count: int) -> None:
        """Pass over the next `count` frames, with no slot."""
        self._turn += count
        self._stale = self._size


class AsideSlots:
    """Rows where a batch is put together that is then copied, from the row on that has the template that is due.

    Attributes:
        octets: shape (rows,), the length of the frame in each row.
    """

    def __init__(self, frames: Frames, rows: U8, batch: int) -> None:
        """Use `rows`, shape (`rows_for`, longest frame or more)."""
        self._slots = Slots(frames, rows, batch)
        self._period = frames.period
        self._rewrite = frames.rewrite
        self._turn = 0
        self.octets: I64 = frames.octets[np.arange(len(rows)) % self._period]
        for row in range(0, len(rows), batch):
            self._slots.write(row, row, min(batch, len(rows) - row))

    @staticmethod
    def rows_for(frames: Frames, batch: int) -> int:
        """Return how many rows batches of up to `batch` need."""
        return batch + frames.period + 1

    @property
    def first(self) -> int:
        """The row that has the frame that is due."""
        return self._turn % self._period

    def ready(self, count: int) -> int:
        """Have the rows from the one that is returned on hold the frames that are due."""
        first = self._turn % self._period
        (self._slots.write if self._rewrite else self._slots.vary)(first, self._turn, count)
        return first

    def left(self, skip: int, count: int) -> U8:
        """Return the frames that are due, `skip` left out, in rows that begin where they do."""
        return self._slots.left(self.first + skip, self._turn + skip, count)

    def went(self, count: int) -> None:
        """Go on by `count` frames."""
        self._turn += count
