"""One flow as it shall arrive, where its frames differ: by size in turn, by 5-tuple, or both.

The octets of every frame follow from its number. A batch costs some array operations, more of them the more
different frames there are in the cycle; none of them is per frame.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pytest_nfv.model.offer import SIGNATURE_OCTETS
from pytest_nfv.rings.frames import I64, Frames, anywhere
from pytest_nfv.rings.port import U8, U64, Arrived
from pytest_nfv.trafgen.signature import SEQUENCES, head
from pytest_nfv.trafgen.timely import timely
from pytest_nfv.trafgen.tracker import Mask

_UPPER = np.uint64(32)
Unwrap = Callable[[U64], I64]


def as_they_are(low: U64) -> I64:
    """Take the low 32 bits of a number for the number."""
    return low.astype(np.int64)


class ExpectedTable:
    """One flow whose frames are a table."""

    def __init__(self, flow: int, frames: Frames, unwrap: Unwrap = as_they_are) -> None:
        """Take the frames; `unwrap` gives whole numbers for their low 32 bits."""
        self.head = np.uint64(head(flow))
        self._unwrap = unwrap
        self._frames = frames
        self._octets = frames.octets
        self._sizes = np.unique(frames.octets).tolist()
        every = frames.one_after()
        kinds = {octets: kind for kind, octets in enumerate(dict.fromkeys(one.tobytes() for one in every))}
        self._kind: I64 = np.array([kinds[one.tobytes()] for one in every], np.int64)
        self._bodies = [np.frombuffer(one, np.uint8)[:-SIGNATURE_OCTETS] for one in kinds]
        first = [int((self._kind == kind).argmax()) for kind in range(len(kinds))]
        self._varied_at = [int(frames.at[row]) for row in first] if frames.varied is not None else []
        self.header = every[0]

    def _words(self, arrived: Arrived, octets: I64) -> U64:
        """Return the signature words of frames of these lengths, which are all there."""
        frames, least = arrived.frames, int(octets[0])
        if (octets == least).all():
            return frames[:, least - SIGNATURE_OCTETS : least].view(np.uint64)
        ends = np.arange(len(octets)) * frames.strides[0] + octets - SIGNATURE_OCTETS
        words: U64 = anywhere(frames, SIGNATURE_OCTETS)[ends].view(np.uint64).reshape(-1, 2)
        return words

    def _same(self, frames: U8, numbers: I64) -> Mask:
        """Say which frames have the octets that belong to their numbers; rows must be long enough for theirs."""
        if len(self._bodies) == 1:
            return self._same_kind(0, frames, numbers)
        same: Mask = np.zeros(len(frames), np.bool_)
        kinds = self._kind[numbers % len(self._kind)]
        for kind, body in enumerate(self._bodies):
            rows = np.flatnonzero(kinds == kind)
            if len(rows):
                same[rows] = self._same_kind(kind, frames[rows, : len(body)], numbers[rows])
        return same

    def _same_kind(self, kind: int, frames: U8, numbers: I64) -> Mask:
        body, varied = self._bodies[kind], self._frames.varied
        if varied is None:
            same: Mask = (frames[:, : len(body)] == body).all(axis=1)
            return same
        at = self._varied_at[kind]
        end = at + varied.dtype.itemsize
        same = (frames[:, :at] == body[:at]).all(axis=1)
        same &= (frames[:, end : len(body)] == body[end:]).all(axis=1)
        wanted = varied[numbers % len(varied)].view(np.uint64).reshape(-1, 2)
        same &= (np.ascontiguousarray(frames[:, at:end]).view(np.uint64) == wanted).all(axis=1)
        return same

    def follow(self, arrived: Arrived, number: int, start_ns: int, now_ns: int) -> U64 | None:
        """Return the signature words where all frames are intact, and numbered from `number` on in order."""
        count, low = len(arrived.octets), number % SEQUENCES
        if low + count > SEQUENCES:
            return None
        steps = np.arange(count)
        numbers = number + steps
        octets = self._octets[numbers % len(self._octets)]
        if int(octets.max()) > arrived.frames.shape[1] or not (arrived.octets == octets).all():
            return None
        words = self._words(arrived, octets)
        if not (words[:, 0] == (steps + low).astype(np.uint64) + self.head).all():
            return None
        if not self._same(arrived.frames, numbers).all():
            return None
        return words if timely(words[:, 1], start_ns, now_ns) else None

    def intact(self, arrived: Arrived, start_ns: int, now_ns: int) -> U64 | None:
        """Return the signature words where all frames are intact (their sequence numbers not looked at)."""
        octets = arrived.octets
        if int(octets.min()) < SIGNATURE_OCTETS or int(octets.max()) > arrived.frames.shape[1]:
            return None
        words = self._words(arrived, octets)
        low = words[:, 0] - self.head
        if low.max() >> _UPPER:
            return None
        numbers = self._unwrap(low)
        if not (self._octets[numbers % len(self._octets)] == octets).all():
            return None
        if not self._same(arrived.frames, numbers).all():
            return None
        return words if timely(words[:, 1], start_ns, now_ns) else None

    def sift(self, arrived: Arrived) -> tuple[Mask, Mask, U64]:
        """Return which frames have a signature of this flow where it belongs, which of those are whole, and words.

        The words, shape (n, 2), are this flow's only where there is such a signature.
        """
        count = len(arrived.octets)
        signed: Mask = np.zeros(count, np.bool_)
        words: U64 = np.zeros((count, 2), np.uint64)
        for octets in self._sizes:
            if octets > arrived.frames.shape[1]:
                continue
            here = arrived.frames[:, octets - SIGNATURE_OCTETS : octets].view(np.uint64)
            low = here[:, 0] - self.head
            found = (arrived.octets >= octets) & ~signed & (low >> _UPPER == 0)
            rows = np.flatnonzero(found)
            turns = self._unwrap(low[rows]) % len(self._octets)
            rows = rows[self._octets[turns] == octets]
            signed[rows] = True
            words[rows] = here[rows]
        whole = np.zeros(count, np.bool_)
        rows = np.flatnonzero(signed)
        if len(rows):
            numbers = self._unwrap(words[rows, 0] - self.head)
            fits = arrived.octets[rows] == self._octets[numbers % len(self._octets)]
            whole[rows] = fits & self._same(arrived.frames[rows], numbers)
        return signed, whole, words
