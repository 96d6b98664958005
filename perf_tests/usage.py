"""What a component used of the processor in a trial, as a part of one core's time."""

from __future__ import annotations

from pytest_nfv import ThreadUse, TrialResult, component_of_thread


def used(trial: TrialResult, component: str) -> float:
    """Return the time of all threads of `switch`, `generator`, or a VNF by its name."""
    return sum(one.cpu_s for one in _threads(trial, component)) / _wall_s(trial)


def wanted(trial: TrialResult, component: str) -> float:
    """Return for which part of the time of offering the component's busiest thread ran, or waited for its core.

    Accounts begin before it and go on until counters are at rest, for as long again where a trial is short.
    """
    busiest_s = max((one.cpu_s + one.run_delay_s for one in _threads(trial, component)), default=0.0)
    return min(1.0, busiest_s / trial.offered_for_s)


def polls(trial: TrialResult, component: str) -> bool:
    """Whether the component has a thread that polls: such a one tells how much of its time it had frames."""
    return any(one.worked_s is not None for one in _threads(trial, component))


def _threads(trial: TrialResult, component: str) -> list[ThreadUse]:
    return [one for one in trial.threads if component_of_thread(one) == component]


def _wall_s(trial: TrialResult) -> float:
    return max(core.wall_s for core in trial.cores)
