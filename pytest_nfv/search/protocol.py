"""The contract of a search procedure."""

from __future__ import annotations

from typing import Protocol

from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.measurer import Measurer
from pytest_nfv.search.bounds import Bounds, SearchOutcome
from pytest_nfv.search.repeat import OnTrial


class Search(Protocol):
    """Finds the highest load that meets a goal."""

    def __call__(
        self,
        measurer: Measurer,
        bounds: Bounds,
        goal: SearchGoal,
        retry_invalid: int,
        on_trial: OnTrial | None = None,
    ) -> SearchOutcome:
        """Search between the bounds.

        Args:
            measurer: runs trials.
            bounds: where to look, and how closely.
            goal: what a load must do; which of its parts count is the procedure's own rule.
            retry_invalid: how many invalid trials are repeated at each load.
            on_trial: called with every trial as it ends.

        Raises:
            ConfigurationError: a negative `retry_invalid`.
            DeploymentError: from the measurer.
        """
        ...
