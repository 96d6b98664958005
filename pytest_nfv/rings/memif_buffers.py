"""Buffers of a memif client as the server finds them: it may put them anywhere, and say anything about them.

A client that gave each slot its own buffer, one after the other, as DPDK's does, is served by views; for any other
frames are copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.memif_ring import LENGTH, Ring
from pytest_nfv.rings.port import U8, U64

_REGION = np.uint64(16)
_REGION_MASK = np.uint64(0xFFFF)
_LOW = np.uint64(0xFFFFFFFF)
_LINE = 64

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Slots:
    """Checked slots, all in one region; arrays of shape (n,)."""

    region: U8
    number: int
    offsets: I64
    lengths: I64


class ClientBuffers:
    """Where the client's buffers lie, behind the slots of one ring."""

    def __init__(self, ring: Ring, regions: Sequence[U8]) -> None:
        self._ring = ring
        self._regions = tuple(regions)
        self._even()

    def _even(self) -> None:
        """Look whether all buffers lie one after the other, in the order of the slots."""
        self._rows: U8 | None = None
        words = self._ring.words.copy()
        offsets = (words[:, 1] & _LOW).astype(np.int64)
        numbers = words[:, 0] >> _REGION & _REGION_MASK
        slots, stride = len(offsets), int(offsets[1] - offsets[0])
        start, number = int(offsets[0]), int(numbers[0])
        if stride < _LINE or number >= len(self._regions) or not (numbers == numbers[0]).all():
            return
        area = self._regions[number][start : start + slots * stride]
        if len(area) < slots * stride or not (offsets == start + stride * np.arange(slots)).all():
            return
        self._rows = area.reshape(slots, stride)
        self._number, self._offsets = number, offsets
        self._seconds = offsets.astype(np.uint64)

    def alike(self, words: U64, first: int) -> tuple[U8, int] | None:
        """Return the buffers as a view, and their one length, where a look at slots that are all alike is enough.

        Args:
            words: slots, as copied from the ring.
            first: number of the first of them.
        """
        if self._rows is None:
            return None
        rows, head = slice(first, first + len(words)), int(words[0, 0])
        if head & 0xFFFFFFFF != self._number << 16 or head >> 32 > self._rows.shape[1]:
            return None
        if not ((words[:, 0] == words[0, 0]).all() and (words[:, 1] == self._seconds[rows]).all()):
            return None
        return self._rows[rows], head >> 32

    def read(self, words: U64) -> Slots:
        """Check slots, as copied from the ring; return those up to a change of region.

        Raises:
            GeneratorError: one does not lie in its region.
        """
        numbers = words[:, 0] >> _REGION & _REGION_MASK
        same = numbers == numbers[0]
        if not same.all():
            words = words[: int(same.argmin())]
        number = int(numbers[0])
        if number >= len(self._regions):
            raise GeneratorError(
                f"{self._ring.name}: the peer put a buffer into region {number}: it has {len(self._regions)}"
            )
        region = self._regions[number]
        offsets = (words[:, 1] & _LOW).astype(np.int64)
        lengths = (words[:, 0] >> LENGTH).astype(np.int64)
        ends = offsets + lengths
        if int(ends.max()) > len(region):
            wrong = int(ends.argmax())
            raise GeneratorError(
                f"{self._ring.name}: the peer put a buffer at {int(offsets[wrong])} with {int(lengths[wrong])} "
                f"octets: region {number} ends at {len(region)}"
            )
        return Slots(region, number, offsets, lengths)

    def view(self, slots: Slots, first: int, octets: int) -> U8 | None:
        """Return the buffers as a view, or None where they do not lie evenly or are too small for `octets`."""
        if self._rows is None or octets > self._rows.shape[1] or slots.number != self._number:
            return None
        rows = slice(first, first + len(slots.offsets))
        return self._rows[rows] if np.array_equal(slots.offsets, self._offsets[rows]) else None


def gather(slots: Slots, octets: int) -> U8:
    """Return copies of `octets` from each offset on; what would lie behind the region's end is zero."""
    octets = max(1, octets)
    windows = np.lib.stride_tricks.sliding_window_view(slots.region, octets)
    at = np.minimum(slots.offsets, len(windows) - 1)
    frames: U8 = windows[at]
    for row in np.flatnonzero(at != slots.offsets):
        rest = slots.region[int(slots.offsets[row]) :]
        frames[row] = 0
        frames[row, : len(rest)] = rest
    return frames


def scatter(slots: Slots, frames: U8) -> None:
    """Write a frame at each offset; all must have room."""
    windows = np.lib.stride_tricks.sliding_window_view(slots.region, frames.shape[1], writeable=True)
    windows[slots.offsets] = frames
