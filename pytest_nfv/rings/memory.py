"""Memory that a peer maps too: one memfd, on huge pages where some are free.

It is sealed against shrinking: a peer that holds the descriptor could otherwise cut the file, and the next access
here would end the process with SIGBUS (memfd_create(2), fcntl(2)).
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from typing import Literal, get_args

import numpy as np

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.port import U8

Pages = Literal["auto", "huge", "plain"]
PAGES: tuple[Pages, ...] = get_args(Pages)
HUGE_PAGE_OCTETS = 2 << 20
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


def _rounded(octets: int, page: int) -> int:
    return -(-octets // page) * page


class SharedMemory:
    """Zeroed octets, `array` here, `fd` for the peer.

    Attributes:
        array: shape (octets,), all of it; views on it keep the memory mapped after `close`.
        huge: whether it lies on huge pages.
    """

    def __init__(self, octets: int, pages: Pages, name: str) -> None:
        """Map at least `octets`; `name` is shown in the process's maps and in errors.

        Raises:
            GeneratorError: no memory, or `pages` is `huge` and too few huge pages are free.
        """
        self.fd = -1
        self.huge = False
        if pages != "plain":
            self.huge = self._map(_rounded(octets, HUGE_PAGE_OCTETS), os.MFD_HUGETLB | os.MFD_HUGE_2MB, name)
        if pages == "huge" and not self.huge:
            raise GeneratorError(
                f"{name}: {_rounded(octets, HUGE_PAGE_OCTETS) >> 21} huge pages of 2 MiB are wanted and not free: "
                "write their number to /proc/sys/vm/nr_hugepages, or choose pages=auto"
            )
        if not self.huge and not self._map(_rounded(octets, mmap.PAGESIZE), 0, name):
            raise GeneratorError(f"{name}: no memory for {octets:,} octets")

    def _map(self, octets: int, flags: int, name: str) -> bool:
        fd = -1
        try:
            fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | flags)
            os.ftruncate(fd, octets)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
            memory = mmap.mmap(fd, octets, mmap.MAP_SHARED | mmap.MAP_POPULATE)
        except OSError as error:
            if fd >= 0:
                os.close(fd)
            if error.errno in (errno.ENOMEM, errno.EINVAL, errno.ENOSYS, errno.ENOSPC, errno.EPERM):
                return False
            raise GeneratorError(f"{name}: {octets:,} octets of memory: {error.strerror or error}") from error
        self.fd = fd
        self.array: U8 = np.frombuffer(memory, np.uint8)
        return True

    def close(self) -> None:
        """Close the descriptor and let go of the array; safe to call twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        self.array = np.zeros(0, np.uint8)
