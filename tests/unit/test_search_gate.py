from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.simulation import Simulation
from pytest_nfv.model.trial import Direction, FlowCounts, TrialResult, TrialSpec
from pytest_nfv.model.verdict import Verdict
from pytest_nfv.search.classify import Bound, classify
from pytest_nfv.search.gate import sustains
from pytest_nfv.search.sim import SimulatedDevice

RATE_PPS = 1e6
GOOD, BAD, SPOILT = "good", "bad", "spoilt"


class Script:
    """A measurer that answers with losses as told, then with good trials."""

    def __init__(
        self, *answers: str, reason: str = "the generator stalled for 9.0 ms, buffers hide 4.0 ms"
    ) -> None:
        self._answers = iter(answers)
        self._reason = reason
        self.loads: list[tuple[float, float]] = []

    def measure(self, rate_pps: float, duration_s: float) -> TrialResult:
        self.loads.append((rate_pps, duration_s))
        answer = next(self._answers, GOOD)
        spec = TrialSpec(64, rate_pps, duration_s)
        sent = spec.intended_frames
        lost = 0 if answer == GOOD else sent // 100
        flow = FlowCounts(Direction(0, 1), sent, sent, sent - lost)
        invalid = (self._reason,) if answer == SPOILT else ()
        return TrialResult(spec, (flow,), offered_for_s=duration_s, invalid=invalid)


def test_two_good_trials_of_three_decide() -> None:
    ruling, trials = sustains(Script(GOOD, GOOD), RATE_PPS, SearchGoal(), 0)
    assert ruling.verdict is Verdict.PASS
    assert len(trials) == 2
    assert ruling.reasons == (
        "2 of 2 trials at 1 Mpps stayed within a loss ratio of 0 %; "
        "the worst of them lost 0 of 1,000,000 frames (0 %)",
    )


def test_one_bad_trial_is_outvoted_and_told() -> None:
    ruling, trials = sustains(Script(GOOD, BAD, GOOD), RATE_PPS, SearchGoal(), 0)
    assert ruling.verdict is Verdict.PASS
    assert len(trials) == 3
    assert ruling.reasons[1] == "1 s of trials exceeded the loss ratio, 1.5 s of 3 s may"


def test_a_failure_says_how_much_was_lost_and_how_much_may_be() -> None:
    ruling, trials = sustains(Script(BAD, BAD), RATE_PPS, SearchGoal(), 0)
    assert ruling.verdict is Verdict.FAIL
    assert len(trials) == 2
    assert ruling.reasons == (
        "2 of 2 trials at 1 Mpps lost more than 0 % of the frames; "
        "the worst lost 10,000 of 1,000,000 frames (1 %)",
        "2 s of trials exceeded the loss ratio, 1.5 s of 3 s may",
        "the median trial forwarded 990 kpps of 1 Mpps",
    )


def test_a_strict_goal_fails_at_the_first_loss() -> None:
    ruling, trials = sustains(Script(GOOD, BAD), RATE_PPS, SearchGoal(exceed_ratio=0.0), 0)
    assert ruling.verdict is Verdict.FAIL
    assert len(trials) == 2
    assert ruling.reasons[1] == "1 s of trials exceeded the loss ratio, none may"


def test_loss_within_the_goal_passes() -> None:
    ruling, _ = sustains(Script(BAD, BAD, BAD), RATE_PPS, SearchGoal(loss_ratio=0.01), 0)
    assert ruling.verdict is Verdict.PASS
    assert "10,000 of 1,000,000 frames (1 %)" in ruling.reasons[0]


def test_the_worst_direction_counts_and_is_named() -> None:
    device = SimulatedDevice(Simulation(capacity_pps=1e6), 64, (Direction(0, 1), Direction(1, 0)))
    ruling, _ = sustains(device, RATE_PPS, SearchGoal(), 0)
    assert ruling.verdict is Verdict.FAIL
    assert "500,000 of 1,000,000 frames on 0>1 (50 %)" in ruling.reasons[0]


def test_every_trial_is_asked_for_at_the_load_and_the_duration_of_the_goal() -> None:
    script = Script(GOOD, BAD, GOOD)
    sustains(script, RATE_PPS, SearchGoal(trial_duration_s=0.1, duration_sum_s=0.3), 0)
    assert script.loads == [(RATE_PPS, 0.1)] * 3


def test_an_invalid_trial_is_repeated_and_kept() -> None:
    seen: list[TrialResult] = []
    ruling, trials = sustains(Script(SPOILT, GOOD, SPOILT, GOOD), RATE_PPS, SearchGoal(), 2, seen.append)
    assert ruling.verdict is Verdict.PASS
    assert [trial.valid for trial in trials] == [False, True, False, True]
    assert tuple(seen) == trials


def test_a_load_that_stays_invalid_says_why_once() -> None:
    ruling, trials = sustains(Script(SPOILT, GOOD, SPOILT, SPOILT), RATE_PPS, SearchGoal(), 2)
    assert ruling.verdict is Verdict.INVALID
    assert len(trials) == 4
    assert ruling.reasons == (
        "nothing was learnt at 1 Mpps: 3 of 4 trials invalid; the 1 valid one did not decide",
        "the generator stalled for 9.0 ms, buffers hide 4.0 ms",
    )


def test_without_retries_the_first_invalid_trial_ends_it() -> None:
    ruling, trials = sustains(Script(SPOILT), RATE_PPS, SearchGoal(), 0)
    assert (ruling.verdict, len(trials)) == (Verdict.INVALID, 1)
    assert ruling.reasons[0] == "nothing was learnt at 1 Mpps: 1 of 1 trial invalid"


def test_a_negative_number_of_retries_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="-1"):
        sustains(Script(), RATE_PPS, SearchGoal(), -1)


_answers = st.lists(st.sampled_from([GOOD, BAD, SPOILT]), max_size=40)
_goals = st.builds(
    lambda exceed, duration, count: SearchGoal(0.0, exceed, duration, duration * count),
    st.floats(0, 0.99),
    st.sampled_from([0.1, 0.7, 1.0, 60.0]),
    st.floats(1.0, 12.0),
)


@given(_answers, _goals, st.integers(0, 4))
def test_a_gate_ends_within_the_trials_that_the_goal_and_the_retries_hold(
    answers: list[str], goal: SearchGoal, retries: int
) -> None:
    _, trials = sustains(Script(*answers), RATE_PPS, goal, retries)
    needed = ceil(goal.duration_sum_s / goal.trial_duration_s - 1e-9)
    assert sum(trial.valid for trial in trials) <= needed
    assert len(trials) <= needed + retries


# The rule takes missing duration as divisible. Only where the sum is made of whole trials is it certain that a
# last trial, which would overshoot the sum, could not have turned the verdict.
_whole_goals = st.builds(
    lambda exceed, duration, count: SearchGoal(0.0, exceed, duration, duration * count),
    st.floats(0, 0.99),
    st.sampled_from([0.1, 0.7, 1.0, 60.0]),
    st.integers(1, 12),
)


@given(_answers, _whole_goals, st.integers(0, 4))
def test_an_early_verdict_is_that_of_the_full_rule(answers: list[str], goal: SearchGoal, retries: int) -> None:
    ruling, trials = sustains(Script(*answers), RATE_PPS, goal, retries)
    if ruling.verdict is Verdict.INVALID:
        return
    script = Script(*answers)
    full: list[TrialResult] = []
    while sum(trial.spec.duration_s for trial in full) < goal.duration_sum_s * (1 - 1e-9):
        trial = script.measure(RATE_PPS, goal.trial_duration_s)
        full += [trial] if trial.valid else []
    assert classify(full, goal) is {Verdict.PASS: Bound.LOWER, Verdict.FAIL: Bound.UPPER}[ruling.verdict]
    assert tuple(full[: sum(t.valid for t in trials)]) == tuple(t for t in trials if t.valid)


@given(st.integers(0, 6), _goals)
def test_invalid_trials_never_become_a_verdict(retries: int, goal: SearchGoal) -> None:
    ruling, trials = sustains(Script(*[SPOILT] * 10), RATE_PPS, goal, retries)
    assert ruling.verdict is Verdict.INVALID
    assert len(trials) == retries + 1


@given(_answers, _goals)
def test_invalid_trials_change_nothing_but_the_time(answers: list[str], goal: SearchGoal) -> None:
    ruling, _ = sustains(Script(*answers), RATE_PPS, goal, retry_invalid=len(answers))
    clean, _ = sustains(Script(*[answer for answer in answers if answer != SPOILT]), RATE_PPS, goal, 0)
    assert ruling == clean


@given(st.floats(1e3, 2e7), st.floats(0.5, 1.5), _goals)
def test_a_noiseless_device_passes_up_to_its_capacity_and_fails_beyond(
    capacity_pps: float, load: float, goal: SearchGoal
) -> None:
    device = SimulatedDevice(Simulation(capacity_pps=capacity_pps), 64)
    ruling, _ = sustains(device, load * capacity_pps, goal, 0)
    if load <= 1:
        assert ruling.verdict is Verdict.PASS
    elif (load - 1) * capacity_pps * goal.trial_duration_s > 2:  # at least one whole frame too many
        assert ruling.verdict is Verdict.FAIL


@given(st.floats(1e3, 2e7), st.lists(st.floats(0.5, 1.5), min_size=2, max_size=8))
def test_verdicts_of_a_noiseless_device_are_monotone(capacity_pps: float, loads: list[float]) -> None:
    device = SimulatedDevice(Simulation(capacity_pps=capacity_pps), 64)
    passed = [
        sustains(device, load * capacity_pps, SearchGoal(), 0)[0].verdict is Verdict.PASS for load in sorted(loads)
    ]
    assert passed == sorted(passed, reverse=True)
