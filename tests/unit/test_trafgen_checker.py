"""Which frames are ours and intact, ours and corrupted, foreign, or none of the trial's business."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pytest_nfv.model.offer import LEARNING_FLOW
from pytest_nfv.rings.port import Arrived
from pytest_nfv.trafgen.checker import Checker, Sorted
from pytest_nfv.trafgen.signature import head

START, NOW = 1_000_000, 2_000_000
SNAP = 96


def template(octets: int = 60, last_mac: int = 1) -> bytes:
    return bytes([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, last_mac, 0x88, 0xB5]) + bytes(range(octets - 14))


def frame(body: bytes, flow: int, sequence: int, stamp: int = START + 5) -> bytes:
    words = np.array([head(flow) + sequence, stamp], np.uint64)
    return body[:-16] + words.tobytes()


def arrived(frames: Sequence[bytes]) -> Arrived:
    rows = np.full((len(frames), SNAP), 0xEE, np.uint8)  # what is behind a frame is not looked at
    for row, one in zip(rows, frames, strict=True):
        row[: min(SNAP, len(one))] = np.frombuffer(one[:SNAP], np.uint8)
    octets = np.array([len(one) for one in frames], np.int64)
    return Arrived(rows, octets, np.full(len(frames), NOW - 100, np.int64))


def sort(frames: Sequence[bytes], flows: Sequence[tuple[int, bytes]] = ((7, template()),)) -> Sorted:
    checker = Checker([(flow, np.frombuffer(body, np.uint8)) for flow, body in flows], START)
    return checker.sort(arrived(frames), NOW)


def summary(out: Sorted, flow: int = 0) -> tuple[list[int], int, int]:
    intact = out.intact[flow].sequences.tolist() if flow in out.intact else []
    return intact, out.corrupted.get(flow, 0), out.foreign


def test_intact_frames_give_sequence_and_latency() -> None:
    out = sort([frame(template(), 7, n, START + n) for n in range(5)])
    assert summary(out) == ([0, 1, 2, 3, 4], 0, 0)
    assert out.intact[0].stamps.tolist() == [START + n for n in range(5)]
    assert out.intact[0].arrived_ns.tolist() == [NOW - 100] * 5


def follow(frames: Sequence[bytes], number: int, flows: int = 1) -> list[int] | None:
    checker = Checker([(7 + n, np.frombuffer(template(60, 1 + n), np.uint8)) for n in range(flows)], START)
    found = checker.follow(arrived(frames), number, NOW)
    return None if found is None else (found[:, 0] & np.uint64(0xFFFFFFFF)).tolist()


NUMBERS = (3, 4, 5)
FOLLOWING = [frame(template(), 7, n) for n in NUMBERS]
NOT_FOLLOWING = {
    "a gap": [frame(template(), 7, n) for n in (3, 5, 6)],
    "another order": [frame(template(), 7, n) for n in (3, 5, 4)],
    "a copy": [frame(template(), 7, n) for n in (3, 3, 4)],
    "another flow": [*FOLLOWING[:2], frame(template(), 8, 5)],
    "a changed octet": [*FOLLOWING[:2], frame(template(60, 9), 7, 5)],
    "a longer frame": [*FOLLOWING[:2], FOLLOWING[2] + b"x"],
    "an earlier trial's": [frame(template(), 7, 3, START - 1), *FOLLOWING[1:]],
    "a later trial's": [*FOLLOWING[:2], frame(template(), 7, 5, NOW + 1)],
}


def test_what_comes_next_in_order_is_recognised() -> None:
    assert follow(FOLLOWING, 3) == [3, 4, 5]
    assert follow(FOLLOWING, 3 + (1 << 32)) == [3, 4, 5]
    edges = [frame(template(), 7, 3, START), frame(template(), 7, 4, NOW)]
    assert follow(edges, 3) == [3, 4]


@pytest.mark.parametrize("frames", NOT_FOLLOWING.values(), ids=NOT_FOLLOWING)
def test_what_does_not_follow_is_left_to_be_sorted(frames: list[bytes]) -> None:
    assert follow(frames, 3) is None


def test_what_follows_another_number_or_flow_or_a_wrap_is_left_to_be_sorted() -> None:
    assert follow(FOLLOWING, 2) is None
    assert follow(FOLLOWING, 3, flows=2) is None
    assert follow([frame(template(), 7, n) for n in ((1 << 32) - 1, 0)], (1 << 32) - 1) is None


@pytest.mark.parametrize("octet", range(60 - 16))
def test_a_changed_octet_anywhere_before_the_signature_is_corruption(octet: int) -> None:
    good = frame(template(), 7, 3)
    bad = bytearray(good)
    bad[octet] ^= 0x40
    assert summary(sort([good, bytes(bad), good])) == ([3, 3], 1, 0)


@pytest.mark.parametrize("octet", [44 + 4, 44 + 5, 44 + 6, 44 + 7, 44 + 8 + 7])
def test_a_changed_flow_magic_or_stamp_is_corruption(octet: int) -> None:
    bad = bytearray(frame(template(), 7, 3))
    bad[octet] ^= 0x40
    assert summary(sort([bytes(bad)])) == ([], 1, 0)


@pytest.mark.parametrize("cut", [1, 20])
def test_a_shortened_frame_is_corrupted(cut: int) -> None:
    assert summary(sort([frame(template(), 7, 3)[:-cut]])) == ([], 1, 0)


@pytest.mark.parametrize("more", [1, 30, 500])
def test_a_lengthened_frame_is_corrupted_also_where_the_slot_cuts_it(more: int) -> None:
    assert summary(sort([frame(template(), 7, 3) + bytes(more)])) == ([], 1, 0)


def test_strangers_are_foreign() -> None:
    arp = b"\xff" * 6 + bytes([4, 0, 0, 0, 0, 9]) + b"\x08\x06" + bytes(46)
    assert summary(sort([arp, frame(template(), 7, 1), arp[:14], b""])) == ([1], 0, 3)


def test_frames_of_an_earlier_trial_are_foreign() -> None:
    assert summary(sort([frame(template(), 7, 1, START - 1), frame(template(), 7, 2)])) == ([2], 0, 1)


def test_stamps_from_the_future_are_corruption() -> None:
    assert summary(sort([frame(template(), 7, 1, NOW + 1)])) == ([], 1, 0)


@pytest.mark.parametrize("octets", [60, 64, 80])
def test_learning_frames_of_any_size_are_passed_over(octets: int) -> None:
    learning = frame(b"\xff" * 6 + template(octets)[6:], LEARNING_FLOW, 0)
    assert summary(sort([learning, frame(template(), 7, 4)])) == ([4], 0, 0)


def test_flows_that_share_a_port_are_told_apart() -> None:
    flows = [(1, template(60, 1)), (2, template(60, 3))]
    changed = bytearray(frame(flows[1][1], 2, 8))
    changed[20] ^= 1
    frames = [frame(flows[0][1], 1, 0), frame(flows[1][1], 2, 0), frame(flows[0][1], 1, 1), bytes(changed)]
    out = sort(frames, flows)
    assert summary(out, 0) == ([0, 1], 0, 0)
    assert summary(out, 1) == ([0], 1, 0)


def test_flows_with_the_same_header_are_told_apart_by_their_number() -> None:
    flows = [(1, template()), (2, template()[:-17] + b"\x01" + bytes(16))]
    out = sort([frame(flows[1][1], 2, 5), frame(flows[0][1], 1, 6)], flows)
    assert summary(out, 0) == ([6], 0, 0)
    assert summary(out, 1) == ([5], 0, 0)


def test_a_port_where_nothing_is_expected_sees_strangers_only() -> None:
    assert summary(sort([frame(template(), 7, 1)], [])) == ([], 0, 1)


def test_frames_at_odd_places_in_memory_are_read_the_same() -> None:
    body = template(61)
    out = sort([frame(body, 7, n) for n in range(3)], [(7, body)])
    assert summary(out) == ([0, 1, 2], 0, 0)
