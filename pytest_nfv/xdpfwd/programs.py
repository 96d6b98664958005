"""The programs: each frame's way, in the kernel, before it is made a packet of the kernel's own.

Little-endian machines only; `forwarder` says so elsewhere. Sockets' buffers and the kernel's stack never see a
frame: it goes from one vNIC's receive ring to the other's transmit function, or is dropped here and counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from pytest_nfv.xdpfwd.assembly import STACK, Assembly

# struct xdp_md, actions, helpers (linux/bpf.h).
_DATA, _DATA_END = 0, 4
_DROP = 1
_LOOKUP, _REDIRECT_MAP = 1, 51

# Offsets in a frame.
_TYPE, _IP = 12, 14
_TOTAL, _TTL, _CHECKSUM, _DESTINATION = _IP + 2, _IP + 8, _IP + 10, _IP + 16
_ETHERTYPE_IPV4 = 0x0008  # as a little-endian machine reads 0x0800
_IPV4 = 4
_HEADER_WORDS, _HEADER_WORDS_MAX = 5, 15

# On the stack: what is looked up.
_KEY, _LPM_KEY = -4, -16
_CONTEXT, _FRAME, _END, _RESULT = 6, 7, 8, 9  # registers that helpers keep


class Outcome(IntEnum):
    """What became of a frame: its index in the array of counters."""

    FORWARDED = 0
    MALFORMED = 1
    NO_ROUTE = 2
    TTL = 3


@dataclass(frozen=True, slots=True)
class Maps:
    """Descriptors of the maps that a program uses.

    Attributes:
        devices: vNIC to interface; counters: by `Outcome`, one each core; routes: longest prefix to `Hop`.
    """

    devices: int
    counters: int
    routes: int = -1


def l2fwd(maps: Maps, out: int) -> bytes:
    """Return the program that sends every frame out of vNIC `out` as it came."""
    code = Assembly()
    _count(code, maps, Outcome.FORWARDED)
    code.move(2, out)
    _redirect(code, maps)
    return code.octets()


def l3fwd(maps: Maps) -> bytes:
    """Return the program of an IPv4 router, as `model.nf.L3Fwd` defines it; the same for every vNIC."""
    code = Assembly()
    code.copy(_CONTEXT, 1)
    code.load(4, _FRAME, _CONTEXT, _DATA)
    code.load(4, _END, _CONTEXT, _DATA_END)
    _check_length(code)
    _check_checksum(code)
    _look_up(code, maps)
    code.load(1, 1, _FRAME, _TTL)
    code.jump_if(1, "<=", 1, "ttl")
    _rewrite(code)
    code.load(4, _RESULT, _RESULT, 12)  # over the calls below, which forget what is not kept
    _count(code, maps, Outcome.FORWARDED)
    code.copy(2, _RESULT)
    _redirect(code, maps)
    for name, outcome in (("malformed", Outcome.MALFORMED), ("unrouted", Outcome.NO_ROUTE), ("ttl", Outcome.TTL)):
        code.label(name)
        _count(code, maps, outcome)
        code.move(0, _DROP)
        code.exit()
    return code.octets()


def _check_length(code: Assembly) -> None:
    """Leave the header's octets in r5."""
    code.copy(1, _FRAME)
    code.compute(1, "+", _IP + 4 * _HEADER_WORDS)
    code.jump_if_with(1, ">", _END, "malformed")
    code.load(2, 1, _FRAME, _TYPE)
    code.jump_if(1, "!=", _ETHERTYPE_IPV4, "malformed")
    code.load(1, 5, _FRAME, _IP)
    code.copy(1, 5)
    code.compute(1, ">>", 4)
    code.jump_if(1, "!=", _IPV4, "malformed")
    code.compute(5, "&", 0xF)
    code.compute(5, "<<", 2)
    code.jump_if(5, "<", 4 * _HEADER_WORDS, "malformed")
    code.load(2, 1, _FRAME, _TOTAL)
    code.from_network(1)
    code.jump_if_with(1, "<", 5, "malformed")
    code.copy(2, _END)
    code.compute_with(2, "-", _FRAME)
    code.compute(2, "-", _IP)
    code.jump_if_with(1, ">", 2, "malformed")


def _check_checksum(code: Assembly) -> None:
    """Add up the header's 16-bit words; options, behind its fifth 32-bit word, two at a time (RFC 1071)."""
    code.move(4, 0)
    for word in range(_HEADER_WORDS_MAX):
        offset = _IP + 4 * word
        if word >= _HEADER_WORDS:
            code.jump_if(5, "<=", 4 * word, "added")
            code.copy(1, _FRAME)
            code.compute(1, "+", offset + 4)
            code.jump_if_with(1, ">", _END, "malformed")  # cannot be, but the verifier does not know
        for half in (0, 2):
            code.load(2, 1, _FRAME, offset + half)
            code.compute_with(4, "+", 1)
    code.label("added")
    for _ in range(2):
        code.copy(1, 4)
        code.compute(1, ">>", 16)
        code.compute(4, "&", 0xFFFF)
        code.compute_with(4, "+", 1)
    code.jump_if(4, "!=", 0xFFFF, "malformed")


def _look_up(code: Assembly, maps: Maps) -> None:
    """Leave where the route's hop is in _RESULT."""
    code.store_value(4, STACK, _LPM_KEY, 32)
    code.load(4, 1, _FRAME, _DESTINATION)
    code.store(4, STACK, _LPM_KEY + 4, 1)
    code.map(1, maps.routes)
    code.copy(2, STACK)
    code.compute(2, "+", _LPM_KEY)
    code.call(_LOOKUP)
    code.jump_if(0, "==", 0, "unrouted")
    code.copy(_RESULT, 0)


def _rewrite(code: Assembly) -> None:
    """TTL less one, with the checksum; MAC addresses as the hop in _RESULT has them."""
    code.compute(1, "-", 1)
    code.store(1, _FRAME, _TTL, 1)
    code.load(2, 1, _FRAME, _CHECKSUM)
    code.compute(1, "+", 0x0001)  # 0x0100 in the network's order: what TTL has less (RFC 1624)
    code.copy(2, 1)
    code.compute(2, "+", 1)
    code.compute(2, ">>", 16)  # 1 from 0xffff on: the carry, and no -0
    code.compute_with(1, "+", 2)
    code.store(2, _FRAME, _CHECKSUM, 1)
    for width, offset in ((4, 0), (4, 4), (4, 8)):
        code.load(width, 1, _RESULT, offset)
        code.store(width, _FRAME, offset, 1)


def _count(code: Assembly, maps: Maps, outcome: Outcome) -> None:
    """Add one to a counter of this core; an array has all its entries, but the verifier wants to be told."""
    code.store_value(4, STACK, _KEY, outcome)
    code.map(1, maps.counters)
    code.copy(2, STACK)
    code.compute(2, "+", _KEY)
    code.call(_LOOKUP)
    label = f"counted {outcome.name}"
    code.jump_if(0, "==", 0, label)
    code.load(8, 1, 0, 0)
    code.compute(1, "+", 1)
    code.store(8, 0, 0, 1)
    code.label(label)


def _redirect(code: Assembly, maps: Maps) -> None:
    """Send the frame out of the vNIC in r2."""
    code.map(1, maps.devices)
    code.move(3, _DROP)  # where there is no such vNIC
    code.call(_REDIRECT_MAP)
    code.exit()
