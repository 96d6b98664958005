"""What a deployment is made of, wherever its parts are: devices, the generator and its ports, its accounts."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from pytest_nfv.deployment.device import Device, LocalDevice, Part
from pytest_nfv.deployment.plan import Placement
from pytest_nfv.deployment.sockets import attach
from pytest_nfv.generators.builtin import Builtin
from pytest_nfv.generators.pair import Pair
from pytest_nfv.hosts.accounting import Accounts
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.protocol import Host, MachineHost
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.topology import SocketPair
from pytest_nfv.model.trial import CoreUse, ThreadUse


class Accounting(Protocol):
    """The processor accounts of one trial, of some cores and threads."""

    def start(self) -> None:
        """Open them."""
        ...

    def stop(self) -> tuple[tuple[CoreUse, ...], tuple[ThreadUse, ...]]:
        """Close them; return what each core and each thread used."""
        ...


class Accountant(Protocol):
    """Makes accounts on the generator's host."""

    def __call__(self, *, cores: Sequence[int], threads: Mapping[int, str]) -> Accounting:
        """Return accounts of cores and threads of the generator, not yet open."""
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """Parts that stand.

    Attributes:
        devices: in the order in which a frame of generator port 0 meets them.
        ports: how the generator opens each of its ports.
        generator: what offers load; not open yet.
        accountant: counts the generator's time; host: where it runs.
        notes: of the generator's side.
    """

    devices: tuple[Device, ...]
    ports: tuple[PortSpec, ...]
    generator: Builtin | Pair
    accountant: Accountant
    host: MachineHost
    notes: tuple[str, ...] = ()


def here(placement: Placement, lab: Lab, undo: ExitStack) -> Standing:
    """Stand up a device and a generator that share this machine; `undo` takes it down.

    Raises:
        CapabilityMissing: the switch cannot run here.
        DeploymentError: something did not come up.
    """
    topology, cores = placement.topology, placement.cores
    part = Part(topology, placement.testbed.mtu, cores.switch, cores.vnfs, cores.shared)
    device = LocalDevice(lab, part)
    undo.callback(device.close)
    generator: Builtin | Pair
    if isinstance(topology, SocketPair):
        ports, generator = attach(device.switch, topology, placement)
        device.started()
    else:
        device.start()
        ports, generator = device.ports, made(placement, device.generator_host)
    return Standing((device,), ports, generator, _of_this_machine, LocalHost())


def _of_this_machine(*, cores: Sequence[int], threads: Mapping[int, str]) -> Accounting:
    return Accounts(device_cores=(), generator_cores=cores, device_threads={}, generator_threads=threads)


def made(placement: Placement, host: Host, python: str = sys.executable) -> Builtin | Pair:
    """Return the generator on `host`: one process, or two halves where two cores are its own."""
    sender = Builtin(host, placement.generator_core, python)
    if placement.receiver_core is None:
        return sender
    ways = placement.topology.directions
    return Pair(
        sender,
        Builtin(host, placement.receiver_core, python),
        sends_on=[way.tx for way in ways],
        receives_on=[way.rx for way in ways],
    )
