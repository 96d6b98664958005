"""A memif ring seen as arrays, by its client, which owns the memory, or by its server.

    0  u32 cookie   4  u16 flags   6  u16 head      64  u16 tail
    128 + 16 i      slot i: u16 flags, u16 region, u32 length, u32 offset, u32 metadata

The client moves `head`, the server `tail`. On the ring to the server the client publishes frames up to `head`, and
gets the slots back up to `tail`; on the ring to the client it hands out empty buffers up to `head`, and the server
fills them up to `tail`. So on either ring the client may touch `slots` less `head - tail` slots, and the server
`head - tail`, each from its own index on. Indices are numbers modulo 2**16.

Whoever publishes writes slots and buffers first and the index last. x86 keeps loads in order and stores in order,
and numpy and memoryview do both in program order; other machines would need a barrier.
"""

from __future__ import annotations

import contextlib
import os
import select

import numpy as np
import numpy.typing as npt

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.port import U8, U64, Arrived
from pytest_nfv.rings.virtqueue import fence

COOKIE = 0x3E31F20
HEADER_OCTETS, SLOT_OCTETS = 128, 16
NEXT = 1  # in a slot's flags: the frame goes on in the next slot
LENGTH = np.uint64(32)  # where the length begins in a slot's first word
QUIET = 1  # in a ring's flags: its reader polls and wants no event
FRAME_OCTETS_MAX = 65_535
_WRAP = 0xFFFF

I64 = npt.NDArray[np.int64]


def ring_octets(slots: int) -> int:
    """Return how much memory a ring takes."""
    return HEADER_OCTETS + slots * SLOT_OCTETS


class Ring:
    """One ring as one end sees it.

    Attributes:
        slots: their number, a power of two; mask: to get a slot from an index.
        words: shape (slots, 2): flags, region and length in the first, offset and metadata in the second.
        position: this end's own index, never read back from memory that the peer writes too.
    """

    def __init__(self, memory: U8, *, client: bool, event: int, name: str) -> None:
        """See a ring in `memory`, `ring_octets(slots)` of it; `event` is its eventfd, -1 for none."""
        self.slots = (len(memory) - HEADER_OCTETS) // SLOT_OCTETS
        self.mask = self.slots - 1
        self.words: U64 = memory[HEADER_OCTETS:].view(np.uint64).reshape(self.slots, 2)
        self.name = name
        self.position = 0
        self.cookie = memoryview(memory[:4]).cast("I")  # type: ignore[arg-type]  # numpy arrays are buffers
        self._flags = memoryview(memory[4:6]).cast("H")  # type: ignore[arg-type]  # an array is a buffer; typeshed knows that from 3.12 on
        head = memoryview(memory[6:8]).cast("H")  # type: ignore[arg-type]  # an array is a buffer; typeshed knows that from 3.12 on
        tail = memoryview(memory[64:66]).cast("H")  # type: ignore[arg-type]  # an array is a buffer; typeshed knows that from 3.12 on
        self._ours, self._theirs = (head, tail) if client else (tail, head)
        self._credit = self.slots if client else 0
        self._known = 0
        self._event = event
        self._bell = select.poll()
        if event >= 0:
            self._bell.register(event, select.POLLOUT)

    @property
    def first(self) -> int:
        """The slot at this end's index."""
        return self.position & self.mask

    @property
    def theirs(self) -> int:
        """The peer's index, as it stands there."""
        return self._theirs[0]

    def mine(self) -> int:
        """Return how many slots are this end's, from `first` on.

        Raises:
            GeneratorError: the peer's index is none that it may have.
        """
        theirs = self._theirs[0]
        count = (theirs - self.position + self._credit) & _WRAP
        if not self._known <= count <= self.slots:
            least = self.position - self._credit
            raise GeneratorError(
                f"{self.name}: the peer set its index to {theirs}: accepted: {(least + self._known) & _WRAP} to "
                f"{(least + self.slots) & _WRAP}"
            )
        self._known = count
        return count

    def poll(self) -> None:
        """Say that this end polls."""
        self._flags[0] = QUIET

    def advance(self, count: int) -> None:
        """Hand `count` slots over, and tell the peer where it waits for that."""
        self.position = (self.position + count) & _WRAP
        self._known = max(0, self._known - count)
        self._ours[0] = self.position
        if self._event >= 0 and not self._flags[0] & QUIET:
            self._tell()

    def _tell(self) -> None:
        fence()  # the index is visible before the flag is looked at again
        if not self._flags[0] & QUIET and self._bell.poll(0):  # a full counter tells enough, and would block
            with contextlib.suppress(BlockingIOError):
                os.eventfd_write(self._event, 1)


def unchained(heads: U64) -> int:
    """Return how many frames ahead lie in one slot each."""
    chained = (heads & np.uint64(NEXT)) != 0
    return int(chained.argmax()) if chained.any() else len(heads)


def chain(ring: Ring, pending: int) -> list[tuple[int, int]]:
    """Return (slot, first word) of each part of the frame that begins at the ring's position.

    Raises:
        GeneratorError: it has no end, or is longer than any frame.
    """
    parts, octets = [], 0
    for step in range(pending):
        slot = (ring.first + step) & ring.mask
        head = int(ring.words[slot, 0])
        parts.append((slot, head))
        octets += head >> 32
        if octets > FRAME_OCTETS_MAX:
            raise GeneratorError(f"{ring.name}: the peer sent a frame of {octets} octets and more")
        if not head & NEXT:
            return parts
    raise GeneratorError(f"{ring.name}: the peer sent a frame of {pending} slots that does not end")


def joined(parts: list[U8], stamp_ns: int) -> Arrived:
    """Return one frame from its parts."""
    frame = np.concatenate(parts)[None, :]
    return Arrived(frame, np.array([frame.shape[1]], np.int64), np.array([stamp_ns], np.int64))
