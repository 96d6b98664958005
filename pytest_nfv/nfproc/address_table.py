"""IPv4 addresses to small numbers by one look-up, or two: DIR-24-8 (Gupta, Lin, McKeown, 1998) as numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network

import numpy as np
import numpy.typing as npt

from pytest_nfv.nfproc.batch import U32
from pytest_nfv.rings.frames import I64

U16 = npt.NDArray[np.uint16]
VALUE_MAX = 0x7FFF
_FURTHER = np.uint16(0x8000)  # in an entry of the first table: the rest is a row of the second
_LAST = 8
_BLOCK = 1 << _LAST


def borders(networks: Sequence[IPv4Network]) -> I64:
    """Return where the ranges begin into which these prefixes divide all addresses; the first begins at 0."""
    ends = [0]
    for network in networks:
        first = int(network.network_address)
        ends += [first, first + network.num_addresses]
    starts = np.unique(np.array(ends, np.int64))
    return starts[starts < 1 << 32]


def ranges_of(starts: I64, network: IPv4Network) -> slice:
    """Return which of the ranges lie in a prefix."""
    first = int(network.network_address)
    ends = np.searchsorted(starts, [first, first + network.num_addresses])
    return slice(int(ends[0]), int(ends[1]))


class AddressTable:
    """A value for each address, from 0 to `VALUE_MAX`.

    The first table has an entry for each 24 leading bits, of which those that are never asked for take no memory
    where the value is 0. A block of 256 addresses in which the value changes has a row in the second.
    """

    def __init__(self, starts: I64, values: U16) -> None:
        """Give the addresses from `starts[i]` up to the next start `values[i]`; the first start is 0."""
        self._first: U16 = np.zeros(1 << (32 - _LAST), np.uint16)
        ends = np.append(starts[1:], 1 << 32)
        for start, end, value in zip(starts.tolist(), ends.tolist(), values.tolist(), strict=True):
            if value:
                self._first[-(-start >> _LAST) : end >> _LAST] = value
        mixed = np.unique(starts[starts % _BLOCK != 0] >> _LAST)
        addresses = (mixed << _LAST)[:, None] + np.arange(_BLOCK)
        self._second: U16 = values[np.searchsorted(starts, addresses, "right") - 1]
        self._first[mixed] = np.arange(len(mixed), dtype=np.uint16) | _FURTHER
        self._mixed = bool(len(mixed))

    def look_up(self, addresses: U32) -> U16:
        """Return the values of addresses, shape (n,)."""
        found: U16 = self._first[addresses >> np.uint32(_LAST)]
        if self._mixed:
            beyond = found >= _FURTHER
            if np.count_nonzero(beyond):
                further = np.flatnonzero(beyond)
                rows = found[further] & ~_FURTHER
                found[further] = self._second[rows, addresses[further] & np.uint32(_BLOCK - 1)]
        return found
