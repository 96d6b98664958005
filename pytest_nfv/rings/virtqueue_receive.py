"""The driver's receive queue: slots are read in place and given back by one index a batch."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.port import U8, U64, Arrived
from pytest_nfv.rings.virtqueue import QUIET, WRAP, WRITE, Virtqueue, step
from pytest_nfv.rings.virtqueue_driver import LOW, Buffers, Doorbell, check_heads

_USUAL_OCTETS = 60
_UPPER = np.uint64(32)

I64 = npt.NDArray[np.int64]


class ReceiveQueue:
    """Frames in. All slots are always with the device, but for those of the batch that is being read."""

    def __init__(self, ring: Virtqueue, buffers: Buffers, header: int, kick: int, name: str) -> None:
        self._ring, self._header, self._name = ring, header, name
        self._bell = Doorbell(ring, kick)
        size = ring.size
        self._size, self._mask = size, size - 1
        stride = len(buffers.area) // size
        self._capacity = stride
        self._frames: U8 = buffers.area[: size * stride].reshape(size, stride)[:, header:]
        table = ring.descriptors
        table["address"] = buffers.addresses(size, stride, 0)
        table["octets"], table["flags"], table["next"] = stride, WRITE, 0
        self._heads: U64 = np.arange(size, dtype=np.uint64)  # what was made available, by place in the ring
        self._in_place = True
        self._octets: I64 = np.zeros(size, np.int64)
        self._stamps: I64 = np.zeros(size, np.int64)
        ring.heads[:] = np.arange(size)
        ring.available[0] = QUIET
        self._seen = self._held = 0
        self.found_full = 0
        self._fill(header + _USUAL_OCTETS)

    def _fill(self, length: int) -> None:
        """Expect frames of `length` octets, header included."""
        self._expected = self._heads | np.uint64(length << 32)
        self._octets[:] = length - self._header

    def open(self) -> None:
        """Give the device all slots."""
        self._ring.available[1] = self._size & WRAP

    def receive(self, limit: int) -> Arrived | None:
        """Return what arrived, up to the ring's end; the stamp is the time of this call."""
        now = self._ring.returned[1]
        seen = self._seen
        if now == seen & WRAP:
            return None
        pending = step(now, seen, self._size, self._name)
        if pending == self._size:
            self.found_full += 1
        stamp_ns = time.monotonic_ns()
        first = seen & self._mask
        count = min(pending, limit, self._size - first)
        rows = slice(first, first + count)
        self._held = count
        if (self._ring.used[rows] == self._expected[rows]).all():
            octets = self._octets[:count]
        else:
            octets = self._sort_out(rows)
        stamps = self._stamps[:count]
        stamps.fill(stamp_ns)
        frames = self._frames[rows] if self._in_place else self._frames[self._heads[rows]]
        return Arrived(frames, octets, stamps)

    def _sort_out(self, rows: slice) -> I64:
        """Take what is out of order or of several lengths; return the lengths."""
        used = self._ring.used[rows].copy()
        lengths = (used >> _UPPER).astype(np.int64)
        least, most = int(lengths.min()), int(lengths.max())
        if least <= self._header or most > self._capacity:
            wrong = least if least <= self._header else most
            raise GeneratorError(
                f"{self._name}: the peer wrote {wrong} octets into a buffer: accepted: {self._header + 1} to "
                f"{self._capacity}, the {self._header} of the header included"
            )
        heads = used & LOW
        if not (heads == self._heads[rows]).all():
            self._permute(rows, heads)
        if least == most:
            self._fill(least)
        return lengths - self._header

    def _permute(self, rows: slice, heads: U64) -> None:
        """Take entries in the device's order: what it returns at `rows` is what will be given back there.

        Those that it was given there and has kept take the places, further on, of those that it returned early.
        """
        out = np.ones(self._size, np.bool_)
        check_heads(heads, out, self._name)
        given = self._heads[rows]
        kept = np.setdiff1d(given, heads, assume_unique=True)
        early = np.setdiff1d(heads, given, assume_unique=True)
        place = np.empty(self._size, np.int64)
        place[self._heads] = np.arange(self._size)
        self._heads[place[early]] = kept
        self._heads[rows] = heads
        self._expected = self._heads | (self._expected & ~LOW)
        self._in_place = False

    def release(self) -> None:
        """Give the slots back."""
        count = self._held
        if not count:
            return
        ring, seen = self._ring, self._seen
        if not self._in_place:
            first = seen & self._mask
            ring.heads[first : first + count] = self._heads[first : first + count]
        self._seen = seen + count
        self._held = 0
        ring.available[1] = (self._seen + self._size) & WRAP
        self._bell.ring()
