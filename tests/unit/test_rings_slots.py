"""Slots hold the frames that are due, whatever the table, the ring and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.rings.frames import Frames, in_turn
from pytest_nfv.rings.slots import AsideSlots, RingSlots

BATCH = 8
AT = 3
WIDTH = 4


def a_table(lengths: list[int], varied: int) -> Frames:
    """Return frames of these lengths, each octet told by its frame and place, the last never a zero."""
    frames = [(np.arange(octets) + 100 * place | 1).astype(np.uint8) for place, octets in enumerate(lengths)]
    table = Frames.mixed(frames)
    rows = np.arange(varied * WIDTH, dtype=np.uint8).reshape(varied, WIDTH) if varied else None
    return table if rows is None else table.varying(rows, np.full(len(lengths), AT))


def due(lengths: list[int], varied: int, number: int) -> list[int]:
    """Say what frame `number` is, octet by octet."""
    place = number % len(lengths)
    octets = [((at + 100 * place) % 256) | 1 for at in range(lengths[place])]
    if varied:
        row = number % varied
        octets[AT : AT + WIDTH] = [(row * WIDTH + at) % 256 for at in range(WIDTH)]
    return octets


LENGTHS = st.lists(st.integers(AT + WIDTH, 20), min_size=1, max_size=9)
STEPS = st.lists(st.tuples(st.sampled_from(["send", "refuse", "again"]), st.integers(1, BATCH)), max_size=60)


@given(
    lengths=LENGTHS,
    varied=st.integers(0, 19),
    size=st.sampled_from([4, 8, 16, 12]),
    first=st.integers(0, 3),
    steps=STEPS,
)
def test_a_ring_s_slots_hold_what_is_due(
    lengths: list[int], varied: int, size: int, first: int, steps: list[tuple[str, int]]
) -> None:
    rows = np.full((size, 24), 0xEE, np.uint8)
    slots = RingSlots(a_table(lengths, varied), rows, BATCH, first)
    told = slots.octets.copy()
    slot, number = first, 0
    for step, wanted in steps:
        count = min(wanted, size - slot)
        if step == "refuse":
            slots.refused(count)
            number += count
            continue
        octets = slots.ready(slot, count)
        if octets is not None:
            told[slot : slot + count] = octets
        for place in range(count):
            frame = rows[slot + place, 24 - told[slot + place] :]
            assert frame.tolist() == due(lengths, varied, number + place)
        if step == "send":  # "again": reserved, not sent
            slots.sent(count)
            slot, number = (slot + count) % size, number + count


@given(lengths=LENGTHS, varied=st.integers(0, 19), steps=st.lists(st.integers(0, BATCH), max_size=40))
def test_rows_aside_hold_what_is_due(lengths: list[int], varied: int, steps: list[int]) -> None:
    table = a_table(lengths, varied)
    rows = np.zeros((AsideSlots.rows_for(table, BATCH), 24), np.uint8)
    slots = AsideSlots(table, rows, BATCH)
    number = 0
    for went in steps:
        first = slots.ready(BATCH)
        wanted = [due(lengths, varied, number + place) for place in range(BATCH)]
        octets = slots.octets[first : first + BATCH]
        ends = [rows[first + place, 24 - octets[place] :].tolist() for place in range(BATCH)]
        assert ends == wanted
        assert [row[:n].tolist() for row, n in zip(slots.left(2, 6), octets[2:], strict=True)] == wanted[2:]
        slots.went(went)
        number += went


def test_a_ring_that_the_table_divides_is_never_written_again() -> None:
    lengths = [10, 12, 14, 16]
    rows = np.zeros((16, 24), np.uint8)
    slots = RingSlots(a_table(lengths, 8), rows, BATCH, 0)
    rows[:] = 0
    for turn in range(4):
        assert slots.ready(turn % 2 * 8, 8) is None
        slots.sent(8)
    assert not rows.any()
    slots.refused(1)
    assert slots.ready(0, 8) is not None
    assert rows[:8].any()


@pytest.mark.parametrize("varied", [0, 3])
def test_tables_take_turns(varied: int) -> None:
    one, other = [10, 12], [16, 9]
    both = in_turn([a_table(one, varied), a_table(other, varied)])
    rows = np.zeros((12, 24), np.uint8)
    slots = RingSlots(both, rows, BATCH, 0)
    for number in range(12):
        lengths = (one, other)[number % 2]
        assert rows[number, 24 - slots.octets[number] :].tolist() == due(lengths, varied, number // 2)


@given(lengths=LENGTHS, varied=st.integers(1, 12), queues=st.integers(1, 4))
def test_every_other_frame_is_a_table_of_its_own(lengths: list[int], varied: int, queues: int) -> None:
    table = a_table(lengths, varied)
    for queue in range(queues):
        some = table.every(queue, queues)
        rows = np.zeros((24, 24), np.uint8)
        slots = RingSlots(some, rows, BATCH, 0)
        for place in range(24):
            frame = rows[place, 24 - slots.octets[place] :]
            assert frame.tolist() == due(lengths, varied, queue + queues * place)


def test_a_header_lies_before_each_frame() -> None:
    lengths = [10, 15]
    table = a_table(lengths, 3).behind(np.array([7, 8, 9], np.uint8))
    rows = np.zeros((6, 24), np.uint8)
    slots = RingSlots(table, rows, BATCH, 0)
    for number in range(6):
        frame = rows[number, 24 - slots.octets[number] :]
        assert frame.tolist() == [7, 8, 9, *due(lengths, 3, number)]


@pytest.mark.parametrize("varied", [0, 4])
@pytest.mark.parametrize("lengths", [[10], [10, 12]])
def test_rewritten_frames_are_written_whole_each_time(lengths: list[int], varied: int) -> None:
    table = replace(a_table(lengths, varied), rewrite=True)
    ring, aside = np.zeros((4, 16), np.uint8), np.zeros((AsideSlots.rows_for(table, BATCH), 16), np.uint8)
    in_ring, in_rows = RingSlots(table, ring, 4, 0), AsideSlots(table, aside, BATCH)
    for start in range(0, 24, 4):
        ring[:], aside[:] = 0xEE, 0xEE
        in_ring.ready(0, 4)
        first = in_rows.ready(4)
        for place in range(4):
            wanted = due(lengths, varied, start + place)
            assert ring[place, 16 - len(wanted) :].tolist() == wanted
            assert aside[first + place, 16 - len(wanted) :].tolist() == wanted
        in_ring.sent(4)
        in_rows.went(4)
