"""What a component used of the processor in a trial, as a part of one core's time.

Accounts begin before the first frame and go on until counters are at rest, as long again where a trial is short.
"""

from __future__ import annotations

from pytest_nfv import ThreadUse, TrialResult, component_of_thread


def used(trial: TrialResult, component: str) -> float:
    """Return what all threads of `switch`, `generator`, or a VNF by its name used, as a part of one core.

    What is woken by frames has next to nothing to do but while they are offered, what polls runs as long as the
    account: each is a part of that.
    """
    return sum(
        one.cpu_s / (trial.offered_for_s if one.worked_s is None else _wall_s(trial))
        for one in _threads(trial, component)
    )


def wanted(trial: TrialResult, component: str) -> float:
    """Return for which part of the account the component's busiest thread ran, or waited for its core."""
    return max((one.cpu_s + one.run_delay_s for one in _threads(trial, component)), default=0.0) / _wall_s(trial)


def fits(trial: TrialResult, component: str) -> bool:
    """Whether a component used some time, and no more than the device's cores had."""
    there_s = sum(core.wall_s for core in trial.cores if core.role == "device")
    return 0 < sum(one.cpu_s for one in _threads(trial, component)) <= there_s


def polls(trial: TrialResult, component: str) -> bool:
    """Whether the component has a thread that polls: such a one tells how much of its time it had frames."""
    return any(one.worked_s is not None for one in _threads(trial, component))


def _threads(trial: TrialResult, component: str) -> list[ThreadUse]:
    return [one for one in trial.threads if component_of_thread(one) == component]


def _wall_s(trial: TrialResult) -> float:
    return max(core.wall_s for core in trial.cores)
