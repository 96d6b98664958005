"""The gate: is this one load sustained? Measured at that load alone, and no longer than the answer needs.

Source: RFC 9971 appendix A (load classification). A load that is a lower bound passes, an upper bound fails.
"""

from __future__ import annotations

from functools import partial

from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.measurer import Measurer
from pytest_nfv.model.trial import TrialResult
from pytest_nfv.model.verdict import Ruling, Verdict
from pytest_nfv.search import text
from pytest_nfv.search.classify import Bound, Tally
from pytest_nfv.search.repeat import OnTrial, until_decided
from pytest_nfv.search.stats import median


def sustains(
    measurer: Measurer,
    rate_pps: float,
    goal: SearchGoal,
    retry_invalid: int,
    on_trial: OnTrial | None = None,
) -> tuple[Ruling, tuple[TrialResult, ...]]:
    """Measure at one load until the rule decides.

    It takes at most as many valid trials as the goal's duration sum holds, and fewer where those that are missing
    could not change the verdict any more.

    Args:
        measurer: runs trials.
        rate_pps: load per direction.
        goal: what the load must do.
        retry_invalid: how many invalid trials are repeated, in all.
        on_trial: called with every trial as it ends.

    Returns:
        The ruling, and all trials in order, invalid ones included.

    Raises:
        ConfigurationError: a load of 0 or a negative `retry_invalid`.
        DeploymentError: from the measurer.
    """
    rule = partial(_rule, rate_pps, goal)
    return until_decided(measurer, rate_pps, goal.trial_duration_s, rule, retry_invalid, on_trial)


def _rule(rate_pps: float, goal: SearchGoal, trials: list[TrialResult]) -> Ruling | None:
    tally = Tally.of(trials, goal)
    bound = tally.classify(goal)
    if bound is Bound.UNDECIDED:
        return None
    if bound is Bound.LOWER:
        return Ruling(Verdict.PASS, _why_passed(rate_pps, goal, trials, tally))
    return Ruling(Verdict.FAIL, _why_failed(rate_pps, goal, trials, tally))


def _why_passed(rate_pps: float, goal: SearchGoal, trials: list[TrialResult], tally: Tally) -> tuple[str, ...]:
    good = [trial for trial in trials if trial.loss_ratio <= goal.loss_ratio]
    reasons = [
        f"{len(good)} of {text.count(len(trials), 'trial')} at {text.rate(rate_pps)} stayed within a loss ratio "
        f"of {text.share(goal.loss_ratio)}; the worst of them lost {text.loss(text.worst(good))}"
    ]
    if tally.high_s:
        reasons.append(_exceeded(goal, tally))
    return tuple(reasons)


def _why_failed(rate_pps: float, goal: SearchGoal, trials: list[TrialResult], tally: Tally) -> tuple[str, ...]:
    bad = [trial for trial in trials if trial.loss_ratio > goal.loss_ratio]
    forwarded = median(rate_pps * (1 - trial.loss_ratio) for trial in trials)
    return (
        f"{len(bad)} of {text.count(len(trials), 'trial')} at {text.rate(rate_pps)} lost more than "
        f"{text.share(goal.loss_ratio)} of the frames; the worst lost {text.loss(text.worst(bad))}",
        _exceeded(goal, tally),
        f"the median trial forwarded {text.rate(forwarded)} of {text.rate(rate_pps)}",
    )


def _exceeded(goal: SearchGoal, tally: Tally) -> str:
    whole_s = max(tally.low_s + tally.high_s, goal.duration_sum_s)
    allowed = (
        f"{text.span(goal.exceed_ratio * whole_s)} of {text.span(whole_s)} may"
        if goal.exceed_ratio
        else "none may"
    )
    return f"{text.span(tally.high_s)} of trials exceeded the loss ratio, {allowed}"
