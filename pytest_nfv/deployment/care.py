"""The hosts of a testbed: set right as far as it lets, looked at before the first trial, put back at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_nfv.deployment.clocking import Tuner
from pytest_nfv.deployment.preparation import Preparation
from pytest_nfv.deployment.readiness import Finding, Roles, findings
from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts.facts import HostFacts
from pytest_nfv.hosts.survey import Survey

Look = Callable[[Sequence[int], Sequence[str]], Survey]


@dataclass(frozen=True, slots=True)
class Place:
    """One host's share of a placement.

    Attributes:
        tuner: its agent.
        look: surveys it: `hosts.survey.survey`, or a far lab's.
        facts: reads its facts as they are now.
        roles: of its cores.
        interfaces: of its own that frames go through.
        may_change: what the testbed lets be changed there.
        slots: PCI addresses of ports that no driver of the kernel's own has: nothing can be set of those.
    """

    tuner: Tuner
    look: Look
    facts: Callable[[], HostFacts]
    roles: Roles
    interfaces: tuple[str, ...] = ()
    may_change: frozenset[str] = frozenset()
    slots: tuple[str, ...] = ()


@dataclass(slots=True)
class _Host:
    preparation: Preparation
    roles: Roles = field(default_factory=Roles)
    ports: frozenset[str] = frozenset()
    survey: Survey | None = None
    found: tuple[Finding, ...] = ()

    def look(self, place: Place) -> None:
        """Look at all cores so far and at the ports in use now; of others, what was seen of them stays."""
        ports = (*place.interfaces, *place.slots)
        self.roles, self.ports = self.roles.joined(place.roles), self.ports.union(ports)
        seen = place.look(self.roles.cores, ports)
        if self.survey is not None:
            now = {nic.interface for nic in seen.nics}
            before = tuple(nic for nic in self.survey.nics if nic.interface not in now)
            seen = replace(seen, nics=(*before, *seen.nics))
        self.survey, self.found = seen, findings(place.facts(), seen, self.roles)

    def knows(self, place: Place) -> bool:
        """Whether it has looked at a place's cores, each in its role, and ports."""
        ports = self.ports.issuperset((*place.interfaces, *place.slots))
        return self.survey is not None and ports and self.roles.joined(place.roles) == self.roles


class Care:
    """What a run set on each host, and what it saw there.

    Attributes:
        told: sentences that a person should read at the end of the run.
    """

    def __init__(self) -> None:
        """Know no host yet."""
        self.told: list[str] = []
        self._hosts: dict[str, _Host] = {}

    def take(self, places: Mapping[str, Place]) -> None:
        """Prepare hosts for a deployment that is to come, and look at what is new or was set just now.

        Raises:
            DeploymentError: an agent is gone.
        """
        for name, place in places.items():
            host = self._hosts.setdefault(name, _Host(Preparation(place.may_change)))
            prepared = host.preparation.hold(place.tuner, place.roles.cores, place.interfaces)
            if prepared:
                self.told += [f"{name}: {note}" for note in host.preparation.notes]
            if prepared or not host.knows(place):
                host.look(place)

    def seen(self, name: str) -> dict[str, Any]:
        """Return what was seen on a host, as JSON values for its facts in the record; empty before `take`."""
        host = self._hosts.get(name)
        if host is None or host.survey is None:
            return {}
        return host.survey.to_json() | {"readiness": [one.to_json() for one in host.found]}

    def release(self) -> None:
        """Put back what was set, as far as agents can; the rest is theirs, or the reaper's. Safe to call twice."""
        for name, host in self._hosts.items():
            try:
                notes = host.preparation.release()
            except DeploymentError as error:
                notes = [str(error)]
            self.told += [f"{name}: {note}" for note in notes]
