"""Whether a load is within the generator's reach: said before a trial is spent on one that is not.

A limit is learnt where it matters, from a gate that ended INVALID because less than its load was offered: three
short trials offer as much as can be (RFC 2285's maximum offered load), and the best is kept. What keeps that from
turning a load that can be offered into an INVALID one:

- a trial in which the generator did not have its core for 95 % of the time teaches nothing;
- a load up to 2 % above the limit is measured;
- a limit from an earlier run is tried again first, unless the load is half as much again;
- a generator that offers more than its limit has none that is known; after a week neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from pytest_nfv.deployment.limits import Key, Limit, Limits
from pytest_nfv.model.trial import TrialResult
from pytest_nfv.model.verdict import Ruling, Verdict
from pytest_nfv.search.offered import SHARE_MIN, fell_short
from pytest_nfv.units import PacketRate

MARGIN = 1.02
CERTAIN = 1.5
PROBES, PROBE_S = 3, 0.3
CORE_SHARE_MIN = 0.95

Probe = Callable[[float, float], TrialResult]
"""Takes a load per direction and seconds; offers as much of it as can be."""


class Reach(Protocol):
    """What is known about the loads that the generator can offer."""

    def refusal(self, rate_pps: float) -> Ruling | None:
        """Return INVALID where a load is known to be out of reach; None where it has to be measured."""
        ...

    def learnt(self, rate_pps: float, ruling: Ruling, trials: Sequence[TrialResult]) -> Ruling:
        """Learn from a gate at a load, and return its ruling, with what was learnt."""
        ...


class Unlimited:
    """Nothing is known, and nothing learnt: a simulated generator, or applications, which are what is measured."""

    def refusal(self, rate_pps: float) -> Ruling | None:
        """Refuse nothing."""
        return None

    def learnt(self, rate_pps: float, ruling: Ruling, trials: Sequence[TrialResult]) -> Ruling:
        """Return the ruling as it is."""
        return ruling


class Measured:
    """The reach of one generator with one kind of frames at one deployment."""

    def __init__(self, limits: Limits, key: Key, probe: Probe) -> None:
        self._limits = limits
        self._key = key
        self._probe = probe

    def refusal(self, rate_pps: float) -> Ruling | None:
        """Return INVALID where a load is known to be out of reach; None where it has to be measured.

        Raises:
            GeneratorError: the generator died while an old limit was tried again.
        """
        limit = self._limits.of(self._key)
        if limit is None or rate_pps <= MARGIN * limit.pps:
            return None
        if rate_pps <= CERTAIN * limit.pps and not self._limits.fresh(self._key):
            limit = self._again(rate_pps, limit)
            if limit is None or rate_pps <= MARGIN * limit.pps:
                return None
        said = f"{PacketRate(rate_pps)} is beyond what the generator can offer"
        return Ruling(Verdict.INVALID, (said, self._told(limit)))

    def _again(self, rate_pps: float, old: Limit) -> Limit | None:
        """Try a limit of an earlier run once more; None where this run cannot say."""
        best_pps = self._best(rate_pps)
        if best_pps >= SHARE_MIN * rate_pps:
            self._limits.drop(self._key)
            return None
        return self._limits.keep(self._key, max(best_pps, old.pps)) if best_pps else None

    def learnt(self, rate_pps: float, ruling: Ruling, trials: Sequence[TrialResult]) -> Ruling:
        """Learn from a gate at a load, and return its ruling, with what was learnt.

        Raises:
            GeneratorError: the generator died while its limit was measured.
        """
        seen_pps = max((trial.offered_pps for trial in trials if trial.sent), default=0.0)
        limit = self._limits.of(self._key)
        if limit is not None and seen_pps > limit.pps:
            self._limits.drop(self._key)
        short = [trial for trial in trials if fell_short(trial)]
        if ruling.verdict is not Verdict.INVALID or not short or len(short) < len(trials):
            return ruling
        best_pps = self._best(rate_pps)
        if not best_pps or max(best_pps, seen_pps) >= SHARE_MIN * rate_pps:
            return ruling
        kept = self._limits.keep(self._key, max(best_pps, seen_pps))
        return replace(ruling, reasons=(*ruling.reasons, self._told(kept)))

    def _best(self, rate_pps: float) -> float:
        """Return the most that short trials offer of a load, per direction; 0 where none of them counts."""
        best_pps = 0.0
        for _ in range(PROBES):
            trial = self._probe(rate_pps, PROBE_S)
            if trial.generator.cpu_s >= CORE_SHARE_MIN * trial.offered_for_s:
                best_pps = max(best_pps, trial.offered_pps)
            if best_pps >= SHARE_MIN * rate_pps:
                break
        return best_pps

    def _told(self, limit: Limit) -> str:
        return (
            f"the most that it offers on {self._key['port']} ports from core {self._key['core']} is "
            f"{PacketRate(limit.pps)} ({limit.date}, the best of {PROBES} trials of {PROBE_S:g} s that offer all "
            "they can); `pytest-nfv limits --forget` has it measured again"
        )
