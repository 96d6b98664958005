"""A topology, standing: the switch up, the generator's ports open, every address learned."""

from __future__ import annotations

import time
from contextlib import ExitStack

from pytest_nfv.deployment.calibration import Floors
from pytest_nfv.deployment.engines import VnfCounters
from pytest_nfv.deployment.plan import Placement
from pytest_nfv.deployment.sockets import attach
from pytest_nfv.deployment.vnfs import Vnfs
from pytest_nfv.deployment.wiring import Chains
from pytest_nfv.errors import DeploymentError
from pytest_nfv.generators.builtin import Builtin
from pytest_nfv.generators.pair import Pair
from pytest_nfv.hosts.accounting import Accounts, softirq_threads
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.polling import take_turns
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.topology import SocketPair, Topology
from pytest_nfv.model.trial import Direction
from pytest_nfv.units import Frequency
from pytest_nfv.vswitches.protocol import PollCycles, PortCounters, VSwitchDriver, Wiring
from pytest_nfv.vswitches.table import driver

LEARNING_DEADLINE_S = 5.0
REST_S = 0.5


class Deployment:
    """One placement, deployed on a lab. What it put up, `close` takes down in reverse.

    Attributes:
        placement: what was asked for.
        version: the switch's own version.
        ports: the generator's ports, in order.
        chains: what its VNFs are joined to.
        notes: what the switch says must be read beside every figure.
        floors: what the generator adds to a latency by itself.
        proven: whether frames came through its VNFs; True where it has none.
        frequency: at which the device's cores are to be clocked; None leaves that open.
        broken: set by whoever sees it break; it is not used again.
    """

    frequency: Frequency | None = None

    def __init__(self, placement: Placement, lab: Lab) -> None:
        """Deploy.

        Raises:
            CapabilityMissing: the switch cannot run here.
            DeploymentError: something did not come up; everything is taken down again.
        """
        self.placement = placement
        self._undo = ExitStack()
        self.broken = False
        try:
            topology = placement.topology
            kind = driver(topology.vswitch.name)
            self.version = kind.probe(lab.host)
            self.switch: VSwitchDriver = kind(lab, dict(topology.vswitch.settings))
            self.chains = Chains(topology)
            self.proven = not self.chains.instances
            self._vnfs: Vnfs | None = None
            if self.chains.instances:  # before the switch, which is wired to them; taken down after it
                self._vnfs = Vnfs(lab, self.chains, self.switch.joins, str(topology.vswitch))
                self._undo.callback(self._vnfs.close)
            self._undo.callback(self.switch.stop)
            self._start(topology)
            self.notes = (*self.switch.notes, *(self._vnfs.notes if self._vnfs else ()))
            self.floors = Floors(self.generator.floor)
            self._undo.callback(self.generator.close)
            self.generator.open(self.ports)
            self._learn()
        except BaseException:  # Ctrl-C too: what was started so far must not stay
            self.close()
            raise

    def _start(self, topology: Topology) -> None:
        """Start the switch, and make the generator for its ports."""
        placement = self.placement
        self.generator: Builtin | Pair
        if isinstance(topology, SocketPair):
            self.ports, self.generator = attach(self.switch, topology, placement)
            return
        wiring = Wiring(self._vnfs.vnics(), self.chains.segments()) if self._vnfs else Wiring()
        mtu, cores = placement.testbed.mtu, placement.cores
        every = self.switch.start(topology.generator_ports, mtu, cores.switch, wiring)
        self.ports = every[: topology.generator_ports]
        self.generator = self._made(placement, self.switch.generator_host)
        if self._vnfs:
            self._vnfs.start(
                every[topology.generator_ports :],
                self.addresses,
                dict(enumerate(cores.vnfs)),
                cores.shared,
                self.switch.device_host,
            )
            if cores.shared:
                take_turns(self.threads())

    @property
    def addresses(self) -> tuple[str, ...]:
        """MAC address of each generator port."""
        return tuple(port.address for port in self.ports)

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

    def counters_at_rest(self) -> tuple[tuple[PortCounters, ...], dict[str, VnfCounters]]:
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

    def check(self) -> None:
        """Raise where something of the device is gone.

        Raises:
            DeploymentError: with its last words; of switch and VNFs, as each misses what it was connected to.
        """
        said = []
        for part in (self._vnfs, self.switch):
            try:
                if part is not None:
                    part.check()
            except DeploymentError as error:
                said.append(error)
        if said:
            raise DeploymentError("\n".join(map(str, said))) from said[0]

    def arriving(self, way: Direction, frame: bytes) -> bytes:
        """Return how a frame of a direction arrives, through switch and VNFs; one that a VNF drops as it went in.

        Raises:
            ConfigurationError: the switch cannot tell what becomes of such a frame.
        """
        forwarded = self.switch.forwarded(frame)
        arrived = self.chains.arriving(way, forwarded, self.addresses)
        return forwarded if arrived is None else arrived

    @staticmethod
    def _made(placement: Placement, host: Host) -> Builtin | Pair:
        sender = Builtin(host, placement.generator_core)
        if placement.receiver_core is None:
            return sender
        ways = placement.topology.directions
        return Pair(
            sender,
            Builtin(host, placement.receiver_core),
            sends_on=[way.tx for way in ways],
            receives_on=[way.rx for way in ways],
        )

    @property
    def applications(self) -> bool:
        """Whether the generator's two halves are applications, and part of what is measured."""
        return isinstance(self.placement.topology, SocketPair)

    def accounts(self) -> Accounts:
        """Return the processor accounts of one trial. Applications are part of the device."""
        placement, generator = self.placement, self.generator
        device = placement.device_cores
        if isinstance(generator, Pair):
            sender, receiver = generator.pids()
            threads = {sender: "sender", receiver: "receiver"}
        else:
            threads = {generator.pid(): "generator"}
        if self.applications:
            cores = (placement.generator_core, *device[:1])
            return Accounts(
                device_cores=cores, generator_cores=(), device_threads=threads | softirq_threads(cores)
            )
        receiver_cores = () if placement.receiver_core is None else (placement.receiver_core,)
        return Accounts(
            device_cores=device,
            generator_cores=tuple(dict.fromkeys((placement.generator_core, *receiver_cores))),
            device_threads=self.threads() | softirq_threads(device),
            generator_threads=threads,
        )

    def _learn(self) -> None:
        deadline = time.monotonic() + LEARNING_DEADLINE_S
        while True:
            self.generator.learn()
            missing = [(i, spec) for i, spec in enumerate(self.ports) if not self._learned(i, spec)]
            if not missing:
                return
            if time.monotonic() > deadline:
                port, spec = missing[0]
                raise DeploymentError(
                    f"{self.placement.topology}: {LEARNING_DEADLINE_S:g} s of learning frames, and the switch "
                    f"does not know that {spec.address} is at port {port}"
                )
            self.check()

    def _learned(self, port: int, spec: PortSpec) -> bool:
        return self.switch.learned(spec.address, port)

    def close(self) -> None:
        """Take everything down; safe to call twice."""
        self._undo.close()
