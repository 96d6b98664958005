"""The XDP forwarder's programs, run by a small interpreter and compared with the oracle.

The kernel's verifier and real frames are met in the functional tests.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.model.nf import Drop, L2Fwd, L3Fwd
from pytest_nfv.model.nf_oracle import Sent, checksum, process
from pytest_nfv.model.routes import Route, RouteTable
from pytest_nfv.xdpfwd.forwarder import route_entry
from pytest_nfv.xdpfwd.programs import Maps, Outcome, l2fwd, l3fwd

DEVICES, COUNTERS, ROUTES = 5, 6, 7
MAPS = Maps(DEVICES, COUNTERS, ROUTES)
FRAME, STACK, HOP, COUNTER, CONTEXT = 1 << 20, 2 << 20, 3 << 20, 4 << 20, 5 << 20
WORD = (1 << 64) - 1
WIDTHS = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}
TABLE = RouteTable(
    (
        Route.of("198.18.0.0/16", 0),
        Route.of("198.19.0.0/16", 1),
        Route.of("198.19.4.0/24", 0, "02:00:00:00:00:aa"),
        Route.of("198.19.4.129/32", 1, "02:00:00:00:00:bb"),
    )
)
Verdict: TypeAlias = "tuple[str, int]"


class Machine:
    """Runs one program over one frame."""

    def __init__(self, function: L3Fwd, frame: bytes) -> None:
        self.function = function
        self.memory = {FRAME: bytearray(frame), STACK: bytearray(64), HOP: bytearray(16), COUNTER: bytearray(8)}
        self.counted: list[Outcome] = []
        self.octets = len(frame)

    def at(self, address: int, width: int) -> tuple[bytearray, int]:
        base = address >> 20 << 20
        block, offset = self.memory[base], address - base
        assert offset + width <= len(block), "the verifier would not have it"
        return block, offset

    def load(self, address: int, width: int) -> int:
        if address >= CONTEXT:
            return {0: FRAME, 4: FRAME + self.octets}[address - CONTEXT]
        block, offset = self.at(address, width)
        return int.from_bytes(block[offset : offset + width], "little")

    def store(self, address: int, width: int, value: int) -> None:
        block, offset = self.at(address, width)
        block[offset : offset + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")

    def look_up(self, table: int, key: int) -> int:
        if table == COUNTERS:
            self.counted.append(Outcome(self.load(key, 4)))
            return COUNTER
        assert (table, self.load(key, 4)) == (ROUTES, 32)
        block, offset = self.at(key + 4, 4)
        route = self.function.routes.lookup(IPv4Address(bytes(block[offset : offset + 4])))
        if route is None:
            return 0
        self.memory[HOP][:] = route_entry(self.function, route)[1]
        return HOP

    def run(self, program: bytes) -> Verdict:
        steps = [struct.unpack_from("<BBhi", program, at) for at in range(0, len(program), 8)]
        reg = {1: CONTEXT, 10: STACK + 64}
        at = 0
        while True:
            code, sides, offset, value = steps[at]
            to, source = sides & 15, sides >> 4
            at += 1
            kind = code & 7
            other = reg[source] if code & 8 and kind in (5, 7) and code not in (0x85, 0x95) else value
            if kind == 1:
                reg[to] = self.load(reg[source] + offset, WIDTHS[code & 0x18])
            elif kind in (2, 3):
                self.store(reg[to] + offset, WIDTHS[code & 0x18], reg[source] if kind == 3 else value)
            elif code == 0x18:
                reg[to] = value
                at += 1
            elif code == 0xDC:
                reg[to] = int.from_bytes((reg[to] & 0xFFFF).to_bytes(2, "little"))
            elif kind == 7:
                reg[to] = self.computed(code & 0xF0, reg.get(to, 0), other) & WORD
            elif code == 0x85 and value == 1:
                reg = {
                    0: self.look_up(reg[1], reg[2]),
                    **{kept: reg[kept] for kept in (6, 7, 8, 9, 10) if kept in reg},
                }
            elif code == 0x85:
                assert (value, reg[1], reg[3]) == (51, DEVICES, 1)
                return "redirect", reg[2]
            elif code == 0x95:
                return "return", reg[0]
            elif self.holds(code & 0xF0, reg.get(to, 0), other & WORD):
                at += offset

    @staticmethod
    def computed(operation: int, one: int, other: int) -> int:
        match operation:
            case 0x00:
                return one + other
            case 0x10:
                return one - other
            case 0x50:
                return one & other
            case 0x60:
                return one << other
            case 0x70:
                return one >> other
        assert operation == 0xB0
        return other

    @staticmethod
    def holds(comparison: int, one: int, other: int) -> bool:
        return {0x00: True, 0x10: one == other, 0x50: one != other, 0x20: one > other, 0xA0: one < other}.get(
            comparison, one <= other
        )


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Draw IPv4 frames, most of them sound, with a header checksum of either form of zero among them."""
    words = draw(st.sampled_from((5, 5, 5, 6, 15, 4)))
    options = draw(st.binary(min_size=4 * max(0, words - 5), max_size=4 * max(0, words - 5)))
    payload = draw(st.binary(max_size=8))
    total = draw(st.sampled_from((20 + len(options) + len(payload), 19, 20, 1400)))
    place = draw(st.sampled_from(("198.18.0.1", "198.19.0.1", "198.19.4.1", "198.19.4.129", "192.0.2.1")))
    version = draw(st.sampled_from((4, 4, 4, 6)))
    head = struct.pack(
        ">BBHIBB", version << 4 | words, 0, total, draw(st.integers(0, 0xFFFFFFFF)), draw(st.integers(0, 255)), 17
    )
    ends = draw(st.binary(min_size=4, max_size=4)) + IPv4Address(place).packed + options
    check = checksum(head + b"\0\0" + ends)
    if check == 0 and draw(st.booleans()):
        check = 0xFFFF
    check ^= draw(st.sampled_from((0, 0, 0, 0x100)))
    kind = draw(st.sampled_from((b"\x08\x00", b"\x08\x00", b"\x08\x00", b"\x86\xdd")))
    return draw(st.binary(min_size=12, max_size=12)) + kind + head + check.to_bytes(2) + ends + payload


REASONS = {Drop.MALFORMED: Outcome.MALFORMED, Drop.NO_ROUTE: Outcome.NO_ROUTE, Drop.TTL: Outcome.TTL}


@given(st.one_of(frames(), frames(), frames().map(lambda frame: frame[:33]), st.binary(min_size=14, max_size=60)))
def test_l3fwd_does_as_the_oracle(frame: bytes) -> None:
    function = L3Fwd(TABLE)
    machine = Machine(function, frame)
    verdict = machine.run(l3fwd(MAPS))
    answer = process(function, 0, frame)
    if isinstance(answer, Sent):
        assert (verdict, machine.counted) == (("redirect", answer.nic), [Outcome.FORWARDED])
        assert bytes(machine.memory[FRAME]) == answer.frame
    else:
        assert (verdict, machine.counted) == (("return", 1), [REASONS[answer]])
        assert bytes(machine.memory[FRAME]) == frame


@given(st.binary(min_size=14, max_size=100), st.integers(0, 1))
def test_l2fwd_sends_every_frame_as_it_came(frame: bytes, out: int) -> None:
    machine = Machine(L3Fwd(TABLE), frame)
    assert machine.run(l2fwd(MAPS, out)) == ("redirect", out)
    assert process(L2Fwd(), 1 - out, frame) == Sent(out, bytes(machine.memory[FRAME]))
    assert machine.counted == [Outcome.FORWARDED]
