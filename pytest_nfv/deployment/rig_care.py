"""Each host's share of a placement across a rig, for its care: cores, ports, and what may be changed there."""

from __future__ import annotations

from functools import partial

from pytest_nfv.deployment.care import Place
from pytest_nfv.deployment.clocking import Tuner
from pytest_nfv.deployment.labs import RigLabs
from pytest_nfv.deployment.plan import Placement
from pytest_nfv.deployment.readiness import Roles
from pytest_nfv.hosts.nic import nic_of
from pytest_nfv.model.machine import NicPort


def places(labs: RigLabs, placement: Placement) -> dict[str, Place]:
    """Return the share of every host that the placement uses.

    Raises:
        DeploymentError: one cannot be reached, or has no such port.
    """
    rig = labs.rig
    device = {split.host: split.cores.every for split in placement.splits}
    ports: dict[str, list[NicPort]] = {split.host: list(split.ports) for split in placement.splits}
    ports.setdefault(rig.generator, []).extend(placement.far)
    found = {}
    for name in ports:
        lab = labs.lab(name)
        roles = Roles(device.get(name, ()), placement.generator_cores if name == rig.generator else ())
        interfaces = tuple(dict.fromkeys(nic_of(lab.host, port).interface for port in ports[name]))
        may_change = rig.machines[name].may_change
        found[name] = Place(lab, lab.survey, partial(labs.facts, name), roles, interfaces, may_change)
    return found


def clocks(labs: RigLabs, placement: Placement) -> list[tuple[Tuner, tuple[int, ...]]]:
    """Return the agent and the cores of each device."""
    return [(labs.lab(split.host), split.cores.every) for split in placement.splits]
