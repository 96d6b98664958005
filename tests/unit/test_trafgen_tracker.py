"""The tracker against an oracle that remembers every number, over generated arrival orders."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.trafgen.tracker import Tracker

WRAP = 1 << 32


class Oracle:
    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.highest = -1
        self.reordered = self.duplicated = 0

    def add(self, number: int) -> bool:
        if number in self.seen:
            self.duplicated += 1
            return False
        self.seen.add(number)
        self.reordered += number < self.highest
        self.highest = max(self.highest, number)
        return True


def counts(tracker: Tracker) -> tuple[int, int, int]:
    return tracker.received, tracker.reordered, tracker.duplicated


def feed(numbers: list[int], cuts: list[int], tracker: Tracker) -> list[bool]:
    firsts: list[bool] = []
    bounds = [0, *sorted(cut % (len(numbers) + 1) for cut in cuts), len(numbers)]
    for start, end in pairwise(bounds):
        part = np.array(numbers[start:end], np.int64)
        mask = tracker.add(part)
        firsts += [True] * len(part) if mask is None else mask.tolist()
    return firsts


@given(st.lists(st.integers(0, 60), max_size=200), st.lists(st.integers(0, 200), max_size=20))
def test_any_order_agrees_with_the_oracle(numbers: list[int], cuts: list[int]) -> None:
    tracker, oracle = Tracker(), Oracle()
    assert feed(numbers, cuts, tracker) == [oracle.add(number) for number in numbers]
    assert counts(tracker) == (len(oracle.seen), oracle.reordered, oracle.duplicated)


@given(st.permutations(list(range(0, 90, 3)) + list(range(90))), st.lists(st.integers(0, 200), max_size=20))
def test_large_holes_filled_in_pieces_agree_with_the_oracle(numbers: list[int], cuts: list[int]) -> None:
    tracker, oracle = Tracker(), Oracle()
    assert feed([500, *numbers], cuts, tracker) == [oracle.add(number) for number in [500, *numbers]]
    assert counts(tracker) == (len(oracle.seen), oracle.reordered, oracle.duplicated)


def test_in_order_with_a_gap_loses_nothing_else() -> None:
    tracker = Tracker()
    assert tracker.add(np.array([0, 1, 2, 5, 6], np.int64)) is None
    assert counts(tracker) == (5, 0, 0)


def test_first_frame_missing_is_a_hole_that_can_be_filled() -> None:
    tracker = Tracker()
    tracker.add(np.array([3], np.int64))
    tracker.add(np.array([0, 2, 2], np.int64))
    assert counts(tracker) == (3, 2, 1)


def test_more_holes_than_the_first_room_are_kept() -> None:
    tracker = Tracker()
    tracker.add(np.arange(0, 20_000, 2, dtype=np.int64))
    tracker.add(np.arange(1, 20_000, 2, dtype=np.int64)[::-1].copy())
    assert counts(tracker) == (20_000, 9_999, 0)  # 19,999 is above all others: not late


@given(st.integers(0, 5 * WRAP), st.lists(st.integers(-1000, 1000), min_size=1, max_size=50))
def test_unwrapped_numbers_are_those_nearest_to_what_comes_next(reached: int, steps: list[int]) -> None:
    tracker = Tracker()
    tracker.add(np.array([reached], np.int64))
    numbers = [max(0, reached + step) for step in steps]
    low = np.array([number % WRAP for number in numbers], np.uint64)
    assert tracker.unwrap(low).tolist() == numbers
