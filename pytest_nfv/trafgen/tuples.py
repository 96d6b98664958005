"""5-tuples by numpy: the octets of an IPv4/UDP header that tell one from another, and the checksum that follows.

Tuple k has the template's addresses, `k % 50000` added to the last 16 bits of both, and its source port, to which
`k // 50000` is added: up to a million, no two alike, tuple 0 the template's own. Protocol and destination port
stay.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.rings.frames import Frames
from pytest_nfv.rings.port import U8

HOSTS = 50_000  # so that no address of a /16 that begins at .0.1 is its broadcast address
_VLAN = (b"\x81\x00", b"\x88\xa8")
_UDP = 17
_VARIED_AT = 8  # of the IPv4 header: time to live, protocol, checksum, addresses; then both ports
_OCTETS = 16


def ipv4_at(frame: bytes) -> int:
    """Return where the IPv4 header is, VLAN tags passed over.

    Raises:
        ConfigurationError: no IPv4/UDP frame whose 5-tuple can be changed.
    """
    at = 12
    while frame[at : at + 2] in _VLAN:
        at += 4
    head = frame[at + 2 :]
    wrong = ""
    if frame[at : at + 2] != b"\x08\x00" or len(head) < 28:
        wrong = "it has no IPv4 header"
    elif head[0] != 0x45:
        wrong = "its IPv4 header has options"
    elif int.from_bytes(head[6:8]) & 0x3FFF:
        wrong = "it is a fragment"
    elif head[9] != _UDP:
        wrong = f"its IPv4 protocol is {head[9]}"
    elif head[26:28] != b"\0\0":
        wrong = "its UDP checksum would have to follow"
    if wrong:
        raise ConfigurationError(
            f"several 5-tuples of a frame: {wrong}; accepted: IPv4 without options, UDP without checksum"
        )
    return at + 2


def _fixed_sum(header: U8) -> int:
    """Return the one's complement sum of what stays of an IPv4 header: all but addresses and checksum."""
    words = header.view(">u2")[:5]
    total = int(words.sum(dtype=np.int64))
    return (total - 1) % 0xFFFF + 1


def tuple_rows(header: U8, count: int) -> U8:
    """Return what is written at octet 8 of the IPv4 header, shape (count, 16).

    `header` has 24 octets: the ports, too.
    """
    words = header.view(">u2").astype(np.int64)
    number = np.arange(count, dtype=np.int64)
    host, step = number % HOSTS, number // HOSTS
    source, destination = (words[7] + host) & 0xFFFF, (words[9] + host) & 0xFFFF
    total = _fixed_sum(header) + words[6] + words[8] + source + destination
    checksum = 0xFFFF - ((total - 1) % 0xFFFF + 1)
    rows = np.empty((count, _OCTETS // 2), ">u2")
    for column, value in enumerate(
        (words[4], checksum, words[6], source, words[8], destination, (words[10] + step) & 0xFFFF, words[11])
    ):
        rows[:, column] = value
    made: U8 = rows.view(np.uint8)
    return made


def with_tuples(table: Frames, count: int, distinct: Sequence[U8]) -> Frames:
    """Return the table with `count` 5-tuples, frame i with tuple i % count.

    Args:
        table: the frames of one flow.
        count: tuples.
        distinct: the different frames in it.

    Raises:
        ConfigurationError: a frame without a 5-tuple, or frames whose checksums do not go together.
    """
    places = {one.tobytes(): ipv4_at(one.tobytes()) for one in distinct}
    headers = [np.frombuffer(octets[at : at + 24], np.uint8) for octets, at in places.items()]
    if len({(_fixed_sum(one), one[_VARIED_AT:10].tobytes(), one[12:].tobytes()) for one in headers}) > 1:
        raise ConfigurationError(
            "several 5-tuples of a mix: its frames differ in addresses, ports, time to live or in what their IPv4 "
            "checksums come to; accepted: an identification that makes up for the total length"
        )
    at = np.array([places[frame.tobytes()] for frame in table.one_after()], np.int64)
    return table.varying(tuple_rows(headers[0], count), at + _VARIED_AT)
