"""The contract of a traffic generator, as the runner sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from pytest_nfv.model.offer import Offer, PortSpec, Report

Progress = Callable[[float, int, int], None]
"""Called with (seconds since the start, frames sent, frames received) while a trial runs."""


class Generator(Protocol):
    """Offers load and counts what comes back."""

    @property
    def version(self) -> str: ...

    def open(self, ports: Sequence[PortSpec]) -> None:
        """Open the ports, in the order of their indices.

        Raises:
            GeneratorError: a port cannot be opened; names it.
        """
        ...

    def learn(self) -> None:
        """Send learning frames from every port, so that a switch knows where each address is (RFC 2544 23)."""
        ...

    def offer(self, offer: Offer, progress: Progress | None = None) -> Report:
        """Run one trial.

        Raises:
            GeneratorError: the generator died or refused.
        """
        ...

    def pid(self) -> int:
        """Return the process whose processor time is the generator's."""
        ...

    def close(self) -> None:
        """End it; safe to call twice."""
        ...
