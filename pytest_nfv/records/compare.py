"""What changed between two records, told apart from what merely varies.

All values are times, lower is better: seconds a frame (the number that pytest-benchmark keeps too), for a latency
its median. Two of them differ when their ranges over trials or repeats do not overlap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from pytest_nfv.model.verdict import Verdict
from pytest_nfv.records.account import Account
from pytest_nfv.records.errors import RecordError
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.records.schema import Record
from pytest_nfv.search import stats

# Pacing holds the offered load within 0.1 %, so that no smaller difference is the device's.
RESOLUTION = 0.001


class Trend(StrEnum):
    """Which way a time went, beyond its spread."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "same"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What makes two measurements the same question."""

    node_id: str
    kind: str
    frame_size: int
    testbed: str
    topology: str
    link: str
    target_pps: float

    @classmethod
    def of(cls, node_id: str, one: Measurement) -> Key:
        """Return a measurement's key."""
        subject = one.subject
        return cls(
            node_id,
            one.kind,
            subject.frame_size,
            subject.testbed,
            subject.topology,
            subject.link,
            one.target_pps or 0.0,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """One question, answered twice.

    Attributes:
        before, after: seconds a frame or of median latency; None where nothing valid was measured.
        verdict_before, verdict_after: the last verdict of each record.
    """

    key: Key
    before: stats.Spread | None
    after: stats.Spread | None
    trend: Trend
    verdict_before: Verdict | None
    verdict_after: Verdict | None

    @property
    def ratio(self) -> float | None:
        """Median after over median before: above 1 is slower; None where either is missing."""
        if self.before is None or self.after is None or not self.before.median:
            return None
        return self.after.median / self.before.median

    @property
    def verdict_changed(self) -> bool:
        """Whether the verdict is another one."""
        return self.verdict_before is not self.verdict_after


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two records side by side.

    Attributes:
        changes: what both have, in the later record's order.
        only_before, only_after: what just one has.
    """

    before_id: str
    after_id: str
    changes: tuple[Change, ...]
    only_before: tuple[Key, ...]
    only_after: tuple[Key, ...]


def compare(before: Record, after: Record) -> Comparison:
    """Compare two records.

    Raises:
        RecordError: one is simulated and the other is not.
    """
    _refuse_mixture(before, after)
    earlier, later = _grouped(before), _grouped(after)
    return Comparison(
        before.run.id,
        after.run.id,
        tuple(_change(key, earlier[key], later[key]) for key in later if key in earlier),
        tuple(key for key in earlier if key not in later),
        tuple(key for key in later if key not in earlier),
    )


def _refuse_mixture(before: Record, after: Record) -> None:
    earlier, later = ({one.simulated for _, one in record.measurements()} for record in (before, after))
    if earlier and later and earlier.isdisjoint(later):
        simulated = before.run.id if earlier == {True} else after.run.id
        raise RecordError(
            f"runs {before.run.id} and {after.run.id}: {simulated} is simulated and the other is not; "
            "accepted: two simulated runs, or two real ones"
        )


def _grouped(record: Record) -> dict[Key, list[Measurement]]:
    groups: dict[Key, list[Measurement]] = {}
    for test, one in record.measurements():
        groups.setdefault(Key.of(test.node_id, one), []).append(one)
    return groups


def _change(key: Key, before: list[Measurement], after: list[Measurement]) -> Change:
    if {one.simulated for one in before} != {one.simulated for one in after}:
        raise RecordError(f"{key.node_id}: simulated in one run, real in the other; accepted: the same in both")
    earlier, later = _times(before), _times(after)
    return Change(key, earlier, later, _trend(earlier, later), before[-1].verdict, after[-1].verdict)


def _times(some: list[Measurement]) -> stats.Spread | None:
    known = [one for one in some if one.verdict is not Verdict.INVALID]
    values = [value for one in known for value in _values(one)]
    if not values:
        return None
    found = stats.spread(values)
    # A search stops at its resolution: the true time lies between what failed and what it found.
    least = [1 / one.upper_pps for one in known if one.kind == "throughput" and one.upper_pps]
    return replace(found, low=min(found.low, *least)) if least else found


def _values(one: Measurement) -> list[float]:
    if one.kind == "latency":
        medians = [way.percentiles_ns[50.0] / 1e9 for way in one.latency if 50.0 in way.percentiles_ns]
        return [max(medians)] if medians else []
    if one.kind == "throughput":
        return [1 / one.rate_pps] if one.rate_pps else []
    forwarded = [Account((1,), (trial,)).forwarded_pps for trial in one.trials if trial.valid]
    return [1 / pps for pps in forwarded if pps]


def _trend(before: stats.Spread | None, after: stats.Spread | None) -> Trend:
    if before is None or after is None:
        return Trend.UNKNOWN
    if before.overlaps(after) or abs(after.median - before.median) <= RESOLUTION * before.median:
        return Trend.SAME
    return Trend.SLOWER if after.median > before.median else Trend.FASTER
