"""The driver's side of a queue against devices that behave, that return in any order, and that write garbage."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.virtqueue_transmit import TransmitQueue
from tests.unit.virtqueue_rig import HEADER, OCTETS, SIZE, SLOT, Rig, a_rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    with a_rig() as one:
        yield one


def templates(count: int, octets: int = OCTETS) -> np.ndarray:
    rows = np.arange(count * octets).reshape(count, octets).astype(np.uint8)
    rows[:, 0] = np.arange(count)
    return rows


def push(queue: TransmitQueue, first: int, count: int) -> tuple[int, int]:
    """Send `count` frames with numbers from `first`; return (taken, refused)."""
    taken = refused = 0
    while taken + refused < count:
        words = queue.reserve(count - taken - refused)
        words[:, 0] = np.arange(first, first + len(words)) + taken + refused
        some, lost = queue.commit(len(words))
        taken, refused = taken + some, refused + lost
    return taken, refused


def number(frame: np.ndarray) -> int:
    return int(frame[-16:-8].copy().view(np.uint64)[0])


def test_a_frame_is_a_header_of_zeros_and_the_template_with_its_signature(rig: Rig) -> None:
    queue = rig.sender()
    rig.buffers[:] = 0xFF
    queue.prepare(templates(1))
    assert push(queue, 5, 2) == (2, 0)
    first, second = (rig.buffer(head) for head in rig.available())
    assert not first[:HEADER].any()
    assert (first[HEADER:-16] == templates(1)[0, :-16]).all()
    assert [number(first), number(second)] == [5, 6]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 11])
def test_templates_take_turns_whatever_is_refused(rig: Rig, count: int) -> None:
    queue = rig.sender()
    queue.prepare(templates(count))
    sent = 0
    for burst, back in ((3, 2), (20, 8), (7, 5), (30, 30), (9, 9), (100, 100)):
        taken, refused = push(queue, sent, burst)
        heads = rig.available()
        assert len(heads) == taken
        frames = [rig.buffer(head)[HEADER:].copy() for head in heads]
        assert [int(frame[0]) for frame in frames] == [number(frame) % count for frame in frames]
        assert [number(frame) for frame in frames] == list(range(sent, sent + taken))
        sent += taken + refused
        for head in heads[:back]:
            rig.give_back([(head, 0)])
        rig_left = heads[back:]
        rig.give_back([(head, 0) for head in rig_left])


def test_a_full_ring_refuses(rig: Rig) -> None:
    queue = rig.sender()
    queue.prepare(templates(1))
    assert push(queue, 0, SIZE + 3) == (SIZE, 3)
    rig.give_back([(head, 0) for head in rig.available()[:2]])
    assert push(queue, 0, 3) == (2, 1)


def test_slots_that_come_back_out_of_order_are_used_again_when_their_turn_comes(rig: Rig) -> None:
    queue = rig.sender()
    queue.prepare(templates(1))
    push(queue, 0, SIZE)
    heads = rig.available()
    rig.give_back([(heads[1], 0), (heads[2], 0)])
    assert push(queue, 0, 1) == (0, 1), "slot 0 is still out"
    rig.give_back([(heads[0], 0)])
    assert push(queue, 8, 4) == (3, 1)
    rig.give_back([(head, 0) for head in heads[3:]])
    for turn in range(40):
        push(queue, turn, 3)
        rig.give_back([(head, 0) for head in rig.available()[::-1]])
    assert queue.progress[1] == 0


def test_the_index_wraps(rig: Rig) -> None:
    queue = rig.sender()
    queue.prepare(templates(1))
    for first in range(0, 70_000, SIZE):
        assert push(queue, first, SIZE) == (SIZE, 0)
        heads = rig.available()
        rig.give_back([(head, 0) for head in heads])
    assert queue.progress == (70_000, 0)


def test_new_templates_wait_for_frames_on_their_way(rig: Rig) -> None:
    queue = rig.sender()
    queue.prepare(templates(1))
    push(queue, 0, 3)
    with pytest.raises(GeneratorError, match="port p, queue 1: the peer polls no more: it holds 3 frames"):
        queue.drain(wait_s=0.01)
    rig.give_back([(head, 0) for head in rig.available()])
    queue.prepare(templates(1, 100))
    push(queue, 0, 1)
    (head,) = rig.available()
    assert len(rig.buffer(head)) == HEADER + 100


@pytest.mark.parametrize(
    ("entries", "index", "message"),
    [
        ([], 5, "index went from 0 to 5, by 5; accepted: at most 4"),
        ([], 65535, "index went from 0 to 65535, by 65535"),
        ([(SIZE, 0)], None, "returned entry 8, but the ring has 8 entries"),
        ([(1 << 31, 0)], None, "returned entry 2147483648, but"),
        ([(6, 0)], None, "returned entry 6, but it was not given to it"),
        ([(2, 0), (2, 0)], None, "returned entry 2, but it was given to it once"),
    ],
)
def test_what_a_device_may_not_return_is_named(
    rig: Rig, entries: list[tuple[int, int]], index: int | None, message: str
) -> None:
    queue = rig.sender()
    queue.prepare(templates(1))
    push(queue, 0, 4)
    rig.give_back(entries)
    if index is not None:
        rig.ring.returned[1] = index
    with pytest.raises(GeneratorError, match=f"port p, queue 1: the peer.*{message}"):
        _ = queue.progress


def test_an_entry_returned_twice_is_named_while_others_are_out(rig: Rig) -> None:
    queue = rig.sender()
    queue.prepare(templates(1))
    push(queue, 0, 4)
    rig.give_back([(2, 0)])
    assert queue.progress == (1, 3)
    rig.give_back([(2, 0)])
    with pytest.raises(GeneratorError, match="returned entry 2, but it was not given to it"):
        _ = queue.progress


def test_a_slot_returned_twice_is_named_whatever_order_was_before(rig: Rig) -> None:
    queue = rig.receiver()
    rig.available()
    for heads in ([1], [1, 2, 3, 4, 5, 6, 7]):
        rig.give_back([fill(rig, head, 1) for head in heads])
        assert queue.receive(SIZE) is not None
        queue.release()
    rig.give_back([fill(rig, 1, 1), fill(rig, 1, 1)])
    with pytest.raises(GeneratorError, match="returned entry 1, but it was given to it once"):
        queue.receive(SIZE)


def test_new_templates_begin_with_the_first(rig: Rig) -> None:
    queue = rig.sender()
    queue.prepare(templates(1))
    push(queue, 0, 3)
    rig.give_back([(head, 0) for head in rig.available()])
    queue.prepare(templates(4))
    push(queue, 0, 6)
    assert [int(rig.buffer(head)[HEADER]) for head in rig.available()] == [0, 1, 2, 3, 0, 1]


def test_a_device_that_sleeps_is_told_and_one_that_polls_is_not(rig: Rig) -> None:
    queue = rig.sender()
    queue.prepare(templates(1))
    push(queue, 0, 1)
    assert os.eventfd_read(rig.kick) == 1
    rig.ring.returned[0] = 1
    push(queue, 0, 1)
    with pytest.raises(BlockingIOError):
        os.eventfd_read(rig.kick)


def fill(rig: Rig, head: int, mark: int, octets: int = OCTETS) -> tuple[int, int]:
    rig.buffer(head)[HEADER : HEADER + octets] = mark
    return head, HEADER + octets


def test_frames_are_read_in_place_and_their_slots_given_back(rig: Rig) -> None:
    queue = rig.receiver()
    for turn in range(0, 40, 4):
        heads = rig.available() if turn else rig.available()[:4]
        rig.give_back([fill(rig, head, (turn + at) % 256) for at, head in enumerate(heads[:4])])
        arrived = queue.receive(100)
        assert arrived is not None
        assert arrived.frames[:, 0].tolist() == [(turn + at) % 256 for at in range(4)]
        assert arrived.octets.tolist() == [OCTETS] * 4
        queue.release()
        rig.taken = (rig.ring.available[1] - 4) & 0xFFFF
    assert queue.receive(1) is None


def test_lengths_may_differ(rig: Rig) -> None:
    queue = rig.receiver()
    heads = rig.available()
    lengths = [60, 61, 100, SLOT - HEADER, 1]
    rig.give_back([fill(rig, head, 1, octets) for head, octets in zip(heads, lengths, strict=False)])
    arrived = queue.receive(100)
    assert arrived is not None
    assert arrived.octets.tolist() == lengths


def test_a_ring_found_full_is_noted(rig: Rig) -> None:
    queue = rig.receiver()
    heads = rig.available()
    rig.give_back([fill(rig, head, 1) for head in heads[:-1]])
    queue.receive(1)
    assert queue.found_full == 0
    rig.give_back([fill(rig, heads[-1], 1)])
    queue.receive(1)
    assert queue.found_full == 1


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ((0, HEADER), "wrote 12 octets into a buffer: accepted: 13 to 192"),
        ((0, 0), "wrote 0 octets"),
        ((0, SLOT + 1), "wrote 193 octets"),
        ((0, 0xFFFFFFFF), "wrote 4294967295 octets"),
        ((SIZE, 72), "returned entry 8, but the ring has 8 entries"),
    ],
)
def test_a_frame_that_cannot_be_is_named(rig: Rig, entry: tuple[int, int], message: str) -> None:
    queue = rig.receiver()
    rig.give_back([entry])
    with pytest.raises(GeneratorError, match=f"port p, queue 0: the peer {message}"):
        queue.receive(10)


def test_an_index_that_jumps_is_named(rig: Rig) -> None:
    queue = rig.receiver()
    rig.ring.returned[1] = SIZE + 1
    with pytest.raises(GeneratorError, match="index went from 0 to 9, by 9; accepted: at most 8"):
        queue.receive(10)


@given(st.data())
def test_any_order_of_return_is_read_right(data: st.DataObject) -> None:
    with a_rig() as rig:
        queue = rig.receiver()
        out: list[int] = []
        mark = 0
        for _ in range(data.draw(st.integers(1, 12))):
            out += rig.available()
            assert sorted(out) == list(range(SIZE)), "all slots are with the device"
            some = data.draw(st.permutations(out))[: data.draw(st.integers(1, SIZE))]
            marks = [(mark + at) % 251 for at in range(len(some))]
            rig.give_back([fill(rig, head, one, 60 + one) for head, one in zip(some, marks, strict=True)])
            out = [head for head in out if head not in some]
            mark += len(some)
            read: list[int] = []
            while (arrived := queue.receive(data.draw(st.integers(1, SIZE)))) is not None:
                assert arrived.octets.tolist() == [60 + int(row[0]) for row in arrived.frames]
                read += arrived.frames[:, 0].tolist()
                queue.release()
            assert read == marks


MESS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2**64 - 1), st.integers(0, 2**16 - 1)), max_size=20)


@given(MESS)
def test_a_sender_survives_garbage(mess: list[tuple[int, int, int]]) -> None:
    with a_rig() as rig:
        queue = rig.sender()
        queue.prepare(templates(3))
        with contextlib.suppress(GeneratorError):
            for what, word, index in mess:
                push(queue, 0, index % 20)
                scribble(rig, what, word, index)
                assert 0 <= queue.progress[1] <= SIZE


@given(MESS)
def test_a_receiver_survives_garbage(mess: list[tuple[int, int, int]]) -> None:
    with a_rig() as rig:
        queue = rig.receiver()
        with contextlib.suppress(GeneratorError):
            for what, word, index in mess:
                scribble(rig, what, word, index)
                arrived = queue.receive(index % 9 + 1)
                if arrived is not None:
                    assert len(arrived.frames) == len(arrived.octets) <= SIZE
                    assert (arrived.octets > 0).all()
                    assert (arrived.octets <= SLOT - HEADER).all()
                    queue.release()


def scribble(rig: Rig, what: int, word: int, index: int) -> None:
    """Write over something that a peer can reach, now and then nearly right."""
    if what == 0:
        rig.ring.returned[1] = index
    elif what == 1:
        rig.ring.returned[1] = (rig.ring.returned[1] + index % (SIZE + 2)) & 0xFFFF
    elif what == 2:
        rig.ring.used[:] = word
    elif what == 3:
        rig.ring.used[:] = np.arange(SIZE, dtype=np.uint64) + np.uint64((13 + index % SLOT) << 32)
    elif what == 4:
        rig.area[word % len(rig.area)] = index % 256
    else:
        rig.ring.descriptors[index % SIZE] = (word, index, index, index)
