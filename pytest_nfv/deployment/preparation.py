"""What a run sets on a host before its first trial there, as far as the testbed lets it, until it is done.

The values are those that the papers' testbeds had, and that any guide to measuring asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_nfv.deployment.clocking import Tuner
from pytest_nfv.errors import CapabilityMissing, DeploymentError

PREPARED = {
    "governor": "performance",
    "turbo": "off",
    "c-states": "2",
    "smt": "off",
    "irq-affinity": "away",
    "offloads": "off",
    "flow-control": "off",
    "auto-negotiation": "off",
}
"""Setting to its value, in the order in which they are made: siblings go before interrupts are dealt out."""


class Preparation:
    """Settings of one host."""

    def __init__(self, may_change: Iterable[str]) -> None:
        """Prepare nothing yet; `may_change` is of `model.machine.CHANGES`."""
        self._names = [name for name in PREPARED if name in frozenset(may_change)]
        self._cores: frozenset[int] = frozenset()
        self._interfaces: tuple[str, ...] = ()
        self._set: list[tuple[Tuner, str]] = []
        self._notes: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be set, and why."""
        return self._notes

    def hold(self, tuner: Tuner, cores: Iterable[int], interfaces: Sequence[str] = ()) -> bool:
        """Set what may be; again only where cores or interfaces are new. Return whether anything was tried.

        What a host lacks, or refuses, is a note: it is as good as it can be.

        Raises:
            DeploymentError: something could not be put back.
        """
        wanted = self._cores | frozenset(cores)
        if not self._names or (wanted == self._cores and tuple(interfaces) == self._interfaces):
            return False
        self.release()
        self._cores, self._interfaces = wanted, tuple(interfaces)
        notes: list[str] = []
        for name in self._names:
            try:
                notes += tuner.tune(name, PREPARED[name], cores=sorted(wanted), interfaces=self._interfaces)
                self._set.append((tuner, name))
            except (CapabilityMissing, DeploymentError) as error:
                notes.append(f"{name} is as it was: {error}")
        self._notes = tuple(notes)
        return True

    def release(self) -> list[str]:
        """Put back what is set, the last first; return notes on what somebody else changed meanwhile.

        Raises:
            DeploymentError: something could not be; the agent tries again at its end.
        """
        notes: list[str] = []
        self._cores, self._interfaces = frozenset(), ()
        while self._set:
            tuner, name = self._set.pop()
            notes += tuner.tune(name, None)
        return notes
