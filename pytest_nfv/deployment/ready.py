"""The readiness of this machine as a testbed has it, before anything is deployed."""

from __future__ import annotations

from dataclasses import replace

from pytest_nfv.deployment.plan import Placement, place
from pytest_nfv.deployment.readiness import Finding, Roles, beyond, findings
from pytest_nfv.errors import CapabilityMissing, ConfigurationError
from pytest_nfv.hosts.cores import core_list, usable_cores
from pytest_nfv.hosts.facts import read_facts
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.survey import survey
from pytest_nfv.model.testbed import Testbed, built_in
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
        roles = _roles_on(testbed)
    except (CapabilityMissing, ConfigurationError):
        return ()
    return beyond(of_this_machine(roles), testbed.may_change)


def roles_named(device: str, generator: str) -> Roles:
    """Return the roles of cores named as `2-3,8`; of those not named, as a run on `local` gives them.

    Raises:
        ConfigurationError: it is no such list, or a core is not ours to use.
        CapabilityMissing: there are too few cores.
    """
    local = built_in()["local"]
    return _roles_on(replace(local, device_cores=_listed(device), generator_cores=_listed(generator)))


def _roles_on(testbed: Testbed) -> Roles:
    allowed = usable_cores()
    placed = roles_of(place(P2P(VSwitch("linux-bridge")), testbed, allowed))
    return Roles(testbed.device_cores or placed.device, testbed.generator_cores or placed.generator)


def _listed(text: str) -> tuple[int, ...]:
    try:
        return core_list(text) if text else ()
    except ValueError as error:
        raise ConfigurationError(f"cores {text!r}: accepted: a list such as 2-3,8") from error


def of_this_machine(roles: Roles, interfaces: tuple[str, ...] = ()) -> tuple[Finding, ...]:
    """Return what spoils measurements on cores and interfaces of this machine."""
    return findings(read_facts(LocalHost()), survey(roles.cores, interfaces), roles)
