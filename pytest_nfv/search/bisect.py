"""Binary search over the load, whatever rule judges one load.

Source: RFC 2544 section 26.1 leaves the order of loads open; RFC 9971, "Binary Search Commonalities", describes
the customary one: confirm the ceiling, confirm the floor, then halve between the tightest bounds. Bounds are hard:
once a load has failed, no higher one is tried, so that the result is conservative where trials contradict each
other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.trial import TrialResult
from pytest_nfv.model.verdict import Ruling, Verdict
from pytest_nfv.search import text
from pytest_nfv.search.bounds import Bounds, Limit, SearchOutcome
from pytest_nfv.search.classify import conditional_throughput_pps
from pytest_nfv.search.offered import fell_short

Judged = tuple[Ruling, tuple[TrialResult, ...]]
Judge = Callable[[float], Judged]
"""Rules on one load (pps per direction) and returns the trials that it took."""

# What a generator reaches when too much is asked it cannot hold to the frame: each step down leaves more headroom.
_CEILINGS_MAX = 6
_HEADROOM = 0.03


def bisect(judge: Judge, bounds: Bounds, goal: SearchGoal) -> SearchOutcome:
    """Return the highest load that `judge` passes, within the resolution.

    A ceiling that the generator cannot offer is lowered to what it did offer; a result that meets it is limited by
    the generator. A load that could not be judged is taken for too high; if it stays the tightest upper bound, the
    result is limited by the machine: a lower bound is proven, and nothing above it.

    Args:
        judge: rules on one load.
        bounds: where to look, and how closely.
        goal: says which of the passed load's trials stands for its rate.

    Raises:
        DeploymentError: from the measurer.
    """
    return _Search(judge, bounds, goal).run()


@dataclass(slots=True)
class _Search:
    """The state of one search; all loads are per direction."""

    judge: Judge
    bounds: Bounds
    goal: SearchGoal
    trials: list[TrialResult] = field(default_factory=list)
    lower_pps: float = 0.0
    upper_pps: float | None = None
    rate_pps: float = 0.0
    unjudged: Ruling | None = None
    passed: Ruling = field(default_factory=lambda: Ruling(Verdict.PASS))
    failed: Ruling = field(default_factory=lambda: Ruling(Verdict.FAIL))

    def run(self) -> SearchOutcome:
        ruling, limit = self._ceiling()
        if ruling.verdict is Verdict.PASS:
            return self._sustained_ceiling(limit)
        ruling, _ = self._try(self.bounds.floor_pps)
        if ruling.verdict is Verdict.FAIL:
            return self._failed_floor()
        if ruling.verdict is Verdict.INVALID:
            return self._stopped(ruling)
        self._halve()
        return self._found()

    def _ceiling(self) -> tuple[Ruling, Limit]:
        """Rule on the highest load that the generator can offer, and say what sets it."""
        limit, load_pps = self.bounds.ceiling_set_by, self.bounds.ceiling_pps
        for step in range(_CEILINGS_MAX):
            ruling, trials = self._try(load_pps)
            short = [trial.offered_pps for trial in trials if fell_short(trial)]
            reached_pps = max(short, default=0.0) * (1 - step * _HEADROOM)
            next_pps = min(reached_pps, load_pps * (1 - self.bounds.resolution))
            if ruling.verdict is not Verdict.INVALID or next_pps <= self.bounds.floor_pps:
                break
            limit, load_pps = "generator", next_pps
        return ruling, limit

    def _halve(self) -> None:
        """Narrow the bounds."""
        while self.upper_pps is not None and not self.bounds.narrow(self.lower_pps, self.upper_pps):
            self._try((self.lower_pps + self.upper_pps) / 2)

    def _try(self, load_pps: float) -> Judged:
        ruling, trials = self.judge(load_pps)
        self.trials.extend(trials)
        if ruling.verdict is Verdict.PASS:
            self.lower_pps, self.passed = load_pps, ruling
            self.rate_pps = conditional_throughput_pps(load_pps, trials, self.goal)
        elif ruling.verdict is Verdict.FAIL:
            self.upper_pps, self.failed, self.unjudged = load_pps, ruling, None
        else:
            self.upper_pps, self.unjudged = load_pps, ruling
        return ruling, trials

    def _sustained_ceiling(self, limit: Limit) -> SearchOutcome:
        whose = "the link's" if limit == "link" else "the generator's"
        summary = f"{text.rate(self.lower_pps)} is sustained and {whose} limit: the device may do more"
        return self._outcome(Verdict.PASS, (summary, *self.passed.reasons), limit)

    def _failed_floor(self) -> SearchOutcome:
        summary = f"not even the lowest load of the search, {text.rate(self.bounds.floor_pps)}, is sustained"
        return self._outcome(Verdict.FAIL, (summary, *self.failed.reasons))

    def _found(self) -> SearchOutcome:
        if self.unjudged is not None:
            summary = f"{text.rate(self.lower_pps)} is sustained; the next load up could not be judged"
            self.upper_pps = None
            return self._outcome(Verdict.PASS, (summary, *self.passed.reasons, *self.unjudged.reasons), "machine")
        summary = f"{text.rate(self.lower_pps)} is sustained, {text.rate(self.upper_pps or 0.0)} is not"
        return self._outcome(Verdict.PASS, (summary, *self.passed.reasons, *self.failed.reasons))

    def _stopped(self, ruling: Ruling) -> SearchOutcome:
        self.upper_pps = None
        return self._outcome(Verdict.INVALID, ruling.reasons)

    def _outcome(
        self, verdict: Verdict, reasons: tuple[str, ...], limited_by: Limit | Literal[""] = ""
    ) -> SearchOutcome:
        return SearchOutcome(
            ruling=Ruling(verdict, reasons),
            lower_pps=self.lower_pps,
            upper_pps=self.upper_pps,
            rate_pps=self.rate_pps,
            trials=tuple(self.trials),
            limited_by=limited_by,
        )
