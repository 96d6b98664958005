"""The driver's transmit queue: slots are filled once, a batch costs its signatures and one index."""

from __future__ import annotations

import time

import numpy as np

from pytest_nfv.errors import GeneratorError
from pytest_nfv.model.offer import SIGNATURE_OCTETS
from pytest_nfv.rings.forwarding import Lengths, copy_frames
from pytest_nfv.rings.frames import I64, Frames, Prepared
from pytest_nfv.rings.port import U8, U64
from pytest_nfv.rings.slots import RingSlots
from pytest_nfv.rings.virtqueue import QUIET, WRAP, Virtqueue, step
from pytest_nfv.rings.virtqueue_driver import LOW, Buffers, Doorbell, check_heads

_LINE = 64


class TransmitQueue:
    """Frames out. Slots are filled when the frames come; a slot's frame ends where the slot ends.

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
        self._full = False

    def prepare(self, frames: Prepared) -> None:
        """Fill the slots.

        Raises:
            GeneratorError: the device holds on to frames sent before.
        """
        self.drain()
        whole = Frames.of(frames).behind(np.zeros(self._header, np.uint8))
        stride = -(-whole.longest // _LINE) * _LINE
        slots = self._buffers.area[: self._size * stride].reshape(self._size, stride)
        self._words: U64 = slots[:, stride - SIGNATURE_OCTETS :].view(np.uint64)
        self._ends: U64 = self._buffers.addresses(self._size, stride, stride)
        self._slots = RingSlots(whole, slots, self.burst_max, self._published & self._mask)
        self._ring.descriptors["flags"], self._ring.descriptors["next"] = 0, 0
        self._describe(slice(None), self._slots.octets)

    def _describe(self, rows: slice, octets: I64) -> None:
        """Tell where frames of these lengths begin, the header included."""
        table = self._ring.descriptors
        table["address"][rows] = self._ends[rows] - octets.astype(np.uint64)
        table["octets"][rows] = octets

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
        octets = self._slots.ready(first, len(words))
        if octets is not None:
            self._describe(slice(first, first + len(words)), octets)
        return words

    def commit(self, count: int) -> tuple[int, int]:
        """Publish; where `reserve` found the ring full, all `count` are refused."""
        if self._full:
            self._slots.refused(count)
            return 0, count
        self._slots.sent(count)
        self._published += count
        self._ring.available[1] = self._published & WRAP
        self._bell.ring()
        return count, 0

    def arrange(self, octets: int) -> None:
        """Have a frame begin where a cache line begins, its header before it, where the slot has room for that.

        A device that does not look at headers then reads one line of a 64 B frame.

        Raises:
            GeneratorError: the device holds on to frames sent before.
        """
        self.drain()
        header, stride = self._header, len(self._buffers.area) // self._size
        start = _LINE if _LINE + octets <= stride else header
        slots = self._buffers.area[: self._size * stride].reshape(self._size, stride)
        slots[:, start - header : start] = 0
        self._room: U8 = slots[:, start:]
        table = self._ring.descriptors
        table["address"] = self._buffers.addresses(self._size, stride, start - header)
        table["octets"], table["flags"], table["next"] = header + octets, 0, 0
        self._told = table["octets"]
        self._lengths = Lengths(self._size, octets)

    def forward(self, frames: U8, octets: I64) -> int:
        """Copy frames into free slots and publish them; return how many there was room for."""
        if self._size - self._published + self._free_to < len(frames):
            self._reclaim()
        taken = min(len(frames), self._size - self._published + self._free_to)
        if not taken:
            return 0
        width, told = self._lengths.widest(octets[:taken])
        done = 0
        while done < taken:
            first = (self._published + done) & self._mask
            rows = slice(first, first + min(taken - done, self._size - first))
            some = slice(done, done + rows.stop - first)
            copy_frames(self._room[rows], frames[some], width)
            if not told:
                self._told[rows] = octets[some] + self._header
            done = some.stop
        self._published += taken
        self._ring.available[1] = self._published & WRAP
        self._bell.ring()
        return taken

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
