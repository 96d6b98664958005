"""The device under test on one host: its switch, its VNFs, and what each trial cost it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Protocol

from pytest_nfv.deployment.engines import VnfCounters
from pytest_nfv.deployment.hops import Counters
from pytest_nfv.deployment.vnfs import Vnfs
from pytest_nfv.deployment.wiring import Chains
from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts.accounting import Accounts, softirq_threads
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.nic import Nic
from pytest_nfv.hosts.polling import take_turns
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.topology import Topology
from pytest_nfv.model.trial import CoreUse, GuestUse, ThreadUse
from pytest_nfv.vnfs.vm_reading import CpuTimes
from pytest_nfv.vswitches.protocol import PollCycles, PortCounters, VSwitchDriver, Wiring
from pytest_nfv.vswitches.table import driver

REST_S = 0.5


@dataclass(frozen=True, slots=True)
class Part:
    """What of a topology stands on one host.

    Attributes:
        topology: as this host has it: of a chain across hosts, its own VNFs.
        mtu: largest layer-3 packet.
        switch_cores, vnf_cores: where they run; shared: some core has more than one of them.
        uplinks: network cards' ports that stand for the generator's, in order; empty where the generator is on the
            same host, at ports of the switch's own.
        stations: MAC address of what is behind each uplink: the generator's port, or the next host's router.
        first_instance, first_vnf: numbers of its first ones in the whole.
        may_change: settings of the host that a run may change; None: it is of no testbed file.
    """

    topology: Topology
    mtu: int
    switch_cores: tuple[int, ...]
    vnf_cores: tuple[tuple[int, ...], ...] = ()
    shared: bool = False
    uplinks: tuple[Nic, ...] = ()
    stations: tuple[str, ...] = ()
    first_instance: int = 0
    first_vnf: int = 0
    may_change: frozenset[str] | None = None

    @property
    def cores(self) -> tuple[int, ...]:
        """All, the switch's first."""
        every = [core for cores in (self.switch_cores, *self.vnf_cores) for core in cores]
        return tuple(dict.fromkeys(every))

    @property
    def chains(self) -> Chains:
        """Its VNFs, and what they are joined to."""
        return Chains(self.topology, self.first_instance, self.first_vnf)


@dataclass(frozen=True, slots=True)
class Spent:
    """What one trial cost a device.

    Attributes:
        before, after: the counters of its switch and VNFs.
        cores, threads: their processor time meanwhile.
        guests: what its virtual machines did meanwhile, by their own account.
    """

    before: Counters
    after: Counters
    cores: tuple[CoreUse, ...]
    threads: tuple[ThreadUse, ...]
    guests: tuple[GuestUse, ...] = ()


class Device(Protocol):
    """One host's part of what is measured.

    Attributes:
        part: what stands there.
        version: the switch's own version.
        notes: what must be read beside every figure.
        ports: how the generator opens the switch's ports; of uplinks, their MTU only.
    """

    part: Part
    version: str
    notes: tuple[str, ...]
    ports: tuple[PortSpec, ...]

    def learned(self, stations: Sequence[tuple[str, int]]) -> list[bool]:
        """Whether the switch knows each MAC address to be at its port, and nowhere else."""
        ...

    def forwarded(self, frame: bytes) -> bytes:
        """Return what the switch makes of a frame.

        Raises:
            ConfigurationError: it cannot tell.
        """
        ...

    def begin(self) -> None:
        """Open the accounts of a trial.

        Raises:
            DeploymentError: something of it is gone.
        """
        ...

    def end(self) -> Spent:
        """Close them.

        Raises:
            DeploymentError: something of it is gone.
        """
        ...

    def glance(self) -> None:
        """Raise where it is already known to be gone; asks nothing, so that it may be called during a trial.

        Raises:
            DeploymentError: with the reason.
        """
        ...

    def check(self) -> None:
        """Raise where something of it is gone.

        Raises:
            DeploymentError: with its last words; of switch and VNFs, as each misses what it was connected to.
        """
        ...

    def close(self) -> None:
        """Take everything down; safe to call twice."""
        ...


class LocalDevice:
    """Implements `Device` on this machine."""

    def __init__(self, lab: Lab, part: Part) -> None:
        """Make switch and VNFs; nothing is started yet.

        Raises:
            CapabilityMissing: the switch, or a VNF's host, cannot be here.
            ConfigurationError: settings, or an engine that cannot be at this switch.
        """
        self.part = part
        lab.may_change = part.may_change
        self.notes: tuple[str, ...] = ()
        self.ports: tuple[PortSpec, ...] = ()
        self._undo = ExitStack()
        self._vnfs: Vnfs | None = None
        topology = part.topology
        kind = driver(topology.vswitch.name)
        self.version = kind.probe(lab.host)
        settings = dict(topology.vswitch.settings)
        self.switch: VSwitchDriver = kind(lab, settings)
        self._refused: tuple[str, ...] = ()  # threads that do not take their turns
        chains = part.chains
        if chains.instances:  # before the switch, which is wired to them; taken down after it
            self._vnfs = Vnfs(lab, chains, kind.joins(settings), str(topology.vswitch))
            self._undo.callback(self._vnfs.close)
        self._undo.callback(self.switch.stop)
        self._segments = chains.segments()

    def start(self) -> None:
        """Start the switch, and the VNFs behind it.

        Raises:
            CapabilityMissing: something that they need is not here.
            DeploymentError: one did not come up.
        """
        part, ports = self.part, self.part.topology.generator_ports
        vnics = self._vnfs.vnics() if self._vnfs else ()
        wiring = Wiring(vnics, self._segments if self._vnfs else (), part.uplinks)
        every = self.switch.start(ports, part.mtu, part.switch_cores, wiring)
        self.ports = every[:ports]
        if self._vnfs:
            self._vnfs.start(
                every[ports:],
                part.stations or tuple(port.address for port in self.ports),
                dict(enumerate(part.vnf_cores)),
                part.shared,
                self.switch.device_host,
            )
            if part.shared:
                self._refused = take_turns(self.threads())
        self.started()

    def started(self) -> None:
        """Take the notes of what was started."""
        self.notes = (*self.switch.notes, *(self._vnfs.notes if self._vnfs else ()), *self._refused)

    @property
    def generator_host(self) -> Host:
        """Where the generator's ends of the ports are."""
        return self.switch.generator_host

    def counters(self) -> tuple[tuple[PortCounters, ...], dict[str, VnfCounters]]:
        """Read the counters of the switch's ports, and of the VNFs by their names.

        Raises:
            DeploymentError: something is gone; see `check`.
        """
        try:
            return self.switch.counters(), self._vnfs.counters() if self._vnfs else {}
        except DeploymentError:
            self.check()  # a switch that misses a VNF says less than the VNF's own last words
            raise

    def _counters_at_rest(self) -> Counters:
        """Read the counters once learning frames are through all VNFs, or after `REST_S` as they are."""
        now = self.counters()
        until = time.monotonic() + (REST_S if self._vnfs else 0.0)
        while time.monotonic() < until:
            before, now = now, self.counters()
            if before == now:
                break
        return now

    def threads(self) -> dict[int, str]:
        """Return every thread that forwards, id to name."""
        return self.switch.threads() | (self._vnfs.threads() if self._vnfs else {})

    def poll_cycles(self) -> dict[int, PollCycles]:
        """Return the cycles of those that poll and tell."""
        return self.switch.poll_cycles() | (self._vnfs.poll_cycles() if self._vnfs else {})

    def _guests(self) -> dict[str, CpuTimes]:
        """Return what the processors of each virtual machine did so far, by its own account."""
        return self._vnfs.guests() if self._vnfs else {}

    def glance(self) -> None:
        """Nothing: what is gone here shows in the counters after the trial."""

    def check(self) -> None:
        """Raise where something of it is gone."""
        said = []
        for part in (self._vnfs, self.switch):
            try:
                if part is not None:
                    part.check()
            except DeploymentError as error:
                said.append(error)
        if said:
            raise DeploymentError("\n".join(map(str, said))) from said[0]

    def learned(self, stations: Sequence[tuple[str, int]]) -> list[bool]:
        """Whether the switch knows each MAC address to be at its port."""
        return [self.switch.learned(address, port) for address, port in stations]

    def forwarded(self, frame: bytes) -> bytes:
        """Return what the switch makes of a frame."""
        return self.switch.forwarded(frame)

    def begin(self, applications: Mapping[int, str] | None = None) -> None:
        """Open the accounts of a trial; of a device that consists of applications, they are its threads."""
        cores = self.part.cores
        self._accounts = Accounts(
            device_cores=cores,
            generator_cores=(),
            device_threads={
                **(self.threads() if applications is None else applications),
                **softirq_threads(cores),
            },
        )
        self._before, self._cycles = self._counters_at_rest(), self.poll_cycles()
        self._guests_before = self._guests()  # the last before the trial: to ask costs a guest time of its own
        self._accounts.start()

    def end(self) -> Spent:
        """Close them."""
        cores, threads = self._accounts.stop()
        self.check()
        guests = tuple(now.since(self._guests_before[name], name) for name, now in self._guests().items())
        worked = _worked(threads, self.threads(), self._cycles, self.poll_cycles())
        return Spent(self._before, self._counters_at_rest(), cores, worked, guests)

    def close(self) -> None:
        """Take everything down; safe to call twice."""
        self._undo.close()


def _worked(
    threads: Sequence[ThreadUse],
    names: Mapping[int, str],
    before: Mapping[int, PollCycles],
    after: Mapping[int, PollCycles],
) -> tuple[ThreadUse, ...]:
    """Say of the device's polling threads which part of their time they had frames, and of how many cycles."""
    spent = {}
    for tid, now in after.items():
        then = before.get(tid)
        if then is not None and now.total > then.total:
            held_ns = None if now.held_ns is None else now.held_ns - (then.held_ns or 0)
            spent[names[tid]] = PollCycles(now.busy - then.busy, now.total - then.total, now.counted, held_ns)
    return tuple(
        _with_frames(one, spent[one.name]) if one.role == "device" and one.name in spent else one
        for one in threads
    )


def _with_frames(thread: ThreadUse, spent: PollCycles) -> ThreadUse:
    return replace(
        thread,
        worked_s=thread.cpu_s * spent.busy / spent.total,
        worked_cycles=spent.busy if spent.counted else None,
        held_s=None if spent.held_ns is None else spent.held_ns / 1e9,
    )
