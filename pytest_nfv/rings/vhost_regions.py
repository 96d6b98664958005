"""The memory of a vhost-user front end, mapped by a back end; every address that it names is checked first."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.port import U8, U64
from pytest_nfv.rings.vhost_messages import Region

OCTETS_MAX = 1 << 40
_ADDRESS_MAX = 1 << 64

I64 = npt.NDArray[np.int64]


class MappedRegion:
    """One region; `array` is what of it the device may touch."""

    def __init__(self, region: Region, fd: int, name: str) -> None:
        """Map it; `fd` stays the caller's.

        Raises:
            GeneratorError: it is empty, wraps round, reaches beyond its file, or cannot be mapped.
        """
        self.guest, self.user, self.octets = region.guest, region.user, region.octets
        end = max(region.guest, region.user) + region.octets
        where = f"{name}: memory region of {region.octets:,} octets at {region.guest:#x}"
        if not 0 < region.octets <= OCTETS_MAX or end > _ADDRESS_MAX or region.offset > OCTETS_MAX:
            raise GeneratorError(f"{where}, offset {region.offset:#x}: it is empty, or wraps round")
        with contextlib.suppress(OSError):  # what cannot shrink cannot end this process with SIGBUS
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        try:
            found = os.fstat(fd)
            if region.offset + region.octets > found.st_size:
                raise GeneratorError(f"{where}, offset {region.offset:#x}: its file has {found.st_size:,} octets")
            page = max(found.st_blksize, mmap.ALLOCATIONGRANULARITY)  # huge pages are mapped whole
            skip = region.offset % page
            octets = min(-(-(skip + region.octets) // page) * page, found.st_size - region.offset + skip)
            memory = mmap.mmap(fd, octets, mmap.MAP_SHARED, offset=region.offset - skip)
        except (OSError, ValueError) as error:
            raise GeneratorError(f"{where}: cannot be mapped: {error}") from error
        self.array: U8 = np.frombuffer(memory, np.uint8)[skip : skip + region.octets]

    def windows(self, width: int) -> npt.NDArray[np.void]:
        """Return the region as an array whose element i is the `width` octets from i on."""
        return np.ndarray((max(0, self.octets - width + 1),), f"V{width}", self.array.data, 0, (1,))


class PeerMemory:
    """All regions of a front end."""

    def __init__(self, regions: Sequence[Region], descriptors: Sequence[int], name: str) -> None:
        self._name = name
        self._regions = [MappedRegion(region, fd, name) for region, fd in zip(regions, descriptors, strict=True)]

    def ring_part(self, user: int, octets: int, alignment: int) -> U8:
        """Return the octets from the front end's own address `user` on.

        Raises:
            GeneratorError: they are not aligned, or not in one region.
        """
        for region in self._regions:
            start = user - region.user
            if start >= 0 and start + octets <= region.octets and user % alignment == 0:
                return region.array[start : start + octets]
        raise GeneratorError(
            f"{self._name}: ring part of {octets:,} octets at {user:#x}: accepted: an address inside one memory "
            f"region, a multiple of {alignment}"
        )

    def _homes(self, addresses: U64, lengths: U64) -> Iterator[tuple[MappedRegion, npt.NDArray[np.intp], I64]]:
        """Yield region, rows and offsets, until every row has its region."""
        left = np.arange(len(addresses))
        for region in self._regions:
            offsets = addresses[left] - np.uint64(region.guest)  # wraps round where it lies below
            inside = (offsets < region.octets) & (lengths[left] <= region.octets)
            inside &= offsets <= region.octets - np.minimum(lengths[left], np.uint64(region.octets))
            if inside.any():
                yield region, left[inside], offsets[inside].astype(np.int64)
                left = left[~inside]
            if not len(left):
                return
        first = int(left[0])
        raise GeneratorError(
            f"{self._name}: a buffer of {int(lengths[first])} octets at {int(addresses[first]):#x} "
            "is in no memory region"
        )

    def check(self, addresses: U64, lengths: U64) -> None:
        """Check that every buffer lies in one region.

        Raises:
            GeneratorError: names the first that does not.
        """
        for _ in self._homes(addresses, lengths):
            pass

    def read(self, addresses: U64, lengths: U64, lead: int, width: int) -> U8:
        """Return copies, shape (n, width), from `lead` octets before each address on, as far as `lengths`.

        Raises:
            GeneratorError: a buffer lies outside.
        """
        rows = np.zeros((len(addresses), width), np.uint8)
        whole = rows.view(f"V{width}")[:, 0]
        for region, which, offsets in self._homes(addresses, lengths):
            starts = offsets - lead
            windows = region.windows(width)
            fits = (starts >= 0) & (starts < len(windows))
            whole[which[fits]] = windows[starts[fits]]
            for row, start in zip(which[~fits], starts[~fits], strict=True):  # at either end of the region
                low, high = max(0, int(start)), min(region.octets, int(start) + width)
                rows[row, low - int(start) : high - int(start)] = region.array[low:high]
        return rows

    def write(self, addresses: U64, rows: U8) -> None:
        """Copy row i to address i.

        Raises:
            GeneratorError: a buffer lies outside; rows of regions before it may have been written.
        """
        width = rows.shape[1]
        whole = np.ascontiguousarray(rows).view(f"V{width}")[:, 0]
        for region, which, offsets in self._homes(addresses, np.full(len(rows), width, np.uint64)):
            region.windows(width)[offsets] = whole[which]
