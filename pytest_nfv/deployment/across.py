"""A topology across the hosts of a rig: devices and generator each on its own, joined by their network cards."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Protocol

from pytest_nfv.deployment.device import Device, LocalDevice, Part
from pytest_nfv.deployment.far_device import FarDevice
from pytest_nfv.deployment.plan import Placement, Split
from pytest_nfv.deployment.rig_plan import station
from pytest_nfv.deployment.standing import Standing, made
from pytest_nfv.hosts.lab import Lab, VethEnd
from pytest_nfv.hosts.nic import nic_of
from pytest_nfv.hosts.protocol import MachineHost
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.machine import Rig
from pytest_nfv.model.offer import PortSpec

_WHOLE_FRAMES = {"tso": False, "gso": False}


class Labs(Protocol):
    """The hosts of a rig, for a run."""

    rig: Rig

    def host(self, name: str) -> MachineHost:
        """Return a host by its name."""
        ...

    def lab(self, name: str) -> Lab:
        """Return the lab on a host, made when first asked for."""
        ...

    def is_here(self, name: str) -> bool:
        """Whether a host is this machine."""
        ...


def across(placement: Placement, labs: Labs, undo: ExitStack) -> Standing:
    """Stand up every device, then the generator's ports; `undo` takes them down.

    Raises:
        CapabilityMissing: a host lacks something.
        DeploymentError: something did not come up.
    """
    devices = tuple(_device(placement, split, labs, undo) for split in placement.splits)
    rig = placement.testbed.rig
    assert rig is not None, "a placement across hosts is one of a rig"
    lab = labs.lab(rig.generator)
    namespace = lab.namespace("gen")
    undo.callback(lab.remove, namespace)
    mtu = placement.testbed.mtu
    ports = []
    for number, port in enumerate(placement.far):
        end = VethEnd(namespace, f"g{number}", station(number), _WHOLE_FRAMES)
        lab.adopt(namespace, nic_of(lab.host, port).interface, end, mtu)
        ports.append(PortSpec("af_packet", station(number), mtu, {"interface": end.interface}))
    generator = made(placement, namespace, namespace.python)
    return Standing(devices, tuple(ports), generator, lab.accounts, lab.host, namespace.notes)


def _device(placement: Placement, split: Split, labs: Labs, undo: ExitStack) -> Device:
    host = labs.host(split.host)
    part = Part(
        split.topology,
        placement.testbed.mtu,
        split.cores.switch,
        split.cores.vnfs,
        split.cores.shared,
        tuple(nic_of(host, port) for port in split.ports),
        split.stations,
        split.first_vnf,
        split.first_vnf,
        labs.rig.machines[split.host].may_change,
    )
    if not labs.is_here(split.host):
        far = FarDevice(host, new_run_id(), part)
        undo.callback(far.close)
        return far
    device = LocalDevice(labs.lab(split.host), part)
    undo.callback(device.close)
    device.start()
    return device
