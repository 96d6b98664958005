"""Binary search with loss verification: a lossy trial is repeated before its load is given up.

Source: ETSI GS NFV-TST 009 clause 12.3.3. Software dataplanes lose a few frames now and then for reasons of the
machine; loss that does not come back on a second try is taken for such a transient. The clause's max(r) is
`trials_max` here, its threshold z, above which loss is too high to be worth a repeat, is `hopeless_loss_ratio`.
The clause counts z in frames; as a ratio it means the same at every load and duration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.measurer import Measurer
from pytest_nfv.model.trial import TrialResult
from pytest_nfv.model.verdict import Ruling, Verdict
from pytest_nfv.search import text
from pytest_nfv.search.bisect import Judged, bisect
from pytest_nfv.search.bounds import Bounds, SearchOutcome
from pytest_nfv.search.repeat import OnTrial, until_decided


@dataclass(frozen=True, slots=True)
class LossVerification:
    """When a lossy trial is repeated. The defaults are common choices; TST 009 leaves both to the tester.

    Attributes:
        trials_max: trials at one load before it fails, max(r).
        hopeless_loss_ratio: a trial above it fails its load at once, z.
    """

    trials_max: int = 2
    hopeless_loss_ratio: float = 0.01

    def __post_init__(self) -> None:
        if self.trials_max < 1:
            raise ConfigurationError(f"loss verification: {self.trials_max!r} trials: accepted: 1 or more")
        if not 0 <= self.hopeless_loss_ratio <= 1:
            raise ConfigurationError(
                f"loss verification: hopeless loss ratio {self.hopeless_loss_ratio!r}: accepted: 0 to 1"
            )


def tst009(
    measurer: Measurer,
    bounds: Bounds,
    goal: SearchGoal,
    retry_invalid: int,
    on_trial: OnTrial | None = None,
    verification: LossVerification | None = None,
) -> SearchOutcome:
    """Search with loss verification; of the goal, the loss ratio and the trial duration count.

    Raises:
        ConfigurationError: a negative `retry_invalid`.
        DeploymentError: from the measurer.
    """
    verify = verification or LossVerification()

    def judge(load_pps: float) -> Judged:
        def rule(trials: list[TrialResult]) -> Ruling | None:
            return _rule(load_pps, goal, verify, trials)

        return until_decided(measurer, load_pps, goal.trial_duration_s, rule, retry_invalid, on_trial)

    return bisect(judge, bounds, _as_goal(goal, verify))


def _rule(load_pps: float, goal: SearchGoal, verify: LossVerification, trials: list[TrialResult]) -> Ruling | None:
    last = trials[-1]
    tries = f"{text.count(len(trials), 'trial')} at {text.rate(load_pps)}"
    if last.loss_ratio <= goal.loss_ratio:
        return Ruling(Verdict.PASS, (f"the last of {tries} lost {text.loss(last)}",))
    if last.loss_ratio > max(verify.hopeless_loss_ratio, goal.loss_ratio):
        limit = text.share(verify.hopeless_loss_ratio)
        return Ruling(Verdict.FAIL, (f"the last of {tries} lost {text.loss(last)}: above {limit}, not repeated",))
    if len(trials) >= verify.trials_max:
        least = min(trials, key=lambda trial: trial.loss_ratio)
        return Ruling(Verdict.FAIL, (f"all of {tries} lost frames, the best of them {text.loss(least)}",))
    return None


def _as_goal(goal: SearchGoal, verify: LossVerification) -> SearchGoal:
    """Return RFC 9971's goal for the same rule, z left out: one good trial of `trials_max` is enough."""
    return replace(
        goal,
        exceed_ratio=1 - 1 / verify.trials_max,
        duration_sum_s=verify.trials_max * goal.trial_duration_s,
    )
