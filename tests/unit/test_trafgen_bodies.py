"""Many frames compared at a time, wherever a changed octet is."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.trafgen.bodies import PIECE_OCTETS, SMALL_OCTETS, Body


@given(
    octets=st.sampled_from([1, 44, 700, 1498, PIECE_OCTETS + 1]),
    count=st.integers(1, 200),
    room=st.integers(0, 20),
    data=st.data(),
)
def test_any_changed_octet_is_seen_and_forgotten(octets: int, count: int, room: int, data: st.DataObject) -> None:
    count = min(count, 1 + 4 * PIECE_OCTETS // octets)
    wanted = (np.arange(octets) * 7 % 251).astype(np.uint8)
    body = Body(wanted)
    frames = np.zeros((count, octets + room), np.uint8)
    frames[:, :octets] = wanted
    assert body.is_of_all(frames)
    row, column = data.draw(st.integers(0, count - 1)), data.draw(st.integers(0, octets - 1))
    frames[row, column] ^= 0xFF
    assert not body.is_of_all(frames)
    assert body.is_of_all(frames[:row]) or row == 0
    assert body.is_of_all(frames[row + 1 :])
    frames[row, column] ^= 0xFF
    frames[:, octets:] ^= 0xFF  # what is behind it is another's
    assert body.is_of_all(frames)


def test_both_ways_to_compare_are_taken() -> None:
    small, large = np.zeros((1, 60), np.uint8), np.zeros((SMALL_OCTETS, 60), np.uint8)
    body = Body(np.zeros(60, np.uint8))
    assert body.is_of_all(small)
    assert body.is_of_all(large)
    large[-1, 59] = 1
    assert not body.is_of_all(large)
