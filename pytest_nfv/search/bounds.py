"""Where a search looks, and what it brings back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.trial import TrialResult
from pytest_nfv.model.verdict import Ruling
from pytest_nfv.search import text

Limit = Literal["link", "generator", "machine"]

RESOLUTION = 0.005


@dataclass(frozen=True, slots=True)
class Bounds:
    """The loads between which a search looks, per direction.

    Attributes:
        floor_pps: the lowest load worth knowing; a device that fails it has a throughput of 0.
        ceiling_pps: the highest load to offer: line rate, or what the generator is known to manage.
        resolution: the search ends when the bounds are this close, as a share of the upper one (RFC 9971's goal
            width).
        ceiling_set_by: what the ceiling is, for the result that meets it.
    """

    floor_pps: float
    ceiling_pps: float
    resolution: float = RESOLUTION
    ceiling_set_by: Limit = "link"

    def __post_init__(self) -> None:
        if not 0 < self.floor_pps < self.ceiling_pps < float("inf"):
            raise ConfigurationError(
                f"search from {self.floor_pps!r} to {self.ceiling_pps!r} pps: accepted: 0 < floor < ceiling"
            )
        if not 1e-6 <= self.resolution < 1:
            raise ConfigurationError(f"search resolution {self.resolution!r}: accepted: 0.000001 to below 1")
        if self.ceiling_set_by not in ("link", "generator"):
            raise ConfigurationError(f"ceiling set by {self.ceiling_set_by!r}: accepted: link, generator")

    def narrow(self, lower_pps: float, upper_pps: float) -> bool:
        """Whether two bounds are as close as asked for."""
        return upper_pps - lower_pps <= self.resolution * upper_pps


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """What a search found.

    Attributes:
        ruling: PASS where a load is sustained, FAIL where not even the floor is, INVALID where a load that was
            needed to go on could not be measured.
        lower_pps: highest load found to be sustained, per direction; 0 where none is.
        upper_pps: lowest load found not to be sustained; None where the search met its ceiling, or the load above
            could not be judged.
        rate_pps: conditional throughput, per direction: what was forwarded at `lower_pps`.
        trials: all of them in order, at every load, invalid ones included.
        limited_by: `link` or `generator` where the ceiling was sustained; `machine` where the load above could not
            be judged, so that `lower_pps` is proven and nothing above; "" otherwise.
    """

    ruling: Ruling
    lower_pps: float
    upper_pps: float | None
    rate_pps: float
    trials: tuple[TrialResult, ...]
    limited_by: Limit | Literal[""] = ""

    def __str__(self) -> str:
        return f"{self.ruling.verdict}: {text.rate(self.rate_pps)}"
