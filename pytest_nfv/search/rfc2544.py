"""RFC 2544 throughput: a binary search, one trial a load.

Source: RFC 2544 section 26.1: throughput is the highest load at which no frame is lost. Section 24 wants trials of
60 s; with shorter ones the result is conditionally compliant only.
"""

from __future__ import annotations

from dataclasses import replace

from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.measurer import Measurer
from pytest_nfv.search.bisect import Judged, bisect
from pytest_nfv.search.bounds import Bounds, SearchOutcome
from pytest_nfv.search.gate import sustains
from pytest_nfv.search.repeat import OnTrial


def rfc2544(
    measurer: Measurer,
    bounds: Bounds,
    goal: SearchGoal,
    retry_invalid: int,
    on_trial: OnTrial | None = None,
) -> SearchOutcome:
    """Search with one trial a load; any trial above the goal's loss ratio fails its load.

    The goal's duration sum and exceed ratio do not count. A loss ratio above 0 makes the result a partial drop
    rate instead of RFC 2544's throughput.

    Raises:
        ConfigurationError: a negative `retry_invalid`.
        DeploymentError: from the measurer.
    """
    single = replace(goal, exceed_ratio=0.0, duration_sum_s=goal.trial_duration_s)

    def judge(load_pps: float) -> Judged:
        return sustains(measurer, load_pps, single, retry_invalid, on_trial)

    return bisect(judge, bounds, single)
