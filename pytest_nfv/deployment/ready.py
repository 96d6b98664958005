"""The readiness of this machine as a testbed has it, before anything is deployed."""

from __future__ import annotations

import os

from pytest_nfv.deployment.plan import Placement, place
from pytest_nfv.deployment.readiness import Finding, Roles, beyond, findings
from pytest_nfv.errors import CapabilityMissing, ConfigurationError
from pytest_nfv.hosts.facts import read_facts
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.survey import survey
from pytest_nfv.model.testbed import Testbed
from pytest_nfv.model.topology import P2P, VSwitch


def roles_of(placement: Placement) -> Roles:
    """Return which cores a placement gives to what."""
    device = placement.device_cores
    return Roles(device, tuple(core for core in placement.measured_cores if core not in device))


def of_testbed(testbed: Testbed) -> tuple[Finding, ...]:
    """Return what spoils measurements on a testbed of this machine, once a run has put right what it may.

    A testbed that nothing can be placed on has none: its tests say why.
    """
    if testbed.kind != "local":
        return ()
    try:
        roles = roles_of(place(P2P(VSwitch("any")), testbed, sorted(os.sched_getaffinity(0))))
    except (CapabilityMissing, ConfigurationError):
        return ()
    return beyond(of_this_machine(roles), testbed.may_change)


def of_this_machine(roles: Roles, interfaces: tuple[str, ...] = ()) -> tuple[Finding, ...]:
    """Return what spoils measurements on cores and interfaces of this machine."""
    return findings(read_facts(LocalHost()), survey(roles.cores, interfaces), roles)
