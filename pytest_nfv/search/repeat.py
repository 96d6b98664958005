"""Trials at one load until a rule has decided; invalid ones are repeated and count for neither side."""

from __future__ import annotations

from collections.abc import Callable

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.measurer import Measurer
from pytest_nfv.model.trial import TrialResult
from pytest_nfv.model.verdict import Ruling, Verdict
from pytest_nfv.search import text

OnTrial = Callable[[TrialResult], None]
"""Called with every trial as soon as it ended, invalid ones too."""

Rule = Callable[[list[TrialResult]], Ruling | None]
"""Takes the valid trials so far; returns None while they do not decide."""


def until_decided(
    measurer: Measurer,
    rate_pps: float,
    duration_s: float,
    rule: Rule,
    retry_invalid: int,
    on_trial: OnTrial | None = None,
) -> tuple[Ruling, tuple[TrialResult, ...]]:
    """Measure until `rule` decides, or until more than `retry_invalid` trials were invalid.

    The budget is for the load, not for each trial: a testbed that spoils every other trial is not to be trusted
    with the ones between.

    Args:
        measurer: runs trials.
        rate_pps: load per direction.
        duration_s: duration of each trial.
        rule: decides; must do so for some number of valid trials.
        retry_invalid: how many invalid trials are repeated.
        on_trial: called with every trial as it ends.

    Returns:
        The ruling, and all trials in order, invalid ones included.

    Raises:
        ConfigurationError: a negative `retry_invalid`.
        DeploymentError: from the measurer.
    """
    if retry_invalid < 0:
        raise ConfigurationError(f"retry invalid {retry_invalid!r}: accepted: a whole number >= 0")
    trials: list[TrialResult] = []
    valid: list[TrialResult] = []
    while True:
        trial = measurer.measure(rate_pps, duration_s)
        trials.append(trial)
        if on_trial is not None:
            on_trial(trial)
        if trial.valid:
            valid.append(trial)
            ruling = rule(valid)
            if ruling is not None:
                return ruling, tuple(trials)
        elif len(trials) - len(valid) > retry_invalid:
            return _invalid(rate_pps, trials, len(valid)), tuple(trials)


def _invalid(rate_pps: float, trials: list[TrialResult], valid: int) -> Ruling:
    spoilt = f"{len(trials) - valid} of {text.count(len(trials), 'trial')}"
    left = f"; the {text.count(valid, 'valid one')} did not decide" if valid else ""
    summary = f"nothing was learnt at {text.rate(rate_pps)}: {spoilt} invalid{left}"
    return Ruling(Verdict.INVALID, (summary, *text.why_invalid(trials)))
