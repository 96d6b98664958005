"""`L3Fwd` over a batch: one look-up a frame, and two writes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pytest_nfv.model.nf import L3Fwd
from pytest_nfv.nfproc.address_table import U16, AddressTable, borders, ranges_of
from pytest_nfv.nfproc.batch import I8, MALFORMED, NO_ROUTE, TTL, U32, Batch, Ways
from pytest_nfv.nfproc.headers import B, Headers, all_of, long_sums_right, scratch
from pytest_nfv.rings.frames import Rows
from pytest_nfv.rings.port import U8

_TTL_AT = 14 + 8  # of the frame; protocol and checksum follow
_MACS = "V12"
_TTL_LEAST = np.uint32(2 << 24)
_AGE = np.uint32((1 << 24) - 0x0100)  # TTL less one, checksum more by as much in its place
_LOW = np.uint32(0xFFFF)
_CARRYING = np.uint32(0xFEFF)  # from this checksum on, the addition carries


class Router:
    """A route table as an array of next hops."""

    def __init__(self, function: L3Fwd) -> None:
        """Build the table; next hop 0 stands for no route."""
        hops: dict[tuple[int, str], int] = {}
        routes = sorted(function.routes.routes, key=lambda route: route.prefix.prefixlen)
        starts = borders([route.prefix for route in routes])
        values = np.zeros(len(starts), np.uint16)
        for route in routes:  # longer prefixes over shorter ones
            hop = (route.nic, route.next_hop or function.neighbours[route.nic])
            values[ranges_of(starts, route.prefix)] = hops.setdefault(hop, len(hops) + 1)
        self._table = AddressTable(starts, values)
        self._nics: I8 = np.array([NO_ROUTE, *(nic for nic, _ in hops)], np.int8)
        heads = [bytes(12)] + [_octets(mac) + _octets(function.addresses[nic]) for nic, mac in hops]
        self._heads: Rows = np.frombuffer(b"".join(heads), _MACS)
        self._scratch = scratch()

    def told(self) -> Mapping[str, int]:
        """Nothing of its own."""
        return {}

    def __call__(self, batch: Batch) -> Ways:
        """Route the frames."""
        headers = Headers(batch, self._scratch)
        hops = self._table.look_up(headers.destination)
        third = headers.words[2]
        sound = headers.plain()
        sound &= headers.sums_right()
        if not (all_of(sound) and third.min() >= _TTL_LEAST and np.count_nonzero(hops) == len(hops)):
            return self._some(batch, headers, sound, hops)
        macs, ages = _places(batch.frames)
        ages[:] = _aged(third)
        first = int(hops[0])
        if all_of(hops == first):
            macs[:] = self._heads[first : first + 1]
            return int(self._nics[first])
        macs[:] = self._heads[hops]
        return self._nics[hops]

    def _some(self, batch: Batch, headers: Headers, sound: B, hops: U16) -> Ways:
        """Route a batch of which not every frame is plain, or passed."""
        frames, third = batch.frames, headers.words[2]
        long = headers.with_options()
        if len(long):
            sound[long] = long_sums_right(frames, long, headers.lengths[long])
        ways: I8 = self._nics[hops]
        ways[(third < _TTL_LEAST) & (hops != 0)] = TTL
        ways[~sound] = MALFORMED
        rows = np.flatnonzero(ways >= 0)
        macs, ages = _places(frames)
        ages[rows] = _aged(third[rows])
        macs[rows] = self._heads[hops[rows]]
        return ways


def _places(frames: U8) -> tuple[Rows, U32]:
    """Return, of each frame, both MAC addresses, and TTL to checksum, as two columns."""
    macs: Rows = frames[:, :12].view(_MACS)[:, 0]
    ages: U32 = frames[:, _TTL_AT : _TTL_AT + 4].view(">u4")[:, 0]
    return macs, ages


def _aged(third: U32) -> U32:
    """Return headers' third words with TTL less one and the checksum that follows from that.

    HC' = ~(~HC + ~m + m') with m' = m - 0x0100 is HC + 0x0100 in one's complement, of whose two zeros it gives
    0x0000 (RFC 1624, equation 3).
    """
    aged: U32 = third - _AGE
    aged -= (third & _LOW >= _CARRYING) * _LOW  # the carry out of the upper end comes in again at the lower
    return aged


def _octets(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))
