"""The one thing that gates and searches ask for: a trial at a load."""

from __future__ import annotations

from typing import Protocol

from pytest_nfv.model.trial import TrialResult


class Measurer(Protocol):
    """Runs trials on a deployed (or simulated) system under test."""

    def measure(self, rate_pps: float, duration_s: float) -> TrialResult:
        """Offer `rate_pps` per direction for `duration_s` and return what was counted.

        Raises:
            DeploymentError: the system under test or the generator broke.
        """
        ...
