"""A split virtqueue (virtio 1.2 section 2.7) seen as numpy arrays, by its driver or by its device.

    descriptor table  size x { u64 address, u32 length, u16 flags, u16 next }
    available ring    u16 flags, u16 index, size x u16 head           the driver writes it
    used ring         u16 flags, u16 index, size x { u32 head, u32 octets written }   the device writes it

Whoever publishes writes the entries first and the index last. x86 keeps loads in order and stores in order, and
numpy and memoryview do both in program order; other machines would need a barrier.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.port import U8, U64

SIZE_MIN, SIZE_MAX = 2, 32_768
NEXT, WRITE, INDIRECT = 1, 2, 4
QUIET = 1  # in the flags of either ring: its reader polls and wants no notification
WRAP = 0xFFFF
DESCRIPTOR = np.dtype([("address", "<u8"), ("octets", "<u4"), ("flags", "<u2"), ("next", "<u2")])
_LINE = 64
_HEAD = 4  # flags and index, before the entries of either ring
_FENCE = threading.Lock()

U16 = npt.NDArray[np.uint16]


def fence() -> None:
    """Make what was written visible before anything is read: taking a lock is an interlocked instruction."""
    with _FENCE:
        pass


def _lines(octets: int) -> int:
    return -(-octets // _LINE) * _LINE


@dataclass(frozen=True, slots=True)
class RingLayout:
    """Where the three parts of a queue of ours lie, as offsets from the start of its own, line-aligned area.

    Entries begin on a cache line, and the index lies alone at the end of the line before: a reader of entries that
    never change keeps them in its cache while the index goes back and forth, and used entries are aligned words.
    """

    size: int
    descriptors: int
    available: int
    used: int
    octets: int

    @classmethod
    def of(cls, size: int) -> RingLayout:
        """Lay a queue of `size` entries out."""
        available = 16 * size + _LINE - _HEAD
        used = _lines(available + _HEAD + 2 * size + 2) + _LINE - _HEAD
        return cls(size, 0, available, used, _lines(used + _HEAD + 8 * size + 2))


def octets_of(size: int) -> tuple[int, int, int]:
    """Return the octets of the three parts; those of the event fields, which nobody uses here, left out."""
    return 16 * size, _HEAD + 2 * size, _HEAD + 8 * size


class Virtqueue:
    """The arrays of one queue. Indices are Python integers that never wrap; `& WRAP` where they meet the memory.

    Attributes:
        descriptors: shape (size,), `DESCRIPTOR`.
        heads: shape (size,), the available ring's entries.
        used: shape (size,), the used ring's entries as words: head in the lower half, octets in the upper.
        available, returned: the flags ([0]) and the index ([1]) of the available and the used ring.
    """

    def __init__(self, size: int, descriptors: U8, available: U8, used: U8) -> None:
        table, ring, back = octets_of(size)
        self.size = size
        self.descriptors = descriptors[:table].view(DESCRIPTOR)
        self.heads: U16 = available[_HEAD:ring].view(np.uint16)
        self.used: U64 = used[_HEAD:back].view(np.uint64)
        self.available = available[:_HEAD].data.cast("H")
        self.returned = used[:_HEAD].data.cast("H")

    @classmethod
    def laid_out(cls, layout: RingLayout, area: U8) -> Virtqueue:
        """See the queue that lies in `area`."""
        return cls(layout.size, area[layout.descriptors :], area[layout.available :], area[layout.used :])


def step(now: int, before: int, most: int, name: str) -> int:
    """Return by how much a peer's index went on from `before`.

    Raises:
        GeneratorError: by more than `most`.
    """
    moved = (now - before) & WRAP
    if moved > most:
        raise GeneratorError(
            f"{name}: the peer's index went from {before & WRAP} to {now}, by {moved}; accepted: at most {most}"
        )
    return moved
