"""The queues of a memif server: slots and buffers lie where the client says.

Slots are copied before they are checked and used, as the client can change them at any time.
"""

from __future__ import annotations

import time

import numpy as np

from pytest_nfv.errors import GeneratorError
from pytest_nfv.model.offer import SIGNATURE_OCTETS
from pytest_nfv.rings.forwarding import copy_frames
from pytest_nfv.rings.frames import I64, Frames, Prepared
from pytest_nfv.rings.memif_buffers import ClientBuffers, gather, scatter
from pytest_nfv.rings.memif_client import DRAIN_S, buffer_octets
from pytest_nfv.rings.memif_ring import Ring, chain, joined, unchained
from pytest_nfv.rings.port import U8, U64, Arrived
from pytest_nfv.rings.slots import AsideSlots


class ServerSender:
    """Frames into buffers that the client hands out: written aside, copied whole on commit."""

    def __init__(self, ring: Ring, buffers: ClientBuffers) -> None:
        self._ring, self._buffers = ring, buffers
        self.burst_max = max(1, ring.slots // 4)
        self._free = 0

    def prepare(self, frames: Prepared) -> None:
        """Keep the frames, as often as a batch may need them from any turn on.

        Raises:
            GeneratorError: the peer hands out no buffer; one that was just connected may take a moment.
        """
        deadline = time.monotonic() + DRAIN_S
        while not self._ring.mine():
            if time.monotonic() > deadline:
                raise GeneratorError(
                    f"{self._ring.name}: the peer does not poll: it handed out no buffer within {DRAIN_S:g} s"
                )
        table = Frames.of(frames)
        stride = buffer_octets(table.longest)
        rows = np.zeros((AsideSlots.rows_for(table, self.burst_max), stride), np.uint8)
        self._words: U64 = rows[:, stride - SIGNATURE_OCTETS :].view(np.uint64)
        self._slots = AsideSlots(table, rows, self.burst_max)
        self._alike, self._longest = table.alike, table.longest
        self._frames: U8 = rows[:, stride - table.longest :]

    def reserve(self, count: int) -> U64:
        """Return signature words to be copied, up to the ring's end; refused where it is full."""
        ring = self._ring
        self._free = ring.mine()
        count = min(count, self.burst_max, min(self._free, ring.slots - ring.first) or count)
        first = self._slots.ready(count)
        return self._words[first : first + count]

    def commit(self, count: int) -> tuple[int, int]:
        """Copy and publish; where the ring was full, all `count` are refused.

        Raises:
            GeneratorError: a buffer lies outside its region, or is too small for the frames.
        """
        done = 0 if self._free else count
        while done < count:
            done += self._copy(done, count - done)
        self._slots.went(count)
        return (count, 0) if self._free else (0, count)

    def _copy(self, done: int, count: int) -> int:
        """Copy `count` frames, or those up to a change of region; return how many."""
        ring, longest = self._ring, self._longest
        first = ring.first
        words = ring.words[first : first + count].copy()
        alike = self._buffers.alike(words, first)
        if alike is not None and alike[1] >= longest:
            alike[0][:, :longest] = self._due(done, count)
            self._tell(done, count, int(words[0, 0]) & 0xFFFF0000)
        else:
            count = self._copy_anywhere(words, done)
        ring.advance(count)
        return count

    def _due(self, done: int, count: int) -> U8:
        """Return the frames of the batch from number `done` on, each from its first octet."""
        first = self._slots.first + done
        return self._frames[first : first + count] if self._alike else self._slots.left(done, count)

    def _tell(self, done: int, count: int, rest: int) -> None:
        """Write the lengths of those frames; `rest` is what else is in such a word."""
        at, first = self._ring.first, self._slots.first + done
        self._ring.words[at : at + count, 0] = self._slots.octets[first : first + count] << 32 | rest

    def _copy_anywhere(self, words: U64, done: int) -> int:
        slots = self._buffers.read(words)
        count = len(slots.offsets)
        self._check_room(int(slots.lengths.min()), self._longest)
        scatter(slots, self._due(done, count))
        self._tell(done, count, slots.number << 16)
        return count

    def arrange(self, octets: int) -> None:
        """Nothing is laid out: buffers and their sizes are the client's."""

    def forward(self, frames: U8, octets: I64) -> int:
        """Copy frames into the client's buffers and publish them; return how many there was room for.

        Raises:
            GeneratorError: a buffer lies outside its region, or is too small for the frames.
        """
        taken, done = min(len(frames), self._ring.mine()), 0
        while done < taken:
            done += self._forward(frames[done:taken], octets[done:taken])
        return taken

    def _forward(self, frames: U8, octets: I64) -> int:
        """Copy frames up to the ring's end or a change of region; return how many."""
        ring, width = self._ring, int(octets.max())
        first = ring.first
        words = ring.words[first : first + min(len(frames), ring.slots - first)].copy()
        count = len(words)
        alike = self._buffers.alike(words, first)
        if alike is not None and alike[1] >= width:
            copy_frames(alike[0], frames[:count], width)
            region = int(words[0, 0]) & 0xFFFF0000
        else:
            slots = self._buffers.read(words)
            count, region = len(slots.offsets), slots.number << 16
            self._check_room(int(slots.lengths.min()), width)
            scatter(slots, frames[:count, :width])
        ring.words[first : first + count, 0] = octets[:count] << 32 | region
        ring.advance(count)
        return count

    def _check_room(self, least: int, octets: int) -> None:
        if least < octets:
            raise GeneratorError(
                f"{self._ring.name}: the peer handed out a buffer of {least} octets: accepted: "
                f"{octets} and more, the size of the frames"
            )

    @property
    def waiting(self) -> int:
        """Frames that the peer has surely not taken yet: all, where it hands out no buffer."""
        return 0 if self._ring.mine() else self._ring.slots


class ServerReceiver:
    """Frames out of the client's buffers."""

    def __init__(self, ring: Ring, buffers: ClientBuffers) -> None:
        self._ring, self._buffers = ring, buffers
        self._held = 0
        self.found_full = 0

    def expect(self, octets: int) -> None:
        """Frames of any length are taken whole."""

    def open(self) -> None:
        """Be ready."""
        self._ring.poll()

    def receive(self, limit: int) -> Arrived | None:
        """Return what arrived, up to the ring's end; the stamp is the time of this call.

        Raises:
            GeneratorError: a buffer lies outside its region.
        """
        ring = self._ring
        pending = ring.mine()
        if not pending:
            return None
        if pending == ring.slots:
            self.found_full += 1
        stamp_ns = time.monotonic_ns()
        first = ring.first
        words = ring.words[first : first + min(pending, limit, ring.slots - first)].copy()
        alike = self._buffers.alike(words, first)
        if alike is not None:
            self._held = len(words)
            octets = np.full(self._held, alike[1], np.int64)
            return Arrived(alike[0], octets, np.full(self._held, stamp_ns, np.int64))
        whole = unchained(words[:, 0])
        if not whole:
            return self._join(pending, stamp_ns)
        slots = self._buffers.read(words[:whole])
        most = int(slots.lengths.max())
        frames = self._buffers.view(slots, first, most)
        self._held = len(slots.offsets)
        return Arrived(
            gather(slots, most) if frames is None else frames,
            slots.lengths,
            np.full(self._held, stamp_ns, np.int64),
        )

    def _join(self, pending: int, stamp_ns: int) -> Arrived:
        """Put the frame that begins at `first` together."""
        parts = []
        for slot, head in chain(self._ring, pending):
            word = np.array([[head, self._ring.words[slot, 1]]], np.uint64)
            one = self._buffers.read(word)
            parts.append(gather(one, int(one.lengths[0]))[0, : one.lengths[0]])
        self._held = len(parts)
        return joined(parts, stamp_ns)

    def release(self) -> None:
        """Give the slots back."""
        count, self._held = self._held, 0
        if count:
            self._ring.advance(count)
