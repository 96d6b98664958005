"""IPv4 headers of a batch as numbers, one row a word, and what RFC 1812 section 5.2.2 asks of them.

A batch costs by the number of array operations far more than by its frames, so what one operation can do for all
frames is done by one: EtherType, version and header length are compared as one number, and a checksum is right
where 65,535 divides the sum of the header's words, whatever their width.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from pytest_nfv.nfproc.batch import FRAMES_MAX, U32, Batch
from pytest_nfv.rings.frames import I64
from pytest_nfv.rings.port import U8, U64

ETHERNET = 14
_PLAIN_OCTETS = 20
_IPV4 = 0x0800
_PLAIN, _PLAIN_MASK = np.uint32(0x00450008), np.uint32(0x00FFFFFF)  # octets 12 to 14: 0x0800, then 0x45
_LOW = np.uint32(0xFFFF)
_TOP = np.uint32(24)
_MODULO = np.uint64(0xFFFF)

B = npt.NDArray[np.bool_]


def scratch(words: int = 5) -> U32:
    """Return memory for that many words of each frame of a batch."""
    return np.empty((words, FRAMES_MAX), np.uint32)


def sums(words: U32) -> U64:
    """Return the sum of the words of each frame modulo 65,535, shape (n,): its Internet checksum's complement.

    Args:
        words: shape (k, n).
    """
    total: U64 = np.add.reduce(words, axis=0, dtype=np.uint64)
    total %= _MODULO
    return total


def all_of(said: B) -> bool:
    """Whether it is so of all: a quarter of what `said.all()` costs."""
    return bool(np.count_nonzero(said) == len(said))


class Headers:
    """The first words of what lies behind the Ethernet header, in the machine's own order.

    Attributes:
        words: shape (k, n), five of the header and, of a plain packet, one of the ports.
    """

    def __init__(self, batch: Batch, memory: U32) -> None:
        """Use `memory`, shape (k, n or more), for the words."""
        self._octets, self._frames = batch.octets, batch.frames
        self.words: U32 = memory[:, : len(batch.frames)]
        self.words[:] = batch.frames[:, ETHERNET : ETHERNET + 4 * len(memory)].view(">u4").T

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
    def is_ipv4(self) -> B:
        """Say which are IPv4, by EtherType alone, shape (n,)."""
        said: B = self._frames[:, 12:14].view(">u2")[:, 0] == _IPV4
        return said

    @cached_property
    def protocol(self) -> U32:
        """Numbers, shape (n,)."""
        numbers: U32 = self.words[2] >> np.uint32(16) & np.uint32(0xFF)
        return numbers

    @property
    def totals(self) -> I64:
        """Total lengths, shape (n,)."""
        totals: I64 = (self.words[0] & _LOW).astype(np.int64)
        return totals

    @cached_property
    def lengths(self) -> I64:
        """Octets of each header, shape (n,)."""
        octets: I64 = ((self.words[0] >> _TOP & np.uint32(0xF)) << np.uint32(2)).astype(np.int64)
        return octets

    def plain(self) -> B:
        """Say which are IPv4 of five words whose total length fits the frame; checksums are not judged."""
        plain: B = self._frames[:, 12:16].view("<u4")[:, 0] & _PLAIN_MASK == _PLAIN
        beyond = (self.words[0] & _LOW) - _PLAIN_OCTETS  # a total length below 20 becomes a very large number
        plain &= beyond <= self._octets - (ETHERNET + _PLAIN_OCTETS)
        return plain

    def sums_right(self) -> B:
        """Say whose first five words have the sum that a right checksum makes (RFC 1071)."""
        right: B = sums(self.words[:5]) == 0  # a sum of 0 is none of a header: its version is 4
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
        right[some] = sums(words.T) == 0
    return right
