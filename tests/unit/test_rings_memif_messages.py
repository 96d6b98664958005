"""The 128 octets of memif's messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.rings.memif_messages import (
    MESSAGE_OCTETS,
    Ack,
    AddRegion,
    AddRing,
    Connect,
    Connected,
    Disconnect,
    Hello,
    Init,
    Message,
    pack,
    parse,
    text,
)

U8S, U16, U32, U64S = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64))


def chars(octets: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=octets, max_size=octets)


MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.just(Ack()),
    st.builds(Hello, chars(32), U16, U16, U16, U16, U16, U8S),
    st.builds(Init, U16, U32, U8S, chars(24), chars(32)),
    st.builds(AddRegion, U16, U64S),
    st.builds(AddRing, U16, U16, U16, U32, U8S, U16),
    st.builds(Connect, chars(32)),
    st.builds(Connected, chars(32)),
    st.builds(Disconnect, U32, chars(96)),
)


@given(MESSAGES)
def test_what_is_packed_is_read_again(message: Message) -> None:
    data = pack(message)
    assert len(data) == MESSAGE_OCTETS
    read = parse(data)
    assert type(read) is type(message)
    assert read == message


def test_fields_lie_where_the_protocol_has_them() -> None:
    data = pack(AddRing(1, 2, 3, 0x04050607, 8, 9))
    assert data[:17] == bytes([5, 0, 1, 0, 2, 0, 3, 0, 7, 6, 5, 4, 8, 9, 0, 0, 0])
    assert pack(Init(0x200, 5, 0, b"s", b"n"))[2:9] == bytes([0, 2, 5, 0, 0, 0, 0])


@given(st.binary(max_size=300).filter(lambda data: len(data) != MESSAGE_OCTETS))
def test_another_length_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=f"a message of {len(data)} octets: accepted: 128"):
        parse(data)


@given(st.integers(1, 8), chars(126))
def test_any_octets_of_a_known_kind_are_read(kind: int, body: bytes) -> None:
    assert type(parse(kind.to_bytes(2, "little") + body)) in Message.__args__


@pytest.mark.parametrize("kind", [0, 9, 65_535])
def test_an_unknown_kind_is_named(kind: int) -> None:
    with pytest.raises(ValueError, match=f"kind {kind}: accepted: 1 to 8"):
        parse(kind.to_bytes(2, "little") + bytes(126))


def test_a_field_of_letters_ends_at_its_zero_and_shows_nothing_odd() -> None:
    assert text(b"DPDK\0rest") == "DPDK"
    assert text(b"a\x1b[31m\xff") == "a?[31m\ufffd"
