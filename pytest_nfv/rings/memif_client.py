"""The queues of a memif client: the memory is its own, and every slot has its buffer for good."""

from __future__ import annotations

import time

import numpy as np

from pytest_nfv.errors import GeneratorError
from pytest_nfv.model.offer import SIGNATURE_OCTETS
from pytest_nfv.rings.forwarding import Lengths, copy_frames
from pytest_nfv.rings.frames import I64, Frames, Prepared
from pytest_nfv.rings.memif_ring import LENGTH, Ring, chain, joined, unchained
from pytest_nfv.rings.port import U8, U64, Arrived
from pytest_nfv.rings.slots import RingSlots

DRAIN_S = 1.0
BUFFER_OCTETS_MIN = 2048  # DPDK's server fills a buffer with no look at its length, up to what its own would hold
_LINE = 64
_USUAL_OCTETS = 60


def buffer_octets(octets: int) -> int:
    """Return the size of a buffer: an odd number of cache lines, so that all sets of the caches are used."""
    return (-(-octets // _LINE) | 1) * _LINE


def receive_stride(octets: int) -> int:
    """Return the size of a buffer for frames of up to `octets`, wherever in a word they begin."""
    return buffer_octets(max(octets, BUFFER_OCTETS_MIN) + 8)


class ClientSender:
    """Frames out of buffers that are filled when the frames come; a frame ends where its buffer ends.

    So only the last cache line of a frame is written from batch to batch.
    """

    def __init__(self, ring: Ring, region: U8, offset: int, room: int) -> None:
        """Use `room` octets of the region from `offset` on."""
        self._ring = ring
        self._area = region[offset : offset + room]
        self._offset = offset
        self.burst_max = max(1, ring.slots // 4)
        self._spill: U64 = np.zeros((self.burst_max, 2), np.uint64)
        self._full = False

    def prepare(self, frames: Prepared) -> None:
        """Fill the buffers.

        Raises:
            GeneratorError: the peer holds on to frames sent before.
        """
        self._drain()
        ring = self._ring
        table = Frames.of(frames)
        stride = buffer_octets(table.longest)
        buffers = self._area[: ring.slots * stride].reshape(ring.slots, stride)
        self._words: U64 = buffers[:, stride - SIGNATURE_OCTETS :].view(np.uint64)
        self._ends: I64 = self._offset + stride + np.arange(ring.slots) * stride
        self._slots = RingSlots(table, buffers, self.burst_max, ring.first)
        self._describe(slice(None), self._slots.octets)

    def _describe(self, rows: slice, octets: I64) -> None:
        """Tell where frames of these lengths begin."""
        self._ring.words[rows, 0] = octets << 32
        self._ring.words[rows, 1] = self._ends[rows] - octets

    def _drain(self) -> None:
        ring, deadline, before = self._ring, time.monotonic() + DRAIN_S, -1
        while (free := ring.mine()) < ring.slots:
            if ring.theirs != before:
                before, deadline = ring.theirs, time.monotonic() + DRAIN_S
            elif time.monotonic() > deadline:
                raise GeneratorError(
                    f"{ring.name}: the peer polls no more: it holds {ring.slots - free} frames and returned none "
                    f"within {DRAIN_S:g} s"
                )

    def reserve(self, count: int) -> U64:
        """Return the signature words of free slots, up to the ring's end; of none of them where it is full."""
        count = min(count, self.burst_max)
        free = self._ring.mine()
        self._full = not free
        if self._full:
            return self._spill[:count]
        first = self._ring.first
        words = self._words[first : first + min(count, free)]
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
        self._ring.advance(count)
        return count, 0

    def arrange(self, octets: int) -> None:
        """Have a frame begin where its buffer begins.

        Raises:
            GeneratorError: the peer holds on to frames sent before.
        """
        self._drain()
        ring, stride = self._ring, buffer_octets(octets)
        self._room: U8 = self._area[: ring.slots * stride].reshape(ring.slots, stride)
        ring.words[:, 0] = octets << 32
        ring.words[:, 1] = self._offset + np.arange(ring.slots) * stride
        self._lengths = Lengths(ring.slots, octets)

    def forward(self, frames: U8, octets: I64) -> int:
        """Copy frames into free buffers and publish them; return how many there was room for."""
        ring = self._ring
        taken = min(len(frames), ring.mine())
        if not taken:
            return 0
        width, told = self._lengths.widest(octets[:taken])
        done, first = 0, ring.first
        while done < taken:
            rows = slice(first, first + min(taken - done, ring.slots - first))
            some = slice(done, done + rows.stop - first)
            copy_frames(self._room[rows], frames[some], width)
            if not told:
                ring.words[rows, 0] = octets[some] << 32
            done, first = some.stop, 0
        ring.advance(taken)
        return taken

    @property
    def waiting(self) -> int:
        """Frames that the peer has not taken yet."""
        return self._ring.slots - self._ring.mine()


class ClientReceiver:
    """Frames into buffers that all are with the peer, but for those of the batch that is being read."""

    def __init__(self, ring: Ring, region: U8, offset: int, octets: int) -> None:
        """Use buffers for frames of up to `octets`, from `offset` of the region on."""
        self._ring = ring
        self._stride = receive_stride(octets)
        self._offset = offset
        self._buffers = region[offset : offset + ring.slots * self._stride].reshape(ring.slots, self._stride)
        self._octets: I64 = np.zeros(ring.slots, np.int64)
        self._stamps: I64 = np.zeros(ring.slots, np.int64)
        self._held = 0
        self.found_full = 0
        self.expect(_USUAL_OCTETS)

    def expect(self, octets: int) -> None:
        """Place buffers so that the signature of such a frame lies on words; what is on its way may be garbled."""
        self._lead = -octets % 8
        self._frames: U8 = self._buffers[:, self._lead :]
        self._room = self._frames.shape[1]
        words = self._ring.words
        words[:, 1] = self._offset + self._lead + np.arange(self._ring.slots) * self._stride
        self._usual(octets)

    def _usual(self, octets: int) -> None:
        self._whole = np.uint64(octets << 32)
        self._octets[:] = octets

    def open(self) -> None:
        """Hand out all buffers."""
        self._ring.words[:, 0] = self._room << 32
        self._ring.poll()
        self._ring.advance(self._ring.slots)

    def receive(self, limit: int) -> Arrived | None:
        """Return what arrived, up to the ring's end; the stamp is the time of this call."""
        ring = self._ring
        pending = ring.mine()
        if not pending:
            return None
        if pending == ring.slots:
            self.found_full += 1
        stamp_ns = time.monotonic_ns()
        first = ring.first
        rows = slice(first, first + min(pending, limit, ring.slots - first))
        heads = ring.words[rows, 0]
        count = len(heads)
        if (heads == self._whole).all():
            octets = self._octets[:count]
        else:
            taken = self._sort_out(heads.copy())
            if taken is None:
                return self._join(pending, stamp_ns)
            octets = taken
            count = len(octets)
        self._held = count
        stamps = self._stamps[:count]
        stamps.fill(stamp_ns)
        return Arrived(self._frames[first : first + count], octets, stamps)

    def _sort_out(self, heads: U64) -> I64 | None:
        """Return the lengths of the whole frames ahead; None where a frame in several slots comes first."""
        whole = unchained(heads)
        if not whole:
            return None
        octets = (heads[:whole] >> LENGTH).astype(np.int64)
        most = self._fitting(int(octets.max()))
        if int(octets.min()) == most:
            self._usual(most)
        return octets

    def _fitting(self, octets: int) -> int:
        if octets > self._room:
            raise GeneratorError(
                f"{self._ring.name}: the peer put {octets} octets into a buffer: accepted: up to {self._room}"
            )
        return octets

    def _join(self, pending: int, stamp_ns: int) -> Arrived:
        """Put the frame that begins at `first` together."""
        parts = [self._frames[slot, : self._fitting(head >> 32)] for slot, head in chain(self._ring, pending)]
        self._held = len(parts)
        return joined(parts, stamp_ns)

    def release(self) -> None:
        """Hand the buffers out again."""
        count, self._held = self._held, 0
        if count:
            ring = self._ring
            first, fresh = ring.first, self._room << 32
            ring.words[first : first + count, 0] = fresh
            ring.words[: max(0, first + count - ring.slots), 0] = fresh
            ring.advance(count)
