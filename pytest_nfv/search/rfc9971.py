"""A binary search that classifies every load by RFC 9971's rule, so that its result and a gate's verdict agree.

RFC 9971 leaves the choice of loads to the implementation; halving is the simplest, and not the quickest.
"""

from __future__ import annotations

from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.measurer import Measurer
from pytest_nfv.search.bisect import Judged, bisect
from pytest_nfv.search.bounds import Bounds, SearchOutcome
from pytest_nfv.search.gate import sustains
from pytest_nfv.search.repeat import OnTrial


def rfc9971(
    measurer: Measurer,
    bounds: Bounds,
    goal: SearchGoal,
    retry_invalid: int,
    on_trial: OnTrial | None = None,
) -> SearchOutcome:
    """Search with as many trials a load as the goal needs to classify it.

    Raises:
        ConfigurationError: a negative `retry_invalid`.
        DeploymentError: from the measurer.
    """

    def judge(load_pps: float) -> Judged:
        return sustains(measurer, load_pps, goal, retry_invalid, on_trial)

    return bisect(judge, bounds, goal)
