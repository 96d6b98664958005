"""IPv4 headers of a batch as numbers, one row a word, and what RFC 1812 section 5.2.2 asks of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pytest_nfv.nfproc.batch import FRAMES_MAX, U32, Batch
from pytest_nfv.rings.frames import I64
from pytest_nfv.rings.port import U8

ETHERNET = 14
IPV4 = 0x0800
_PLAIN_OCTETS = 20
_PLAIN = np.uint32(0x45)  # version 4, five words
_LOW = np.uint32(0xFFFF)
_HALF, _TOP = np.uint32(16), np.uint32(24)

B = npt.NDArray[np.bool_]


def scratch(words: int = 5) -> U32:
    """Return memory for that many words of each frame of a batch."""
    return np.empty((words, FRAMES_MAX), np.uint32)


def half_sums(words: U32) -> U32:
    """Return the sums of both halves of the words of each frame, shape (n,), folded once to 16 bits and a little.

    Args:
        words: shape (k, n).
    """
    halves = words & _LOW
    halves += words >> _HALF
    total = np.add.reduce(halves, axis=0, dtype=np.uint32)
    folded: U32 = (total & _LOW) + (total >> _HALF)
    return folded


class Headers:
    """The first five words of what lies behind the Ethernet header, in the machine's own order.

    Attributes:
        words: shape (5, n).
        is_ipv4: shape (n,), by EtherType alone.
    """

    def __init__(self, batch: Batch, memory: U32) -> None:
        """Use `memory`, shape (5, n or more), for the words."""
        self._octets = batch.octets
        frames = batch.frames
        self.words: U32 = memory[:, : len(frames)]
        self.words[:] = frames[:, ETHERNET : ETHERNET + _PLAIN_OCTETS].view(">u4").T
        self.is_ipv4: B = frames[:, 12:14].view(">u2")[:, 0] == IPV4

    @property
    def source(self) -> U32:
        """Addresses, shape (n,)."""
        row: U32 = self.words[3]
        return row

    @property
    def destination(self) -> U32:
        """Addresses, shape (n,)."""
        row: U32 = self.words[4]
        return row

    @property
    def totals(self) -> I64:
        """Total lengths, shape (n,)."""
        totals: I64 = (self.words[0] & _LOW).astype(np.int64)
        return totals

    @property
    def lengths(self) -> I64:
        """Octets of each header, shape (n,)."""
        octets: I64 = ((self.words[0] >> _TOP & np.uint32(0xF)) << np.uint32(2)).astype(np.int64)
        return octets

    def plain(self) -> B:
        """Say which are IPv4 of five words whose total length fits the frame; checksums are not judged."""
        total = self.totals
        fits: B = total >= _PLAIN_OCTETS
        fits &= total <= self._octets - ETHERNET
        fits &= self.words[0] >> _TOP == _PLAIN
        fits &= self.is_ipv4
        return fits

    def sums_right(self) -> B:
        """Say whose first five words have the sum that a right checksum makes (RFC 1071)."""
        right: B = half_sums(self.words) == _LOW  # what 65,535 divides folds to it at once
        return right

    def with_options(self) -> I64:
        """Return the rows of sound IPv4 headers of more than five words; their checksums are not judged."""
        header, total = self.lengths, self.totals
        sound = self.is_ipv4 & (self.words[0] >> np.uint32(28) == 4)
        sound &= (header > _PLAIN_OCTETS) & (header <= total) & (total <= self._octets - ETHERNET)
        return np.flatnonzero(sound)


def long_sums_right(frames: U8, rows: I64, lengths: I64) -> B:
    """Say which of these rows have right checksums over headers of `lengths` octets, shape (rows,)."""
    right: B = np.zeros(len(rows), np.bool_)
    for octets in np.unique(lengths).tolist():
        some = np.flatnonzero(lengths == octets)
        words = frames[rows[some], ETHERNET : ETHERNET + octets].view(">u4").astype(np.uint32)
        right[some] = half_sums(words.T) == _LOW
    return right
