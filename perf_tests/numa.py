"""What S6 says of a chain whose VNFs are on different sockets. Pure: rates in, a word out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Round:
    """One after the other: the same chain on one socket, and across sockets.

    Attributes:
        same_pps, cross_pps: what each valid trial forwarded.
    """

    same_pps: Sequence[float]
    cross_pps: Sequence[float]

    @property
    def ratio(self) -> float | None:
        """Across sockets over one, by the medians; the paper has 0.5 for two VNFs at 64 B. None: no trials."""
        if not self.same_pps or not self.cross_pps:
            return None
        return median(self.cross_pps) / median(self.same_pps)

    @property
    def faster_across(self) -> bool:
        """Whether every trial across sockets beat every one on a socket: not what a crossing can do."""
        return bool(self.same_pps and self.cross_pps) and min(self.cross_pps) > max(self.same_pps)


def contradicts(rounds: Sequence[Round]) -> bool:
    """Whether rounds say, all alike, that crossing sockets makes a chain faster; one that does not is enough."""
    return bool(rounds) and all(one.faster_across for one in rounds)
