"""The trials of a measurement as a small table: what was offered, what was lost, what each counted as."""

from __future__ import annotations

from pytest_nfv.model.trial import TrialResult
from pytest_nfv.records.account import Account, lossy
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.records.text import table
from pytest_nfv.records.wording import frames, percent, rate, span

_HEADER = ("trial", "load", "for", "offered", "lost frames", "loss ratio", "counted as")


def trial_lines(measurement: Measurement) -> list[str]:
    """Return the table."""
    said: dict[str, int] = {}
    rows = []
    for number, trial in enumerate(measurement.trials, start=1):
        words = counted_as(trial, measurement)
        first = said.setdefault(words, number)
        again = words if first == number or ":" not in words else f"{words.partition(':')[0]}, as trial {first}"
        rows.append((*_figures(number, trial), again))
    return table(_HEADER, rows)


def _figures(number: int, trial: TrialResult) -> tuple[str, ...]:
    own = Account((number,), (trial,))
    return (
        str(number),
        rate(trial.spec.rate_pps),
        span(trial.spec.duration_s),
        percent(own.offered_share),
        frames(trial.lost),
        percent(trial.loss_ratio),
    )


def counted_as(trial: TrialResult, measurement: Measurement) -> str:
    """Return what a trial counted as, and why where it did not count."""
    if not trial.valid:
        return f"invalid: {'; '.join(trial.invalid)}"
    loss_counts = measurement.kind != "forwarding_rate"
    words = "loss" if loss_counts and lossy(trial, measurement.goal) else "ok"
    return f"{words}; disturbed: {'; '.join(trial.disturbed)}" if trial.disturbed else words
