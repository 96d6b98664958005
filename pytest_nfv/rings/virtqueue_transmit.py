"""The driver's transmit queue: slots are filled once, a batch costs its signatures and one index."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from pytest_nfv.errors import GeneratorError
from pytest_nfv.model.offer import SIGNATURE_OCTETS
from pytest_nfv.rings.port import U8, U64
from pytest_nfv.rings.virtqueue import QUIET, WRAP, Virtqueue, step
from pytest_nfv.rings.virtqueue_driver import LOW, Buffers, Doorbell, check_heads

_LINE = 64

I64 = npt.NDArray[np.int64]


class TransmitQueue:
    """Frames out. Slots are filled when the templates come; a slot's frame ends where the slot ends.

    So only the last cache line of a frame is ever written, and the device finds the others in its own cache.
    """

    def __init__(self, ring: Virtqueue, buffers: Buffers, header: int, kick: int, name: str) -> None:
        self._ring, self._buffers, self._header, self._name = ring, buffers, header, name
        self._bell = Doorbell(ring, kick)
        self._size, self._mask = ring.size, ring.size - 1
        self.burst_max = max(1, ring.size // 4)
        self._spill: U64 = np.zeros((self.burst_max, 2), np.uint64)
        self._heads: U64 = np.arange(ring.size, dtype=np.uint64)
        self._done = np.zeros(ring.size, np.bool_)
        ring.heads[:] = np.arange(ring.size)
        ring.available[0] = QUIET
        self._published = self._seen = self._free_to = 0
        self._turn = 0
        self._full = False

    def prepare(self, templates: U8) -> None:
        """Fill the slots.

        Raises:
            GeneratorError: the device holds on to frames sent before.
        """
        self.drain()
        count, octets = templates.shape
        lead_and_frame = self._header + octets
        stride = -(-lead_and_frame // _LINE) * _LINE
        slots = self._buffers.area[: self._size * stride].reshape(self._size, stride)
        slots[:, stride - lead_and_frame : stride - octets] = 0
        self._frames: U8 = slots[:, stride - octets :]
        self._words: U64 = slots[:, stride - SIGNATURE_OCTETS :].view(np.uint64)
        table = self._ring.descriptors
        table["address"] = self._buffers.addresses(self._size, stride, stride - lead_and_frame)
        table["octets"], table["flags"], table["next"] = lead_and_frame, 0, 0
        self._templates = templates.copy()
        self._held: I64 = (np.arange(self._size) - self._published) % count  # the next slot has the first template
        self._frames[:] = templates[self._held]
        self._turn = 0
        self._by_slot = self._size % count == 0

    def drain(self, wait_s: float = 1.0) -> None:
        """Wait until the device has returned every frame.

        Raises:
            GeneratorError: it has not within `wait_s`.
        """
        deadline = time.monotonic() + wait_s
        while self._free_to < self._published:
            before = self._seen
            self._reclaim()
            if self._seen > before:
                deadline = time.monotonic() + wait_s
            elif time.monotonic() > deadline:
                raise GeneratorError(
                    f"{self._name}: the peer polls no more: it holds {self._published - self._seen} frames "
                    f"and returned none within {wait_s:g} s"
                )

    def reserve(self, count: int) -> U64:
        """Return the signature words of free slots, up to the ring's end; of none of the ring where it is full."""
        count = min(count, self.burst_max)
        room = self._size - self._published + self._free_to
        if room < count:
            self._reclaim()
            room = self._size - self._published + self._free_to
        self._full = not room
        if self._full:
            return self._spill[:count]
        first = self._published & self._mask
        words = self._words[first : first + min(count, room)]
        if not self._by_slot:
            self._refill(first, len(words))
        return words

    def _refill(self, first: int, count: int) -> None:
        """Put the templates whose turn it is where others lie."""
        wanted = (self._turn + np.arange(count)) % len(self._templates)
        if not np.array_equal(self._held[first : first + count], wanted):
            self._frames[first : first + count] = self._templates[wanted]
            self._held[first : first + count] = wanted

    def commit(self, count: int) -> tuple[int, int]:
        """Publish; where `reserve` found the ring full, all `count` are refused."""
        self._turn += count
        if self._full:
            if self._by_slot and len(self._templates) > 1:  # slots and turns go together no more
                self._by_slot = False
            return 0, count
        self._published += count
        self._ring.available[1] = self._published & WRAP
        self._bell.ring()
        return count, 0

    def _reclaim(self) -> None:
        """Take note of the frames that the device is done with."""
        ring, seen = self._ring, self._seen
        moved = step(ring.returned[1], seen, self._published - seen, self._name)
        while moved:
            first = seen & self._mask
            count = min(moved, self._size - first)
            heads = ring.used[first : first + count] & LOW
            if self._free_to == seen and (heads == self._heads[first : first + count]).all():
                self._free_to += count
            else:
                self._sort_out(heads, seen)
            seen += count
            moved -= count
            self._seen = seen

    def _sort_out(self, heads: U64, seen: int) -> None:
        """Take heads that are out of order: slots are free up to the first that is still out."""
        out = np.zeros(self._size, np.bool_)
        out[np.arange(self._free_to, self._published) & self._mask] = True
        out &= ~self._done
        check_heads(heads, out, self._name)
        self._done[heads] = True
        row = np.arange(self._free_to, self._published) & self._mask
        waiting = ~self._done[row]
        free = int(waiting.argmax()) if waiting.any() else len(row)
        self._done[row[:free]] = False
        self._free_to += free

    @property
    def progress(self) -> tuple[int, int]:
        """Frames that the device returned so far, and those that it holds now.

        Raises:
            GeneratorError: it returned what it never had.
        """
        self._reclaim()
        return self._seen, self._published - self._seen
