"""pytest-benchmark rows: every measurement as seconds per frame, one round a trial (OPS is frames per second).

A trial has been timed already, so the rows are made with a clock that stands still but for the time that a round
took. pytest-benchmark takes a clock by its mark and rounds by `pedantic`; nothing of it is patched.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from pytest_nfv.model.measurement import ForwardingRate, Gate, LatencyResult, Throughput
from pytest_nfv.plugin.workers import in_worker

if TYPE_CHECKING:
    from pytest_nfv.deployment.traffic import Result


class FrameClock:
    """A clock that a round moves forward by the seconds that one frame took."""

    __name__ = "seconds_per_frame"
    __module__ = "pytest_nfv"

    def __init__(self) -> None:
        self._now_s = 0.0

    def __call__(self) -> float:
        """Return the time, in seconds."""
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._now_s += seconds


_KINDS: dict[type, str] = {Gate: "gate", Throughput: "throughput", ForwardingRate: "forwarding_rate"}
CLOCK: pytest.StashKey[FrameClock] = pytest.StashKey()


class Rows:
    """The rows of one test: the first takes the test's own name, each further one a number."""

    @staticmethod
    def mark(config: pytest.Config, items: list[pytest.Item]) -> None:
        """Give every test of ours a clock; tests that use `benchmark` themselves keep theirs."""
        if not config.pluginmanager.hasplugin("benchmark") or in_worker(config):
            return  # under pytest-xdist it makes no rows, whatever it is given
        for item in items:
            if "benchmark" not in getattr(item, "fixturenames", ()) and not item.get_closest_marker("benchmark"):
                clock = item.stash[CLOCK] = FrameClock()
                item.add_marker(pytest.mark.benchmark(timer=clock, disable_gc=False, warmup=False))

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self._pristine: Any = None
        self._made = 0

    def add(self, measurement: Result) -> None:
        """Add a measurement's row, one round for each trial that tells how long a frame takes."""
        clock = self._request.node.stash.get(CLOCK, None)
        rounds = seconds_per_frame(measurement)
        if clock is None or not rounds:
            return
        if self._pristine is None:
            self._pristine = self._request.getfixturevalue("benchmark")
            row = copy.copy(self._pristine)
            # The fixture itself is used by its first row, so that it never complains of having been idle.
            self._pristine, row = row, self._pristine
        else:
            row = copy.copy(self._pristine)
        self._made += 1
        if self._made > 1:
            row.name = f"{row.name} #{self._made}"
            row.fullname = f"{row.fullname} #{self._made}"
        row.extra_info = _facts(measurement)
        left = iter(rounds)
        row.pedantic(lambda: clock.advance(next(left)), rounds=len(rounds), iterations=1)


def seconds_per_frame(measurement: Result) -> list[float]:
    """Return what each trial that counts says: a gate's valid trials, a search's at its final load."""
    if isinstance(measurement, LatencyResult):
        return []
    trials = [trial for trial in measurement.trials if trial.valid and trial.received]
    if isinstance(measurement, Throughput):
        trials = [trial for trial in trials if trial.spec.rate_pps == measurement.lower_pps]
    return [1.0 / trial.forwarded_pps for trial in trials if trial.forwarded_pps]


def _facts(measurement: Result) -> dict[str, object]:
    subject = measurement.subject
    facts: dict[str, object] = {
        "nfv_kind": _KINDS[type(measurement)],
        "nfv_testbed": subject.testbed,
        "nfv_topology": subject.topology,
        "nfv_frame_size_octets": subject.frame_size,
        "nfv_frames": subject.frames,
        "nfv_simulated": subject.simulated,
    }
    if isinstance(measurement, Gate):
        facts |= {"nfv_target_pps": measurement.target.pps, "nfv_verdict": str(measurement.ruling.verdict)}
    if isinstance(measurement, ForwardingRate):
        facts |= {"nfv_target_pps": measurement.offered.pps, "nfv_offered_pps": measurement.offered_pps}
    return facts
