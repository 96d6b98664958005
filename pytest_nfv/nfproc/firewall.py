"""`Firewall` over a batch: each field says by one look-up which rules it fits; the first that all fit decides.

A field's answer is a bit for each rule, rule 0 the lowest of the first word (the bit vectors of Lakshman and
Stiliadis, 1998), so that the cost hardly grows up to 64 rules, and by one word for each further 64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Network

import numpy as np
import numpy.typing as npt

from pytest_nfv.model.nf import Firewall
from pytest_nfv.model.rules import PORT_MAX, Rule
from pytest_nfv.nfproc.address_table import U16, AddressTable, borders, ranges_of
from pytest_nfv.nfproc.batch import I8, MALFORMED, POLICY, Batch, Ways
from pytest_nfv.nfproc.headers import ETHERNET, B, Headers, all_of, scratch
from pytest_nfv.rings.frames import I64
from pytest_nfv.rings.port import U64

_BITS = 64
_NO_PORT = PORT_MAX + 1
_PROTOCOLS = 256
_LATER_FRAGMENT = np.uint32(0x1FFF)
_TCP, _UDP = np.uint32(6), np.uint32(17)
_ONE = np.uint64(1)
_LOW, _HALF = np.uint32(0xFFFF), np.uint32(16)


def _empty(rows: int, rules: int) -> U64:
    """Return no bits, shape (words, rows)."""
    return np.zeros((-(-rules // _BITS), rows), np.uint64)


def _bit(rule: int) -> tuple[int, np.uint64]:
    """Return the word and the bit that stand for a rule."""
    return rule // _BITS, np.uint64(1 << rule % _BITS)


class _Addresses:
    """The bits of one of the two addresses."""

    def __init__(self, networks: Sequence[IPv4Network]) -> None:
        starts = borders(networks)
        bits = _empty(len(starts), len(networks))
        for rule, network in enumerate(networks):
            word, bit = _bit(rule)
            bits[word, ranges_of(starts, network)] |= bit
        kinds: dict[bytes, int] = {}  # the first range's is 0, for which the table takes no memory
        values = [kinds.setdefault(row.tobytes(), len(kinds)) for row in np.ascontiguousarray(bits.T)]
        self._table = AddressTable(starts, np.array(values, np.uint16))
        self.bits: U64 = np.frombuffer(b"".join(kinds), np.uint64).reshape(len(kinds), -1).T.copy()

    def look_up(self, addresses: npt.NDArray[np.uint32]) -> U16:
        return self._table.look_up(addresses)


def _port_bits(rules: Sequence[Rule], ports: Callable[[Rule], tuple[int, int]]) -> U64:
    """Return the bits of each port, and last those of a packet that has none."""
    bits = _empty(_NO_PORT + 1, len(rules))
    for rule, one in enumerate(rules):
        word, bit = _bit(rule)
        first, last = ports(one)
        bits[word, first : last + 1] |= bit
        if not one.looks_at_ports:
            bits[word, _NO_PORT] |= bit
    return bits


def _protocol_bits(rules: Sequence[Rule]) -> U64:
    bits = _empty(_PROTOCOLS, len(rules))
    for rule, one in enumerate(rules):
        word, bit = _bit(rule)
        bits[word, slice(None) if one.protocol is None else one.protocol] |= bit
    return bits


class Filter:
    """A rule set as tables of bits."""

    def __init__(self, function: Firewall) -> None:
        """Build the tables."""
        rules = function.rules.rules
        self._source = _Addresses([rule.source for rule in rules])
        self._destination = _Addresses([rule.destination for rule in rules])
        self._protocol = _protocol_bits(rules)
        self._source_port = _port_bits(rules, lambda rule: rule.source_ports)
        self._destination_port = _port_bits(rules, lambda rule: rule.destination_ports)
        self._allowing: U64 = _empty(1, len(rules))[:, 0]
        for number, rule in enumerate(rules):
            word, bit = _bit(number)
            self._allowing[word] |= bit if rule.action == "allow" else np.uint64(0)
        self._default = function.rules.default == "allow"
        self._scratch = scratch(6)

    def told(self) -> Mapping[str, int]:
        """Nothing of its own."""
        return {}

    def __call__(self, batch: Batch) -> Ways:
        """Judge the frames."""
        headers = Headers(batch, self._scratch)
        judged = headers.plain()
        if not (plain := all_of(judged)):
            judged[headers.with_options()] = True
        allowed = self._allowed(headers, self._ports(batch, headers, judged))
        out = 1 - batch.nic
        if plain and all_of(allowed):
            return out
        ways: I8 = np.where(allowed, out, POLICY).astype(np.int8)
        if not plain:
            ways[~judged] = out if self._default else POLICY
            ways[headers.is_ipv4 & ~judged] = MALFORMED
        return ways

    def _ports(self, batch: Batch, headers: Headers, judged: B) -> tuple[I64, I64]:
        """Return source and destination ports, `_NO_PORT` where there are none."""
        protocol, lengths, both = headers.protocol, headers.lengths, headers.words[5]
        seen = judged & ((protocol == _UDP) | (protocol == _TCP))
        seen &= headers.words[1] & _LATER_FRAGMENT == 0
        seen &= headers.totals - lengths >= 4
        plain = lengths == 20
        if not all_of(plain):
            moved = np.flatnonzero(seen & ~plain)
            columns = (ETHERNET + lengths[moved])[:, None] + np.arange(4)
            both[moved] = batch.frames[moved[:, None], columns].view(">u4")[:, 0]
        ports = (both >> _HALF).astype(np.int64), (both & _LOW).astype(np.int64)
        if not all_of(seen):
            for one in ports:
                one[~seen] = _NO_PORT
        return ports

    def _allowed(self, headers: Headers, ports: tuple[I64, I64]) -> B:
        """Say which packets the first rule that fits, or the default, allows."""
        source = self._source.look_up(headers.source)
        destination = self._destination.look_up(headers.destination)
        protocol = headers.protocol
        allowed: B = np.full(len(source), self._default)
        open_ones: B | None = None
        for word, allowing in enumerate(self._allowing):
            fits = self._source.bits[word][source] & self._destination.bits[word][destination]
            fits &= self._protocol[word][protocol]
            fits &= self._source_port[word][ports[0]]
            fits &= self._destination_port[word][ports[1]]
            found = fits != 0
            if open_ones is not None:
                found &= open_ones
            first = fits & -fits  # the lowest bit
            np.copyto(allowed, (first & allowing) != 0, where=found)
            open_ones = ~found if open_ones is None else open_ones & ~found
            if not open_ones.any():
                break
        return allowed
