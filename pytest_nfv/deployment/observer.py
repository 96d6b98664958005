"""Who wants to know while trials run: the terminal's live line, the record, the planner."""

from __future__ import annotations

from typing import Protocol

from pytest_nfv.model.trial import TrialResult, TrialSpec


class Observer(Protocol):
    """Told of every step of a measurement; must return at once."""

    def deploying(self, what: str) -> None:
        """A deployment starts."""
        ...

    def trial_started(self, spec: TrialSpec) -> None:
        """A trial starts."""
        ...

    def trial_progress(self, spec: TrialSpec, elapsed_s: float, sent: int, received: int) -> None:
        """Frames sent and received so far, aggregate."""
        ...

    def trial_done(self, result: TrialResult) -> None:
        """A trial ended."""
        ...
