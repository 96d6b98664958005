"""The receiving half of an AF_XDP socket: chunks of the UMEM that have their places in the rings for good.

The kernel takes and returns frames in order, next to always: then nothing but numbers is written. What comes back
in another order is sorted out, and what was never given is an error.
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.port import U8, U64, Arrived
from pytest_nfv.rings.xdp_socket import Umem, XdpSocket

HEADROOM = 256  # what the kernel leaves free before a frame that arrived
_LENGTH_MASK = np.uint64(0xFFFFFFFF)

I64 = npt.NDArray[np.int64]


class XdpReceiver:
    """Frames in. All chunks are with the kernel, but for those of the batch that is being read."""

    def __init__(self, xsk: XdpSocket, umem: Umem, offset: int, name: str) -> None:
        """Use the UMEM from `offset` on: a chunk each slot."""
        self._xsk, self._name = xsk, name
        self._size, self._chunk, self._offset = xsk.rx.size, umem.chunk, offset
        self._memory = umem.array
        area = umem.array[offset : offset + self._size * umem.chunk]
        self._frames: U8 = area.reshape(self._size, umem.chunk)[:, HEADROOM:]
        self._chunks: U64 = offset + np.arange(self._size, dtype=np.uint64) * np.uint64(umem.chunk)
        self._expected: U64 = self._chunks + np.uint64(HEADROOM)
        self._stamps: I64 = np.zeros(self._size, np.int64)
        self._held: U64 = self._chunks[:0]
        self._in_place = True
        xsk.fill.entries[:, 0] = self._chunks
        xsk.fill.produce(self._size)

    def receive(self, limit: int) -> Arrived | None:
        """Return what arrived, up to the ring's end; the stamp is the time of this call."""
        ring = self._xsk.rx
        pending = ring.filled()
        if not pending:
            if self._xsk.fill.asleep:
                self._xsk.wake_to_receive()
            return None
        if pending > self._size:
            raise GeneratorError(f"{self._name}: the kernel says that {pending} frames wait in {self._size} slots")
        stamp_ns = time.monotonic_ns()
        first = ring.first
        entries = ring.entries[first : first + min(pending, limit, self._size - first)].copy()
        count = len(entries)
        octets = (entries[:, 1] & _LENGTH_MASK).astype(np.int64)
        stamps = self._stamps[:count]
        stamps.fill(stamp_ns)
        expected = self._expected[first : first + count]
        if self._in_place and np.array_equal(entries[:, 0], expected) and int(octets.max()) <= self._room:
            self._held = self._chunks[first : first + count]
            return Arrived(self._frames[first : first + count], octets, stamps)
        self._in_place = False
        return Arrived(self._gather(entries[:, 0], octets), octets, stamps)

    @property
    def _room(self) -> int:
        return self._chunk - HEADROOM

    def _gather(self, addresses: U64, octets: I64) -> U8:
        """Return copies of frames that lie anywhere in our chunks."""
        places = addresses.astype(np.int64) - self._offset
        slots, starts = places // self._chunk, places % self._chunk
        wrong = (slots < 0) | (slots >= self._size) | (starts + octets > self._chunk)
        if wrong.any():
            raise GeneratorError(
                f"{self._name}: the kernel put a frame at {int(addresses[wrong.argmax()])}: no chunk of ours"
            )
        self._held = self._chunks[slots]
        width = int(octets.max())
        windows = np.lib.stride_tricks.sliding_window_view(self._memory, max(1, width))
        at = np.minimum(addresses.astype(np.int64), len(windows) - 1)
        shift = addresses.astype(np.int64) - at
        frames: U8 = windows[at]
        for row in np.flatnonzero(shift):
            frames[row, : width - shift[row]] = frames[row, shift[row] :].copy()
        return frames

    def release(self) -> None:
        """Give the chunks back."""
        count = len(self._held)
        if not count:
            return
        self._xsk.rx.consume(count)
        fill = self._xsk.fill
        if not self._in_place:
            fill.entries[(fill.first + np.arange(count)) & fill.mask, 0] = self._held
        fill.produce(count)
        self._held = self._chunks[:0]
