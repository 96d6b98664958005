"""What a load must do to be called sustained (RFC 9971, search goal)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pytest_nfv.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class SearchGoal:
    """One goal in the sense of RFC 9971.

    Attributes:
        loss_ratio: a trial whose loss ratio is above this is a high-loss trial. 0 is RFC 2544's throughput (NDR).
        exceed_ratio: the share of the summed trial duration that may be high-loss, from 0 to below 1.
        trial_duration_s: duration of a full-length trial.
        duration_sum_s: how much full-length trial duration decides a load for certain.
    """

    loss_ratio: float = 0.0
    exceed_ratio: float = 0.5
    trial_duration_s: float = 1.0
    duration_sum_s: float = 3.0

    def __post_init__(self) -> None:
        if not 0 <= self.loss_ratio < 1:
            raise ConfigurationError(f"loss ratio {self.loss_ratio!r}: accepted: 0 to below 1")
        if not 0 <= self.exceed_ratio < 1:
            raise ConfigurationError(f"exceed ratio {self.exceed_ratio!r}: accepted: 0 to below 1")
        if not 0 < self.trial_duration_s < float("inf"):
            raise ConfigurationError(f"trial duration {self.trial_duration_s!r} s: accepted: above 0")
        if not self.trial_duration_s <= self.duration_sum_s < float("inf"):
            raise ConfigurationError(
                f"duration sum {self.duration_sum_s!r} s: accepted: at least one trial duration "
                f"({self.trial_duration_s:g} s)"
            )

    def lasting(self, trial_duration_s: float) -> SearchGoal:
        """Return the same goal with trials of another duration, as many of them."""
        scale = self.duration_sum_s / self.trial_duration_s
        return replace(self, trial_duration_s=trial_duration_s, duration_sum_s=trial_duration_s * scale)
