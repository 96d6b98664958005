"""The contract of a traffic generator, as the runner sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from pytest_nfv.model.offer import Offer, PortSpec, Report
from pytest_nfv.model.trial import Latency

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

    def floor(self, offer: Offer) -> tuple[Latency, ...]:
        """Return the latencies of the same work wired back to the generator itself; empty where it cannot.

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


class Half(Generator, Protocol):
    """A generator that also does one half of the work; the other half is another's, on a core of its own.

    Its `offer` sends only where the offer's role says so.
    """

    def listen(self, offer: Offer) -> None:
        """Start to receive what another sends; frames sent once this returns are counted.

        Raises:
            GeneratorError: the generator died or refused.
        """
        ...

    def heard(self) -> int:
        """Return how many frames were received so far, as last told; at once.

        Raises:
            GeneratorError: the generator died or refused.
        """
        ...

    def finish(self) -> Report:
        """End `listen`: all was sent. Return once counters rest.

        Raises:
            GeneratorError: the generator died or refused.
        """
        ...

    def abort(self) -> None:
        """End `listen` without a report."""
        ...
