"""The pacer on a clock of its own: exact totals, gentle catching up, whole groups."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_nfv.trafgen.pacing import CATCH_UP_MAX, Pacer

START = 1_000_000_000_000


def play(pacer: Pacer, steps_ns: list[int], room: int = 1 << 30) -> list[tuple[int, int]]:
    """Let the clock step until the pacer is over; return (time, frames) of each send. Steps repeat."""
    now, sends, turn = START, [], 0
    while not pacer.over(now):
        count = min(pacer.due(now), room)
        if count:
            pacer.went_out(count)
            sends.append((now - START, count))
        now += steps_ns[turn % len(steps_ns)]
        turn += 1
    return sends


@given(
    rate=st.floats(1e4, 1.5e6),  # at most a burst a step
    frames=st.integers(1, 1000),
    steps=st.lists(st.integers(5_000, 40_000), min_size=1, max_size=10),
)
def test_a_loop_that_keeps_up_sends_every_frame_and_none_early(rate: float, frames: int, steps: list[int]) -> None:
    pacer = Pacer(rate, frames, START, burst_max=64)
    sends = play(pacer, steps)
    assert sum(count for _, count in sends) == frames == pacer.sent
    done = 0
    for at, count in sends:
        done += count
        assert done <= int(at * rate / 1e9) + 1


def test_offered_load_is_within_a_thousandth() -> None:
    pacer = Pacer(100_000, 100_000, START, burst_max=64)
    sends = play(pacer, [7_300])
    span = sends[-1][0] - sends[0][0] + 1e9 / 100_000
    assert 100_000 / span * 1e9 == pytest.approx(100_000, rel=0.001)


def test_a_stall_is_made_up_for_gently_and_in_full() -> None:
    rate, burst = 1e6, 64
    pacer = Pacer(rate, 1_000_000, START, burst_max=burst)
    sends = play(pacer, [*[10_000] * 20_000, 5_000_000])
    assert pacer.sent == 1_000_000
    assert pacer.caught_up >= 5_000 - burst - 10
    stalled_at = next(at for (at, _), (after, _) in pairwise(sends) if after - at > 4_000_000)
    window = [(at, count) for at, count in sends if stalled_at < at]
    begun = window[0][0]
    total = 0
    for at, count in window:
        assert count <= burst
        total += count
        assert total <= (at - begun) * rate / 1e9 * (1 + CATCH_UP_MAX) + burst


def test_it_is_behind_only_until_the_debt_is_paid() -> None:
    pacer = Pacer(1e6, 1_000_000, START, burst_max=64)
    behind = []
    for now in [START, *range(START + 1_000_000, START + 200_000_000, 10_000)]:
        pacer.went_out(pacer.due(now))
        behind.append(pacer.behind)
    paid = behind.index(False, 1)
    assert behind == [False] + [True] * (paid - 1) + [False] * (len(behind) - paid)
    assert paid > 1_000
    assert pacer.caught_up == 1_001 - 1 - 64


def test_what_cannot_be_sent_in_time_stays_unsent() -> None:
    pacer = Pacer(1e6, 100_000, START, burst_max=64)
    sends = play(pacer, [100_000], room=10)
    assert pacer.sent == pytest.approx(10_000, rel=0.01)
    assert sends[-1][0] < 100_000_000 + 200_000
    assert pacer.due(pacer.deadline_ns) == 0


@given(group=st.integers(2, 200), frames=st.integers(1, 2000), step=st.integers(1_000, 50_000))
@example(group=48, frames=1457, step=28_085)  # looks that fall unevenly between the groups
def test_groups_go_out_whole_and_on_time(group: int, frames: int, step: int) -> None:
    pacer = Pacer(1e6, frames, START, burst_max=64, group=group)
    sends = play(pacer, [step])
    assert pacer.sent == frames
    done = 0
    for at, count in sends:
        done += count
        assert done % group == 0 or done == frames
        assert done <= (int(at / 1e3) // group + 1) * group


def test_a_group_that_was_cut_short_is_completed_first() -> None:
    pacer = Pacer(1e6, 1000, START, burst_max=64, group=32)
    assert pacer.due(START) == 32
    pacer.went_out(20)
    assert pacer.due(START + 1_000) == 12


def test_nothing_is_due_before_the_start() -> None:
    assert Pacer(1e6, 10, START, burst_max=64).due(START - 1) == 0
