"""The forwarding rate at maximum offered load (RFC 2285 section 3.6.2): trials at one load, and their median.

No search and no verdict: the load is above what can be forwarded or even offered, and loss is expected.
"""

from __future__ import annotations

from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.measurer import Measurer
from pytest_nfv.model.trial import TrialResult
from pytest_nfv.model.verdict import Ruling, Verdict
from pytest_nfv.search.repeat import OnTrial, until_decided
from pytest_nfv.search.stats import median

_ROUNDING = 1e-9


def trials_of(goal: SearchGoal) -> int:
    """Return how many trials the goal's duration sum holds."""
    return int(goal.duration_sum_s / goal.trial_duration_s + _ROUNDING)


def forwarding_rate(
    measurer: Measurer,
    load_pps: float,
    goal: SearchGoal,
    retry_invalid: int,
    on_trial: OnTrial | None = None,
) -> tuple[Ruling | None, float, tuple[TrialResult, ...]]:
    """Measure at one load as often as the goal's durations say; its loss ratio does not matter.

    Args:
        measurer: runs trials in which less than the load may be offered.
        load_pps: intended load per direction.
        goal: durations of a trial and of all of them.
        retry_invalid: how many invalid trials are repeated, in all.
        on_trial: called with every trial as it ends.

    Returns:
        A ruling where trials stayed invalid, else None; the median forwarding rate of the valid trials per
        direction (0 without any); all trials in order.

    Raises:
        ConfigurationError: a load of 0 or a negative `retry_invalid`.
        DeploymentError: from the measurer.
    """
    wanted = trials_of(goal)

    def enough(valid: list[TrialResult]) -> Ruling | None:
        return Ruling(Verdict.PASS) if len(valid) >= wanted else None

    ruling, trials = until_decided(measurer, load_pps, goal.trial_duration_s, enough, retry_invalid, on_trial)
    rates = [trial.forwarded_pps for trial in trials if trial.valid]
    return (
        ruling if ruling.verdict is Verdict.INVALID else None,
        median(rates) if rates else 0.0,
        trials,
    )
