"""The messages of memif's control channel, protocol 2.0, as VPP's and DPDK's `memif.h` have them.

Each is one SEQPACKET datagram of 128 octets: `u16 kind`, then packed little-endian fields, then zeros. Descriptors
travel beside ADD_REGION and ADD_RING as SCM_RIGHTS.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

VERSION = 2 << 8
MESSAGE_OCTETS = 128
TO_SERVER = 1  # flag of ADD_RING: the client sends on this ring
ETHERNET = 0  # mode of INIT
NAME_OCTETS, SECRET_OCTETS, REASON_OCTETS = 32, 24, 96


class Ack(NamedTuple):
    """The message before was accepted."""


class Hello(NamedTuple):
    """First word of the server; what it can have at most: `max_*` are the highest index or logarithm."""

    name: bytes
    min_version: int
    max_version: int
    max_region: int
    max_to_client_ring: int
    max_to_server_ring: int
    max_log2_slots: int


class Init(NamedTuple):
    """Which interface the client wants."""

    version: int
    id: int
    mode: int
    secret: bytes
    name: bytes


class AddRegion(NamedTuple):
    """A region of memory, whose descriptor comes along."""

    number: int
    octets: int


class AddRing(NamedTuple):
    """A ring in a region, whose eventfd comes along."""

    flags: int
    number: int
    region: int
    offset: int
    log2_slots: int
    private_octets: int


class Connect(NamedTuple):
    """The client has said all."""

    name: bytes


class Connected(NamedTuple):
    """The server runs."""

    name: bytes


class Disconnect(NamedTuple):
    """The end, and why."""

    code: int
    reason: bytes


Message = Ack | Hello | Init | AddRegion | AddRing | Connect | Connected | Disconnect

_KINDS: dict[int, type[Message]] = {
    1: Ack,
    2: Hello,
    3: Init,
    4: AddRegion,
    5: AddRing,
    6: Connect,
    7: Connected,
    8: Disconnect,
}
_LAYOUTS: dict[type[Message], struct.Struct] = {
    Ack: struct.Struct("<"),
    Hello: struct.Struct("<32sHHHHHB"),
    Init: struct.Struct("<HIB24s32s"),
    AddRegion: struct.Struct("<HQ"),
    AddRing: struct.Struct("<HHHIBH"),
    Connect: struct.Struct("<32s"),
    Connected: struct.Struct("<32s"),
    Disconnect: struct.Struct("<I96s"),
}
_NUMBERS = {form: number for number, form in _KINDS.items()}


def pack(message: Message) -> bytes:
    """Return the 128 octets of a message."""
    form = type(message)
    body = _LAYOUTS[form].pack(*message)
    return (_NUMBERS[form].to_bytes(2, "little") + body).ljust(MESSAGE_OCTETS, b"\0")


def parse(data: bytes) -> Message:
    """Read a message.

    Raises:
        ValueError: another length or an unknown kind; with what is accepted.
    """
    if len(data) != MESSAGE_OCTETS:
        raise ValueError(f"a message of {len(data)} octets: accepted: {MESSAGE_OCTETS}")
    kind = int.from_bytes(data[:2], "little")
    form = _KINDS.get(kind)
    if form is None:
        raise ValueError(f"a message of kind {kind}: accepted: 1 to {max(_KINDS)}")
    return form(*_LAYOUTS[form].unpack_from(data, 2))


def text(field: bytes) -> str:
    """Return a field of characters up to its first zero, fit to be shown."""
    shown = field.partition(b"\0")[0].decode("ascii", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in shown)
