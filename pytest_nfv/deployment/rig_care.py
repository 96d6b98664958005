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
        nics = [nic_of(lab.host, port) for port in ports[name]]
        found[name] = Place(
            lab,
            lab.survey,
            partial(labs.facts, name, anew=True),
            roles,
            tuple(dict.fromkeys(nic.interface for nic in nics if nic.interface)),
            rig.machines[name].may_change,
            slots=tuple(dict.fromkeys(nic.pci for nic in nics if nic.pci and not nic.interface)),
        )
    return found


def cores_here(labs: RigLabs, placement: Placement) -> list[tuple[int, ...]]:
    """Return the cores in use on this machine: of each device that is here, then the generator's where it is."""
    used = [split.cores.every for split in placement.splits if labs.is_here(split.host)]
    return [*used, placement.generator_cores] if labs.is_here(labs.rig.generator) else used


def clocks(labs: RigLabs, placement: Placement) -> list[tuple[Tuner, tuple[int, ...]]]:
    """Return the agent and the cores of each device."""
    return [(labs.lab(split.host), split.cores.every) for split in placement.splits]
