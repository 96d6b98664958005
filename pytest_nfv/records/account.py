"""The trials that speak for a measurement, added up. Rates come out of summed counts and summed spans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.trial import CoreUse, Direction, FlowCounts, GuestUse, Hop, ThreadUse, TrialResult
from pytest_nfv.model.verdict import Verdict
from pytest_nfv.records.measurement import Measurement

# A generator counts as having offered its load from here on: pacing itself holds it within 0.1 %.
OFFERED = 0.999


def lossy(trial: TrialResult, goal: SearchGoal | None) -> bool:
    """Whether a valid trial lost more than the goal allows (RFC 9971: a high-loss trial)."""
    return goal is not None and trial.valid and trial.loss_ratio > goal.loss_ratio


@dataclass(frozen=True, slots=True)
class Account:
    """Trials at one load, as one.

    Attributes:
        numbers: the trials' numbers within the measurement, from 1.
    """

    numbers: tuple[int, ...]
    trials: tuple[TrialResult, ...]

    @property
    def load_pps(self) -> float:
        """Intended load per direction."""
        return self.trials[0].spec.rate_pps

    @property
    def offered_for_s(self) -> float:
        """Summed span of offering."""
        return sum(trial.offered_for_s for trial in self.trials)

    @property
    def flows(self) -> tuple[FlowCounts, ...]:
        """Summed counts, one of each direction."""
        return tuple(self._flow(way) for way in dict.fromkeys(f.direction for t in self.trials for f in t.flows))

    def _flow(self, way: Direction) -> FlowCounts:
        parts = [flow for trial in self.trials for flow in trial.flows if flow.direction == way]
        return FlowCounts(
            way,
            intended=sum(flow.intended for flow in parts),
            sent=sum(flow.sent for flow in parts),
            received=sum(flow.received for flow in parts),
            duplicated=sum(flow.duplicated for flow in parts),
            reordered=sum(flow.reordered for flow in parts),
            corrupted=sum(flow.corrupted for flow in parts),
            foreign=sum(flow.foreign for flow in parts),
        )

    @property
    def sent(self) -> int:
        """Frames offered, aggregate."""
        return sum(flow.sent for flow in self.flows)

    @property
    def received(self) -> int:
        """Frames forwarded intact, aggregate."""
        return sum(flow.received for flow in self.flows)

    @property
    def lost(self) -> int:
        """Frames lost, aggregate."""
        return self.sent - self.received

    @property
    def loss_ratio(self) -> float:
        """The worst direction's loss ratio."""
        return max(flow.loss_ratio for flow in self.flows)

    @property
    def offered_share(self) -> float:
        """Share of the intended frames that were offered, the worst direction's."""
        return min(flow.sent / flow.intended if flow.intended else 1.0 for flow in self.flows)

    @property
    def offered_pps(self) -> float:
        """Offered load per direction, the least offered one's; 0 where nothing was offered."""
        return self._per_second(lambda flow: flow.sent)

    @property
    def forwarded_pps(self) -> float:
        """Forwarding rate per direction (RFC 2285 section 3.6.1), the worst one's; 0 where nothing was offered."""
        return self._per_second(lambda flow: flow.received)

    def _per_second(self, count: Callable[[FlowCounts], int]) -> float:
        return min(map(count, self.flows)) / self.offered_for_s if self.offered_for_s else 0.0

    def way(self, direction: Direction) -> tuple[Hop, ...]:
        """Return the summed hops of one direction, in order."""
        sums: dict[str, Hop] = {}
        for hop in (hop for trial in self.trials for hop in trial.hops if hop.direction == direction):
            before = sums.get(hop.place, Hop(direction, hop.place, 0))
            drops = {
                why: before.drops.get(why, 0) + hop.drops.get(why, 0) for why in {**before.drops, **hop.drops}
            }
            sums[hop.place] = Hop(direction, hop.place, before.frames + hop.frames, drops)
        return tuple(sums.values())

    def cores(self, role: str = "") -> tuple[CoreUse, ...]:
        """Return the summed use of every core, of one role where given."""
        sums: dict[tuple[str, int], CoreUse] = {}
        for core in (core for trial in self.trials for core in trial.cores if role in ("", core.role)):
            if core.wall_s <= 0:
                continue  # nothing was accounted
            key = (core.role, core.core)
            before = sums.get(key, CoreUse(*key, 0.0, 0.0, 0.0, 0.0, 0.0))
            sums[key] = CoreUse(
                *key,
                wall_s=before.wall_s + core.wall_s,
                user_s=before.user_s + core.user_s,
                system_s=before.system_s + core.system_s,
                softirq_s=before.softirq_s + core.softirq_s,
                steal_s=before.steal_s + core.steal_s,
                frequency_hz=_mean(before, core),
            )
        return tuple(sums.values())

    def threads(self, role: str = "") -> tuple[ThreadUse, ...]:
        """Return the summed use of every thread, of one role where given."""
        sums: dict[tuple[str, str], ThreadUse] = {}
        for one in (one for trial in self.trials for one in trial.threads if role in ("", one.role)):
            key = (one.role, one.name)
            before = sums.get(key, ThreadUse(*key, 0.0, 0.0, None if one.worked_s is None else 0.0))
            told = one.worked_s is not None and before.worked_s is not None
            sums[key] = ThreadUse(
                *key,
                cpu_s=before.cpu_s + one.cpu_s,
                run_delay_s=before.run_delay_s + one.run_delay_s,
                worked_s=(before.worked_s or 0.0) + (one.worked_s or 0.0) if told else None,
                system_s=_added(before.system_s, one.system_s),
                worked_cycles=_counted(before.worked_cycles, one.worked_cycles),
                held_s=None if one.held_s is None else _added(before.held_s, one.held_s),
            )
        return tuple(sums.values())

    def guests(self) -> tuple[GuestUse, ...]:
        """Return the summed use of every guest."""
        sums: dict[str, GuestUse] = {}
        for one in (one for trial in self.trials for one in trial.guests):
            before = sums.get(one.name, GuestUse(one.name, 0.0, 0.0, 0.0, 0.0))
            sums[one.name] = GuestUse(
                one.name,
                user_s=before.user_s + one.user_s,
                system_s=before.system_s + one.system_s,
                softirq_s=before.softirq_s + one.softirq_s,
                idle_s=before.idle_s + one.idle_s,
                steal_s=before.steal_s + one.steal_s,
            )
        return tuple(sums.values())


def _counted(one: int | None, other: int | None) -> int | None:
    return other if one is None else one + (other or 0)


def _mean(before: CoreUse, core: CoreUse) -> float | None:
    """Return the mean frequency over both spans; that of the one that tells it, where the other does not."""
    if before.frequency_hz is None or core.frequency_hz is None:
        return core.frequency_hz if before.frequency_hz is None else before.frequency_hz
    cycles = before.frequency_hz * before.wall_s + core.frequency_hz * core.wall_s
    return cycles / (before.wall_s + core.wall_s)


def _added(one: float | None, other: float | None) -> float | None:
    return other if one is None else one + (other or 0.0)


def telling(measurement: Measurement) -> Account | None:
    """Return the trials that speak for the verdict; None where there is no trial.

    Invalid: those that stayed invalid at the last load. A failed gate: those that lost too much. A throughput:
    those that lost too much at the lowest load that failed, or all at the highest load where none did. Else, and
    for a forwarding rate however much was lost, the valid ones.
    """
    every = list(enumerate(measurement.trials, start=1))
    goal = measurement.goal
    high = [(n, trial) for n, trial in every if lossy(trial, goal)]
    valid = [(n, trial) for n, trial in every if trial.valid]
    if measurement.verdict is Verdict.INVALID:
        invalid = [(n, trial) for n, trial in every if not trial.valid]
        return _account(_at(invalid, lambda loads: loads[-1])) or _account(every[-1:])
    if measurement.kind == "latency":
        return _account(valid[-1:] or every[-1:])
    if measurement.kind == "forwarding_rate":
        return _account(valid) or _account(every)
    if measurement.kind == "throughput":
        above = [(n, trial) for n, trial in high if trial.spec.rate_pps > (measurement.lower_pps or 0.0)]
        return _account(_at(above, min)) or _account(_at(valid, max)) or _account(every[-1:])
    failed = measurement.verdict is Verdict.FAIL
    return _account(high if failed and high else valid) or _account(every)


def _at(
    some: Sequence[tuple[int, TrialResult]], choose: Callable[[list[float]], float]
) -> list[tuple[int, TrialResult]]:
    if not some:
        return []
    load = choose([trial.spec.rate_pps for _, trial in some])
    return [(n, trial) for n, trial in some if trial.spec.rate_pps == load]


def _account(some: Sequence[tuple[int, TrialResult]]) -> Account | None:
    return Account(tuple(n for n, _ in some), tuple(trial for _, trial in some)) if some else None
