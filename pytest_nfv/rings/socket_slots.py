"""Slots in plain memory that kernel sockets send from and receive into, one by one or many a system call.

Every slot has its `struct mmsghdr` (sendmmsg(2), LP64) for calls that take many, and a memoryview for those that
take one:

    0 msg_name  1 msg_namelen  2 msg_iov  3 msg_iovlen  4 msg_control  5 msg_controllen  6 msg_flags  7 msg_len
"""

from __future__ import annotations

import numpy as np

from pytest_nfv.model.offer import SIGNATURE_OCTETS
from pytest_nfv.rings.frames import I64
from pytest_nfv.rings.port import U8, U64

_HEADER_WORDS = 8
_IOV, _IOV_COUNT, _LENGTH = 2, 3, 7
_LINE = 64


class SocketSlots:
    """`count` slots of `octets` each, placed so that a signature at `signed_octets` lies on words.

    Attributes:
        rows: shape (count, octets).
        views: a memoryview of each row.
    """

    def __init__(self, count: int, octets: int, signed_octets: int) -> None:
        lead = -(signed_octets - SIGNATURE_OCTETS) % 8
        size = -(-(lead + octets) // _LINE) * _LINE
        memory = np.zeros(count * size + _LINE, np.uint8)
        shift = -memory.ctypes.data % _LINE
        whole = memory[shift : shift + count * size].reshape(count, size)
        self.rows: U8 = whole[:, lead : lead + octets]
        self.views = [row.data for row in self.rows]
        numbers = np.arange(count, dtype=np.uint64)
        self._vectors = np.empty((count, 2), np.uint64)  # struct iovec: where, how many octets
        self._ends: U64 = whole.ctypes.data + lead + octets + numbers * np.uint64(size)
        self.place(np.full(count, octets, np.int64))
        self._headers = np.zeros((count, _HEADER_WORDS), np.uint64)
        self._headers[:, _IOV] = self._vectors.ctypes.data + numbers * np.uint64(16)
        self._headers[:, _IOV_COUNT] = 1
        self._headers_at = self._headers.ctypes.data
        self.lengths: U64 = self._headers[:, _LENGTH]

    def place(self, octets: I64) -> None:
        """Have the calls that take many use only the last so many octets of each row, of the first rows on."""
        count, lengths = len(octets), octets.astype(np.uint64)
        self._vectors[:count, 0] = self._ends[:count] - lengths
        self._vectors[:count, 1] = lengths

    def words(self, signed_octets: int) -> U64:
        """Return the signature words of frames that are `signed_octets` long, shape (count, 2)."""
        return self.rows[:, signed_octets - SIGNATURE_OCTETS : signed_octets].view(np.uint64)

    def header(self, slot: int) -> int:
        """Return the address of a slot's header: of an array of them, up to the last slot."""
        return self._headers_at + slot * _HEADER_WORDS * 8
