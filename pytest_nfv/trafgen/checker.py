"""What each arrived frame is: ours and intact, ours and corrupted, or foreign.

- *intact*: as long as its flow's frame, every octet before the signature as in that frame, and a signature
  with the magic number, the flow, a sequence number sent so far, and a time stamp from within this trial.
- *ours*: it starts with the Ethernet header (14 octets) of a flow expected at this port, or carries the magic
  number and such a flow where that flow's signature belongs. Ours and not intact is *corrupted*. Where a port has
  payloads only, its first 14 octets stand for the header; shorter ones are told by the signature alone.
- *foreign*: everything else, and whole frames of an earlier trial, told by their time stamp.
- Learning frames are passed over.

Within the signature a change can turn one sequence number into another that was sent: that shows as one frame lost
and another duplicated or reordered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pytest_nfv.model.offer import SIGNATURE_OCTETS
from pytest_nfv.rings.frames import Frames
from pytest_nfv.rings.port import U8, U64, Arrived
from pytest_nfv.trafgen.bodies import Body
from pytest_nfv.trafgen.expected import ExpectedTable, Unwrap, as_they_are
from pytest_nfv.trafgen.signature import LEARNING_HEAD, SEQUENCES, head
from pytest_nfv.trafgen.timely import timely

HEADER_OCTETS = 14
Mask = npt.NDArray[np.bool_]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Intact:
    """Frames of one flow in arrival order: low 32 bits of the sequence number, time stamp, arrival in ns."""

    sequences: U64
    stamps: U64
    arrived_ns: I64


@dataclass(slots=True)
class Sorted:
    """One batch, sorted: by flow index what is intact and how many are corrupted."""

    intact: dict[int, Intact] = field(default_factory=dict)
    corrupted: dict[int, int] = field(default_factory=dict)
    foreign: int = 0


class Expected:
    """One flow whose frames are alike, as it shall arrive; `ExpectedTable` is for all others."""

    def __init__(self, flow: int, template: U8) -> None:
        self.head = np.uint64(head(flow))
        self.octets = len(template)
        self.header: U8 = template
        self.body = Body(template[:-SIGNATURE_OCTETS])
        self._numbered: U64 = np.zeros(0, np.uint64)

    def words(self, frames: U8) -> U64:
        """Return the signature words where this flow has them, shape (n, 2); rows must be long enough."""
        return frames[:, self.octets - SIGNATURE_OCTETS : self.octets].view(np.uint64)

    def _whole(self, arrived: Arrived) -> bool:
        if arrived.frames.shape[1] < self.octets or not (arrived.octets == self.octets).all():
            return False
        return self.body.is_of_all(arrived.frames)

    def intact(self, arrived: Arrived, start_ns: int, now_ns: int) -> U64 | None:
        """Return the signature words where all frames are intact (their sequence numbers not looked at)."""
        if not self._whole(arrived):
            return None
        words = self.words(arrived.frames)
        if (words[:, 0] - self.head).max() >> np.uint64(32):
            return None
        return words if timely(words[:, 1], start_ns, now_ns) else None

    def follow(self, arrived: Arrived, number: int, start_ns: int, now_ns: int) -> U64 | None:
        """Return the signature words where all frames are intact, and numbered from `number` on in order."""
        count, low = len(arrived.octets), number % SEQUENCES
        if arrived.frames.shape[1] < self.octets or low + count > SEQUENCES:
            return None
        if count > len(self._numbered):
            self._numbered = self.head + np.arange(2 * count, dtype=np.uint64)
        # Copied once: each look at a frame's end is a cache line of its own.
        words = np.ascontiguousarray(self.words(arrived.frames).T).T
        if not (words[:, 0] - np.uint64(low) == self._numbered[:count]).all() or not self._whole(arrived):
            return None
        return words if timely(words[:, 1], start_ns, now_ns) else None

    def sift(self, arrived: Arrived) -> tuple[Mask, Mask, U64]:
        """Return which frames have a signature of this flow where it belongs, which of those are whole, and words.

        The words, shape (n, 2), are this flow's only where there is such a signature.
        """
        count = len(arrived.octets)
        if arrived.frames.shape[1] < self.octets:
            return np.zeros(count, np.bool_), np.zeros(count, np.bool_), np.zeros((count, 2), np.uint64)
        words = self.words(arrived.frames)
        signed: Mask = (arrived.octets >= self.octets) & ((words[:, 0] - self.head) >> np.uint64(32) == 0)
        whole: Mask = signed & (arrived.frames[:, : len(self.body)] == self.body.octets).all(axis=1)
        whole &= arrived.octets == self.octets
        return signed, whole, words


def _expected(flow: int, frames: Frames | U8, unwrap: Unwrap) -> Expected | ExpectedTable:
    if not isinstance(frames, Frames):
        return Expected(flow, frames)
    if frames.period == 1 and frames.varied is None:
        return Expected(flow, frames.templates[0])
    return ExpectedTable(flow, frames, unwrap)


class Checker:
    """The flows expected at one port, in one trial."""

    def __init__(
        self, flows: Sequence[tuple[int, Frames | U8]], start_ns: int, unwraps: Sequence[Unwrap] = ()
    ) -> None:
        """Take each flow's number and its frames, or its one frame.

        `unwraps` give the whole numbers of frames by their low 32 bits; without, these are the numbers.
        """
        each = unwraps or [as_they_are] * len(flows)
        self._flows = [_expected(flow, frames, unwrap) for (flow, frames), unwrap in zip(flows, each, strict=True)]
        self._start_ns = start_ns

    def follow(self, arrived: Arrived, number: int, now_ns: int) -> U64 | None:
        """Return the signature words of a batch as a good path gives it: one flow's, intact, from `number` on.

        To look for that first is worth it: one comparison with the numbers that must come next stands for all that
        `sort` and `Tracker.add` would do.
        """
        if len(self._flows) != 1:
            return None
        return self._flows[0].follow(arrived, number, self._start_ns, now_ns)

    def sort(self, arrived: Arrived, now_ns: int) -> Sorted:
        """Sort a batch; sequence numbers are left to the caller."""
        if len(self._flows) == 1:
            one = self._flows[0]
            words = one.intact(arrived, self._start_ns, now_ns)
            if words is not None:
                return Sorted({0: self._read(one, words, arrived.stamps_ns)})
        return self._mixed(arrived, now_ns)

    def _read(self, one: Expected | ExpectedTable, words: U64, stamps_ns: I64) -> Intact:
        return Intact(words[:, 0] - one.head, words[:, 1], stamps_ns)

    def _mixed(self, arrived: Arrived, now_ns: int) -> Sorted:
        out = Sorted()
        left = ~self._learning(arrived)
        for index, one in enumerate(self._flows):  # by signature first: headers may be alike
            found, whole, every = one.sift(arrived)
            signed = left & found
            rows = np.flatnonzero(left & whole)
            words = every[rows]
            in_time = (words[:, 1] >= self._start_ns) & (words[:, 1] <= now_ns)
            late = words[:, 1] < self._start_ns
            if in_time.any():
                kept = np.ascontiguousarray(words[in_time])
                out.intact[index] = self._read(one, kept, arrived.stamps_ns[rows[in_time]])
            out.foreign += int(late.sum())
            out.corrupted[index] = int(signed.sum()) - int(in_time.sum()) - int(late.sum())
            left &= ~signed
        for index, one in enumerate(self._flows):
            addressed = left & self._addressed(one, arrived)
            out.corrupted[index] += int(addressed.sum())
            left &= ~addressed
        out.foreign += int(left.sum())
        return out

    def _addressed(self, one: Expected | ExpectedTable, arrived: Arrived) -> Mask:
        if len(one.header) < HEADER_OCTETS + SIGNATURE_OCTETS:
            return np.zeros(len(arrived.octets), np.bool_)
        same: Mask = (arrived.frames[:, :HEADER_OCTETS] == one.header[:HEADER_OCTETS]).all(axis=1)
        same &= arrived.octets >= HEADER_OCTETS
        return same

    def _learning(self, arrived: Arrived) -> Mask:
        """Frames whose last 16 octets say so; of each length apart, as that is where they lie."""
        found: Mask = np.zeros(len(arrived.octets), np.bool_)
        for octets in np.unique(arrived.octets):
            if HEADER_OCTETS + SIGNATURE_OCTETS <= octets <= arrived.frames.shape[1]:
                rows = np.flatnonzero(arrived.octets == octets)
                signature = arrived.frames[rows, octets - SIGNATURE_OCTETS : octets]
                words = np.ascontiguousarray(signature).view(np.uint64)
                found[rows] = (words[:, 0] - np.uint64(LEARNING_HEAD)) >> np.uint64(32) == 0
        return found
