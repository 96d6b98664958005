"""Middle and spread of a few values: measurements come in threes, not in thousands.

No mean and no standard deviation: one disturbed trial moves both at will, and of three values neither means much.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_nfv.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Spread:
    """The range of some values around their median, all in the values' own unit.

    Attributes:
        count: how many values there were.
    """

    count: int
    low: float
    median: float
    high: float

    @property
    def width(self) -> float:
        """Largest minus smallest."""
        return self.high - self.low

    @property
    def relative(self) -> float:
        """Width as a share of the median; 0 where all values are equal, infinite around a median of 0."""
        if not self.width:
            return 0.0
        return self.width / abs(self.median) if self.median else float("inf")

    def overlaps(self, other: Spread) -> bool:
        """Whether some value could belong to either: the two do not differ by more than they vary."""
        return self.low <= other.high and other.low <= self.high


def median(values: Iterable[float]) -> float:
    """Return the middle value, or the mean of the two middle ones.

    Raises:
        ConfigurationError: there are no values.
    """
    return spread(values).median


def spread(values: Iterable[float]) -> Spread:
    """Return the smallest, middle and largest value.

    Raises:
        ConfigurationError: there are no values.
    """
    ordered = sorted(values)
    if not ordered:
        raise ConfigurationError("no values to take the median of; accepted: at least one")
    return Spread(len(ordered), ordered[0], statistics.median(ordered), ordered[-1])
