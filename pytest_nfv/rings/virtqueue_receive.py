"""The driver's receive queue: slots are read in place and given back by one index a batch.

The device goes round all slots that it has. Where frames are long, these together are more than the caches hold,
and each frame costs memory's time: with 1518 B and 16,384 slots, testpmd forwarded half of what it did with 2,048.
So with long frames the device gets fewer slots (`narrow`), which hold as long a time there.
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.port import U8, U64, Arrived
from pytest_nfv.rings.virtqueue import QUIET, WRAP, WRITE, Virtqueue, step
from pytest_nfv.rings.virtqueue_driver import LOW, Buffers, Doorbell, check_heads

_USUAL_OCTETS = 60
CACHED_OCTETS = 4 << 20
"""What slots in use may come to."""
NARROWEST = 1024
_LINE = 64
_UPPER = np.uint64(32)

I64 = npt.NDArray[np.int64]


class ReceiveQueue:
    """Frames in. `window` slots are always with the device, but for those of the batch that is being read.

    Positions count what was made available since the ring began: from `seen` to `posted` it is with the device.
    The ring has a place for each position, and each place names a slot, the head.
    """

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
        self._steps: U64 = np.arange(size, dtype=np.uint64)
        self._ordered = True  # each place names the slot of its own number
        ring.heads[:] = np.arange(size)
        ring.available[0] = QUIET
        self._seen = self._held = self._posted = 0
        self.window = size
        self.found_full = 0
        self._fill(header + _USUAL_OCTETS)

    def _fill(self, length: int) -> None:
        """Expect frames of `length` octets, header included."""
        self._expected = self._heads | np.uint64(length << 32)
        self._octets[:] = length - self._header

    def open(self) -> None:
        """Give the device all slots."""
        self._posted = self._size
        self._ring.available[1] = self._posted & WRAP

    def narrow(self, octets: int) -> None:
        """Let the device have as many slots as frames of so many octets, header left out, keep in the caches."""
        lines = -(-(octets + self._header) // _LINE) * _LINE
        window = self._size
        while window > NARROWEST and window * lines > CACHED_OCTETS:
            window //= 2
        self.window = window
        room = window - (self._posted - self._seen)
        if room > 0:
            idle = np.ones(self._size, np.bool_)
            idle[self._heads[self._places(self._seen, self._posted)]] = False
            self._post(np.flatnonzero(idle)[:room].astype(np.uint64))

    def _places(self, start: int, end: int) -> I64:
        places: I64 = np.arange(start, end) & self._mask
        return places

    def _post(self, heads: U64) -> None:
        """Give the device slots."""
        places = self._places(self._posted, self._posted + len(heads))
        if not self._in_place or not (self._heads[places] == heads).all():
            self._ordered = False
            self._heads[places] = heads
            self._ring.heads[places] = heads
            self._expected[places] = heads | (self._expected[0] & ~LOW)
        self._posted += len(heads)
        self._ring.available[1] = self._posted & WRAP
        self._bell.ring()

    def receive(self, limit: int) -> Arrived | None:
        """Return what arrived, up to the ring's end; the stamp is the time of this call."""
        now = self._ring.returned[1]
        seen = self._seen
        if now == seen & WRAP:
            return None
        pending = step(now, seen, self._posted - seen, self._name)
        if pending == self._posted - seen:
            self.found_full += 1
        stamp_ns = time.monotonic_ns()
        first = seen & self._mask
        count = min(pending, limit, self._size - first)
        if self._in_place and not self._ordered:
            count = self._run(first, count)
        rows = slice(first, first + count)
        self._held = count
        if (self._ring.used[rows] == self._expected[rows]).all():
            octets = self._octets[:count]
        else:
            octets = self._sort_out(rows)
        stamps = self._stamps[:count]
        stamps.fill(stamp_ns)
        return Arrived(self._lying(first, count), octets, stamps)

    def _run(self, first: int, count: int) -> int:
        """Return how many places from `first` on name slots that lie one behind the other."""
        heads = self._heads[first : first + count]
        elsewhere = heads != heads[0] + self._steps[:count]
        return int(elsewhere.argmax()) if elsewhere.any() else count

    def _lying(self, first: int, count: int) -> U8:
        """Return the frames of some places: views where their slots lie one behind the other."""
        if not self._in_place:
            return self._frames[self._heads[first : first + count]]
        slot = first if self._ordered else int(self._heads[first])
        return self._frames[slot : slot + count]

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
        places = self._places(self._seen, self._posted)
        out = np.zeros(self._size, np.bool_)
        out[self._heads[places]] = True
        check_heads(heads, out, self._name)
        given = self._heads[rows]
        kept = np.setdiff1d(given, heads, assume_unique=True)
        early = np.setdiff1d(heads, given, assume_unique=True)
        place = np.empty(self._size, np.int64)
        place[self._heads[places]] = places
        self._heads[place[early]] = kept
        self._heads[rows] = heads
        self._expected = self._heads | (self._expected & ~LOW)
        self._in_place = self._ordered = False

    def release(self) -> None:
        """Give the slots back."""
        count = self._held
        if not count:
            return
        first = self._seen & self._mask
        self._seen += count
        self._held = 0
        if self._ordered and self.window == self._size == self._posted - self._seen + count:
            self._posted += count  # each place names its own slot again
            self._ring.available[1] = self._posted & WRAP
            self._bell.ring()
            return
        back = self._heads[first : first + count].copy()  # as the device returned them
        room = self.window - (self._posted - self._seen)
        if room > 0:
            self._post(back[:room])
