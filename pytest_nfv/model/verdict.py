"""Three verdicts: the device did it, the device did not, or nothing was learnt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Outcome of a measurement against its goal."""

    PASS = "PASS"
    FAIL = "FAIL"
    INVALID = "INVALID"


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict and the sentences that justify it, the most telling first."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()
