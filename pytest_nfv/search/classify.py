"""RFC 9971's rule for one load: which trials, of which total duration, make it a bound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import fsum

from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.trial import TrialResult

# Durations such as 0.7 s have no exact binary form: three of them must still make 2.1 s.
_ROUNDING = 1e-9


class Bound(StrEnum):
    """What a load is to a goal."""

    LOWER = "lower bound"
    UPPER = "upper bound"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Tally:
    """Summed trial durations at one load, in seconds, by length and by loss.

    A trial is full-length when it is at least as long as the goal's trial duration, and high-loss when its loss
    ratio is above the goal's.
    """

    low_s: float = 0.0
    high_s: float = 0.0
    short_low_s: float = 0.0
    short_high_s: float = 0.0

    @classmethod
    def of(cls, trials: Iterable[TrialResult], goal: SearchGoal) -> Tally:
        """Sum the valid trials; an invalid one says nothing about the device and stands on neither side."""
        spans: dict[tuple[bool, bool], list[float]] = {}
        for trial in trials:
            if trial.valid:
                full, high = trial.spec.duration_s >= goal.trial_duration_s, trial.loss_ratio > goal.loss_ratio
                spans.setdefault((full, high), []).append(trial.spec.duration_s)
        keys = ((True, False), (True, True), (False, False), (False, True))
        return cls(*(fsum(spans.get(key, ())) for key in keys))

    def classify(self, goal: SearchGoal) -> Bound:
        """Return what the load is, whatever the trials still missing may show.

        Source: RFC 9971 appendix A. The load is a lower bound when even high-loss trials for all of the missing
        duration would stay within the exceed ratio, an upper bound when even low-loss ones would not help.
        """
        balance_s = self.short_low_s * goal.exceed_ratio / (1 - goal.exceed_ratio)
        high_s = self.high_s + max(0.0, self.short_high_s - balance_s)
        whole_s = max(self.low_s + high_s, goal.duration_sum_s)
        needed_s = _needed_low_s(whole_s, goal)
        if whole_s - high_s < needed_s:
            return Bound.UPPER
        return Bound.LOWER if self.low_s >= needed_s else Bound.UNDECIDED


def _needed_low_s(whole_s: float, goal: SearchGoal) -> float:
    """Return how much of the whole duration must be low-loss."""
    return whole_s * (1 - goal.exceed_ratio) * (1 - _ROUNDING)


def classify(trials: Iterable[TrialResult], goal: SearchGoal) -> Bound:
    """Return what one load's trials make of it."""
    return Tally.of(trials, goal).classify(goal)


def conditional_throughput_pps(rate_pps: float, trials: Sequence[TrialResult], goal: SearchGoal) -> float:
    """Return the forwarding rate, per direction, that a lower bound stands for.

    The load less the loss ratio of that trial which the exceed ratio makes decisive: with half of the duration
    allowed to be lossy, the median trial's. Without loss it is the load itself, however unevenly it was paced.

    Args:
        rate_pps: the load, per direction.
        trials: the trials at that load.
        goal: the goal that it is a lower bound for.

    Source: RFC 9971 appendix B.
    """
    full = [t for t in trials if t.valid and t.spec.duration_s >= goal.trial_duration_s]
    whole_s = max(goal.duration_sum_s, fsum(trial.spec.duration_s for trial in full))
    remaining_s = _needed_low_s(whole_s, goal)
    loss_ratio = 1.0  # of the duration that was never measured
    for trial in sorted(full, key=lambda trial: trial.loss_ratio):
        remaining_s -= trial.spec.duration_s
        if remaining_s <= 0:
            loss_ratio = trial.loss_ratio
            break
    return rate_pps * (1 - loss_ratio)
