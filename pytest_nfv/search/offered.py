"""Whether the generator offered its load. What it owed and did not offer is nobody's loss."""

from __future__ import annotations

from pytest_nfv.model.trial import TrialResult

SHARE_MIN = 0.999
"""Pacing holds the offered load within 0.1 %; below that, the load asked for was not there."""


def fell_short(trial: TrialResult) -> bool:
    """Whether some direction was offered less than its load."""
    return any(flow.sent < SHARE_MIN * flow.intended for flow in trial.flows)
