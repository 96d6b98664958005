"""A topology, standing: every device up, the generator's ports open, every address learned."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack

from pytest_nfv.deployment.across import Labs, across
from pytest_nfv.deployment.calibration import Floors
from pytest_nfv.deployment.device import Device, LocalDevice, Spent
from pytest_nfv.deployment.hops import Crossing
from pytest_nfv.deployment.plan import Placement
from pytest_nfv.deployment.standing import here
from pytest_nfv.deployment.wiring import Chains
from pytest_nfv.errors import DeploymentError, noted
from pytest_nfv.generators.pair import Pair
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.model.topology import SocketPair
from pytest_nfv.model.trial import CoreUse, Direction, ThreadUse
from pytest_nfv.units import Frequency

LEARNING_DEADLINE_S = 5.0


class Deployment:
    """One placement, deployed. What it put up, `close` takes down in reverse.

    Attributes:
        placement: what was asked for.
        devices: in the order in which a frame of generator port 0 meets them.
        ports: the generator's ports, in order; generator: what offers load at them, on `generator_host`.
        chains: the topology's VNFs, of all devices, and what they are joined to.
        version: the switch's own version.
        notes: what must be read beside every figure.
        floors: what the generator adds to a latency by itself.
        proven: whether frames came through its VNFs; True where it has none.
        frequency: at which the device's cores are to be clocked; None leaves that open.
        broken: set by whoever sees it break; it is not used again.
    """

    frequency: Frequency | None = None

    def __init__(self, placement: Placement, where: Lab | Labs) -> None:
        """Deploy on this machine's lab, or across those of a rig's hosts.

        Raises:
            CapabilityMissing: the switch cannot run there.
            DeploymentError: something did not come up; everything is taken down again.
        """
        self.placement = placement
        self.broken = False
        self._undo = ExitStack()
        try:
            stands = (
                here(placement, where, self._undo)
                if isinstance(where, Lab)
                else across(placement, where, self._undo)
            )
            self.devices, self.ports, self.generator = stands.devices, stands.ports, stands.generator
            self._accountant, self.generator_host = stands.accountant, stands.host
            self.chains = Chains(placement.topology)
            self.proven = not self.chains.instances
            self.version = ", ".join(dict.fromkeys(device.version for device in self.devices))
            self.notes = (*stands.notes, *(note for device in self.devices for note in device.notes))
            self.floors = Floors(self.generator.floor)
            self._undo.callback(self.generator.close)
            self.generator.open(self.ports)
            self._learn()
        except BaseException as error:  # Ctrl-C too: what was started so far must not stay
            with noted(error):
                self.close()
            raise

    @property
    def device(self) -> LocalDevice:
        """The device, where it is on this machine."""
        (device,) = self.devices
        assert isinstance(device, LocalDevice), "asked of a device on another host"
        return device

    @property
    def addresses(self) -> tuple[str, ...]:
        """MAC address of each generator port."""
        return tuple(port.address for port in self.ports)

    @property
    def applications(self) -> bool:
        """Whether the generator's two halves are applications, and part of what is measured."""
        return isinstance(self.placement.topology, SocketPair)

    def check(self) -> None:
        """Raise where something of a device is gone.

        Raises:
            DeploymentError: with its last words.
        """
        for device in self.devices:
            device.check()

    def glance(self) -> None:
        """Raise where something of a device is already known to be gone.

        Raises:
            DeploymentError: with the reason.
        """
        for device in self.devices:
            device.glance()

    def arriving(self, way: Direction, frame: bytes) -> bytes:
        """Return how a frame of a direction arrives, through switch and VNFs; one that a VNF drops as it went in.

        Raises:
            ConfigurationError: the switch cannot tell what becomes of such a frame.
        """
        forwarded = frame
        for device in self.devices if way.tx % 2 == 0 else reversed(self.devices):
            forwarded = device.forwarded(forwarded)
        arrived = self.chains.arriving(way, forwarded, self.addresses)
        return forwarded if arrived is None else arrived

    def begin(self) -> None:
        """Open the accounts of a trial.

        Raises:
            DeploymentError: something of a device is gone.
        """
        placement, pids = self.placement, self._generator_threads()
        if self.applications:
            self.device.begin(pids)
            return
        cores = [core for core in (placement.generator_core, placement.receiver_core) if core is not None]
        self._generator_accounts = self._accountant(cores=cores, threads=pids)
        for device in self.devices:
            device.begin()
        self._generator_accounts.start()

    def end(self) -> tuple[tuple[Spent, ...], tuple[CoreUse, ...], tuple[ThreadUse, ...]]:
        """Close them; return what the trial cost each device, and of all together each core's and thread's time.

        Raises:
            DeploymentError: something of a device is gone.
        """
        mine: tuple[tuple[CoreUse, ...], tuple[ThreadUse, ...]] = ((), ())
        if not self.applications:
            mine = self._generator_accounts.stop()
        spent = tuple(device.end() for device in self.devices)
        cores = tuple(core for one in spent for core in one.cores)
        threads = [thread for one in spent for thread in one.threads]
        others = [thread for thread in threads if thread.role != "device"]
        own = [thread for thread in threads if thread.role == "device"]
        return spent, (*cores, *mine[0]), (*own, *mine[1], *others)

    def crossed(self, spent: Sequence[Spent]) -> list[Crossing]:
        """Return what frames crossed in a trial, host by host."""
        names = self.placement.hosts if len(self.devices) > 1 else ("",)
        return [
            Crossing(device.part.chains, one.before, one.after, name)
            for device, one, name in zip(self.devices, spent, names, strict=True)
        ]

    def _generator_threads(self) -> dict[int, str]:
        if isinstance(self.generator, Pair):
            sender, receiver = self.generator.pids()
            return {sender: "sender", receiver: "receiver"}
        return {self.generator.pid(): "generator"}

    def _learn(self) -> None:
        deadline = time.monotonic() + LEARNING_DEADLINE_S
        while True:
            self.generator.learn()
            missing = self._unknown()
            if not missing:
                return
            if time.monotonic() > deadline:
                raise DeploymentError(
                    f"{self.placement.topology}: {LEARNING_DEADLINE_S:g} s of learning frames, and {missing[0]}"
                )
            self.check()

    def _unknown(self) -> list[str]:
        """Return, in words, what switches do not know yet."""
        told = []
        for device, stations in self._stations():
            for (address, port), known in zip(stations, device.learned(stations), strict=True):
                told += [] if known else [f"the switch does not know that {address} is at port {port}"]
        return told

    def _stations(self) -> Sequence[tuple[Device, Sequence[tuple[str, int]]]]:
        """Return which generator port's address each device is to know, at which of its ports.

        Learning frames are for the other end of their lane, so that a router lets none of them through: behind
        VNFs, a device that is not next to the generator's port never sees its address.
        """
        ends = [(port.address, number) for number, port in enumerate(self.ports)]
        if len(self.devices) == 1:
            return [(self.devices[0], ends)]
        return [(self.devices[0], ends[:1]), (self.devices[-1], ends[1:])]

    def close(self) -> None:
        """Take everything down; safe to call twice."""
        self._undo.close()
