"""The words of rulings: loads, losses and trials as a network engineer says them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_nfv.model.trial import TrialResult
from pytest_nfv.units import Duration, PacketRate


def rate(pps: float) -> str:
    """Return a load per direction: `12.5 Mpps`."""
    return str(PacketRate(pps))


def share(ratio: float) -> str:
    """Return a ratio in percent: `0.5 %`."""
    return f"{ratio * 100:.3g} %"


def span(seconds: float) -> str:
    """Return a duration: `1 s`."""
    return str(Duration(seconds))


def count(number: int, what: str) -> str:
    """Return `1 trial`, `2 trials`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def loss(trial: TrialResult) -> str:
    """Return the loss of the worst direction: `250,000 of 12,750,000 frames (1.96 %)`."""
    worst = max(trial.flows, key=lambda flow: flow.loss_ratio)
    where = f" on {worst.direction}" if len(trial.flows) > 1 else ""
    return f"{worst.lost:,} of {worst.sent:,} frames{where} ({share(worst.loss_ratio)})"


def worst(trials: Sequence[TrialResult]) -> TrialResult:
    """Return the trial with the highest loss ratio."""
    return max(trials, key=lambda trial: trial.loss_ratio)


def why_invalid(trials: Iterable[TrialResult]) -> tuple[str, ...]:
    """Return what made trials invalid, each reason once, in order."""
    return tuple(dict.fromkeys(reason for trial in trials for reason in trial.invalid))
