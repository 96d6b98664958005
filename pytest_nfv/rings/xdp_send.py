"""The sending half of an AF_XDP socket: slots of the UMEM that have their places in the ring for good.

The kernel takes and returns frames in order, next to always: then nothing but numbers is written. What comes back
in another order is sorted out, and what was never given is an error.
"""

from __future__ import annotations

import ctypes
import errno
import os
import time

import numpy as np

from pytest_nfv.errors import GeneratorError
from pytest_nfv.model.offer import SIGNATURE_OCTETS
from pytest_nfv.rings.forwarding import Lengths, copy_frames
from pytest_nfv.rings.frames import I64, Frames, Prepared
from pytest_nfv.rings.packet_send import SEND_WAIT_S
from pytest_nfv.rings.port import U8, U64
from pytest_nfv.rings.slots import RingSlots
from pytest_nfv.rings.xdp_socket import Umem, XdpSocket

DRAIN_S = 1.0
_DONTWAIT = 0x40
_EVEN = ~np.uint64(1)  # Linux 6.18 returns addresses without their lowest bit
_GONE = {errno.ENETDOWN, errno.ENXIO, errno.ENODEV}


class XdpSender:
    """Frames out. Slot i is entry i of the tx ring.

    In copy mode a system call sends them, and says by EBUSY that the frame it stopped at was dropped by the
    device, whose ring was full; older kernels say nothing, and such a frame is in `taken`. In zero-copy mode the
    device takes them when it can.
    """

    def __init__(self, xsk: XdpSocket, umem: Umem, offset: int, burst_max: int, name: str) -> None:
        """Use the UMEM from `offset` on: a chunk each slot."""
        self._xsk, self._name = xsk, name
        self._size = xsk.tx.size
        self._offset, self._chunk = offset, umem.chunk
        self._chunks: U8 = umem.array[offset : offset + self._size * umem.chunk].reshape(self._size, umem.chunk)
        self.burst_max = burst_max
        self._free_to = self._size
        self._sent = 0
        self._done = np.zeros(self._size, np.bool_)
        self._early = 0
        libc = ctypes.CDLL(None, use_errno=True)
        self._sendto = libc.sendto
        self._nothing = (None, 0, _DONTWAIT, None, 0)

    def prepare(self, frames: Prepared) -> None:
        """Fill the slots.

        Raises:
            GeneratorError: the device holds on to frames sent before.
        """
        self._drain()
        table = Frames.of(frames)
        end = -(-table.longest // 8) * 8  # words on words
        self._words: U64 = self._chunks[:, end - SIGNATURE_OCTETS : end].view(np.uint64)
        self._ends: U64 = self._offset + end + np.arange(self._size, dtype=np.uint64) * np.uint64(self._chunk)
        self._addresses: U64 = self._ends.copy()
        self._slots = RingSlots(table, self._chunks[:, :end], self.burst_max, self._xsk.tx.first)
        self._describe(slice(None), self._slots.octets)

    def _describe(self, rows: slice, octets: I64) -> None:
        """Tell where frames of these lengths begin."""
        addresses = self._ends[rows] - octets.astype(np.uint64)
        self._addresses[rows] = addresses & _EVEN
        self._xsk.tx.entries[rows, 0] = addresses
        self._xsk.tx.entries[rows, 1] = octets

    def _drain(self) -> None:
        deadline = time.monotonic() + DRAIN_S
        while self._sent + self._size > self._free_to:
            self._wake()
            self._reclaim()
            if time.monotonic() > deadline:
                held = self._sent + self._size - self._free_to
                raise GeneratorError(
                    f"{self._name}: the device holds {held} frames and returned none within {DRAIN_S:g} s"
                )

    def reserve(self, count: int) -> U64:
        """Return the signature words of free slots, up to the ring's end."""
        count = min(count, self.burst_max)
        if self._free_to - self._sent < count:
            self._reclaim()
        first = self._xsk.tx.first
        words = self._words[first : first + min(count, self._free_to - self._sent)]
        octets = self._slots.ready(first, len(words))
        if octets is not None:
            self._describe(slice(first, first + len(words)), octets)
        return words

    def commit(self, count: int) -> tuple[int, int]:
        """Send; return (taken, refused).

        Raises:
            GeneratorError: the interface went away, or the kernel will not send.
        """
        self._slots.sent(count)
        self._sent += count
        self._xsk.tx.produce(count)
        refused = self._push()
        return count - refused, refused

    def arrange(self, octets: int) -> None:
        """Have a frame begin where its chunk begins; a chunk holds any frame of the MTU.

        Raises:
            GeneratorError: the device holds on to frames sent before.
        """
        self._drain()
        starts = self._offset + np.arange(self._size, dtype=np.uint64) * np.uint64(self._chunk)
        self._addresses = starts
        self._xsk.tx.entries[:, 0], self._xsk.tx.entries[:, 1] = starts, octets
        self._lengths = Lengths(self._size, octets)

    def forward(self, frames: U8, octets: I64) -> int:
        """Copy frames into chunks and send them; return how many were taken.

        Raises:
            GeneratorError: the interface went away, or the kernel will not send.
        """
        if self._free_to - self._sent < len(frames):
            self._reclaim()
        tx, taken = self._xsk.tx, min(len(frames), self._free_to - self._sent)
        if not taken:
            return 0
        width, told = self._lengths.widest(octets[:taken])
        done = 0
        while done < taken:
            first = tx.first
            rows = slice(first, first + min(taken - done, self._size - first))
            some = slice(done, done + rows.stop - first)
            copy_frames(self._chunks[rows], frames[some], width)
            if not told:
                tx.entries[rows, 1] = octets[some]
            tx.produce(rows.stop - first)
            done = some.stop
        self._sent += taken
        return taken - self._push()

    def _push(self) -> int:
        """Have the kernel take what is in the ring; return how many frames it refused meanwhile."""
        if self._xsk.zero_copy:
            if self._xsk.tx.asleep:
                self._wake()
            return 0
        refused = 0
        deadline = 0.0
        while self._xsk.tx.waiting():
            error = self._wake()
            if error == errno.EBUSY:
                refused += 1
            elif error:
                now = time.monotonic()
                deadline = deadline or now + SEND_WAIT_S
                if now > deadline:  # they stay in the ring, and go out with the next
                    break
                self._reclaim()
        return refused

    def _wake(self) -> int:
        """Call the kernel; return 0, or the error number where it is to be called again."""
        if self._sendto(self._xsk.fileno(), *self._nothing) >= 0:
            return 0
        error = ctypes.get_errno()
        if error in (errno.EBUSY, errno.EAGAIN, errno.EINTR, errno.ENOBUFS):
            return error
        gone = ": it was taken down or removed" if error in _GONE else ""
        name = errno.errorcode.get(error, str(error))
        raise GeneratorError(f"{self._name}: {os.strerror(error)} ({name}) while sending{gone}")

    def _reclaim(self) -> None:
        """Take note of the frames that the kernel is done with."""
        ring = self._xsk.completion
        count = ring.filled()
        if count > self._sent + self._size - self._free_to:
            raise GeneratorError(f"{self._name}: the kernel returned {count} frames, more than it has")
        while count:
            first = ring.first
            some = min(count, ring.size - first)
            addresses = ring.entries[first : first + some, 0] & _EVEN
            ring.consume(some)
            slot = self._free_to % self._size
            if not self._early and np.array_equal(addresses, self._addresses[slot : slot + some]):
                self._free_to += some
            else:
                self._sort_out(addresses)
            count -= some

    def _sort_out(self, addresses: U64) -> None:
        """Note frames that come back in another order: slots are free up to the first that is still out."""
        slots = (addresses.astype(np.int64) - self._offset) // self._chunk
        out = np.arange(self._free_to, self._sent + self._size) % self._size
        late = np.zeros(self._size, np.bool_)
        late[out] = True
        late &= ~self._done
        known = (slots >= 0) & (slots < self._size)
        once = len(np.unique(slots)) == len(slots)
        if not (known.all() and once and (addresses == self._addresses[slots]).all() and late[slots].all()):
            raise GeneratorError(f"{self._name}: the kernel returned a frame that it did not have")
        self._done[slots] = True
        waiting = ~self._done[out]
        free = int(waiting.argmax()) if waiting.any() else len(out)
        self._done[out[:free]] = False
        self._free_to += free
        self._early = int(self._done.sum())
