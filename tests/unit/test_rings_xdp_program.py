"""Our XDP programs, run by a small interpreter: where each frame goes. The kernel's verifier sees them in the
contract tests."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.rings.xdp_program import by_mac, by_queue, mac

PASS = 2
SOCKETS = 5  # the map's descriptor
MACS = st.binary(min_size=6, max_size=6)
WORD = (1 << 64) - 1


def where(program: bytes, frame: bytes, queue: int) -> int | tuple[str, int]:
    """Return the program's verdict: PASS, or the socket of which queue."""
    steps = [struct.unpack_from("<BBhi", program, at) for at in range(0, len(program), 8)]
    context = {0: 1000, 4: 1000 + len(frame), 16: queue}
    registers = {1: 0}
    at = 0
    while True:
        code, sides, offset, value = steps[at]
        to, source = sides & 15, sides >> 4
        at += 1
        if code == 0x61 and registers[source] == 0:  # from the context
            registers[to] = context[offset]
        elif code in (0x61, 0x69):  # from the frame, and within it
            start, width = registers[source] - 1000 + offset, 4 if code == 0x61 else 2
            assert start + width <= len(frame), "the verifier would not have it"
            registers[to] = int.from_bytes(frame[start : start + width], "little")
        elif code == 0x18:
            registers[to] = value
            at += 1
        elif code in (0xB7, 0xBF, 0x07):
            other = registers[source] if code == 0xBF else value
            registers[to] = (registers[to] + other if code == 0x07 else other) & WORD
        elif code in (0x55, 0x56):
            mask = WORD if code == 0x55 else 0xFFFFFFFF
            at += offset if registers[to] & mask != value & mask else 0
        elif code in (0x05, 0x2D):
            at += offset if code == 0x05 or registers[to] > registers[source] else 0
        elif code == 0x85:
            assert (value, registers[1], registers[3]) == (51, SOCKETS, PASS)
            return "socket", registers[2]
        else:
            assert code == 0x95
            return registers[0]


@given(st.binary(max_size=100), st.integers(0, 63))
def test_by_queue_takes_every_frame(frame: bytes, queue: int) -> None:
    assert where(by_queue(SOCKETS), frame, queue) == ("socket", queue)


@given(st.lists(MACS, min_size=1, max_size=5), st.data(), st.integers(0, 63))
def test_by_mac_takes_the_frames_to_its_addresses(ours: list[bytes], data: st.DataObject, queue: int) -> None:
    frame = data.draw(st.sampled_from(ours)) + data.draw(st.binary(max_size=20))
    assert where(by_mac(SOCKETS, ours), frame, queue) == ("socket", queue)


@given(st.lists(MACS, min_size=1, max_size=5), st.data())
def test_by_mac_passes_all_others(ours: list[bytes], data: st.DataObject) -> None:
    near = bytearray(data.draw(st.sampled_from(ours)))
    near[data.draw(st.integers(0, 5))] ^= 1 << data.draw(st.integers(0, 7))
    if bytes(near) not in ours:
        assert where(by_mac(SOCKETS, ours), bytes(near) + bytes(8), 0) == PASS


@given(st.binary(max_size=5))
def test_by_mac_passes_what_is_too_short(frame: bytes) -> None:
    assert where(by_mac(SOCKETS, [bytes(6)]), frame, 0) == PASS


def test_a_mac_address_is_read() -> None:
    assert mac("02:00:00:00:0a:ff") == bytes([2, 0, 0, 0, 10, 255])


@pytest.mark.parametrize("text", ["", "02:00", "02:00:00:00:00:zz", "02:00:00:00:00:00:01"])
def test_what_is_no_mac_address_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"port address '{text}': accepted: a MAC address such as"):
        mac(text)
