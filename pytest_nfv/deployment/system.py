"""What traffic can be offered to: a deployed topology, the simulated device, or a plan of either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from pytest_nfv import __version__
from pytest_nfv.deployment.calibration import Floor
from pytest_nfv.deployment.choice import with_engines
from pytest_nfv.deployment.deploy import Deployment
from pytest_nfv.deployment.limits import Key, Limits
from pytest_nfv.deployment.observer import Observer
from pytest_nfv.deployment.plan import Placement
from pytest_nfv.deployment.proof import prove
from pytest_nfv.deployment.reach import Measured, Reach, Unlimited
from pytest_nfv.deployment.runner import Load, TrialRunner
from pytest_nfv.hosts.facts import read_facts
from pytest_nfv.hosts.protocol import MachineHost
from pytest_nfv.model.measurer import Measurer
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.testbed import Testbed
from pytest_nfv.model.topology import Topology
from pytest_nfv.model.trial import TrialResult
from pytest_nfv.search.sim import SimulatedDevice


class System(Protocol):
    """A system under test with generator ports on it."""

    @property
    def topology(self) -> Topology:
        """What is deployed."""
        ...

    @property
    def testbed(self) -> Testbed:
        """Where."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What every figure from here says beside itself."""
        ...

    @property
    def version(self) -> str:
        """Version of the switch, for the record."""
        ...

    @property
    def where(self) -> tuple[str, ...]:
        """Which core switch, VNFs and generator have, for the record."""
        ...

    def addresses(self) -> tuple[str, ...]:
        """Return the MAC address of every generator port, in order."""
        ...

    def measurer(self, load: Load, observer: Observer) -> Measurer:
        """Return what runs trials of this load."""
        ...

    def floor(self, load: Load, rate_pps: float, observer: Observer) -> Floor | None:
        """Return what the generator adds to a latency at this load; None where that cannot be told."""
        ...

    def reach(self, load: Load, observer: Observer) -> Reach:
        """Return what is known about how much of such a load the generator can offer."""
        ...


def identity(placement: Placement, host: MachineHost, ports: Sequence[PortSpec], load: Load) -> Key:
    """Return what the most that a generator offers depends on, in texts; frames by their length alone."""
    facts = read_facts(host)
    lengths = tuple((way, f"{len(template) // 2} octets") for way, template in load.templates)
    others = tuple(tuple(f"{len(template) // 2} octets" for template in more) for more in load.others)
    return {
        "testbed": placement.testbed.name,
        "cpu": str(facts.cpu_model),
        "kernel": str(facts.kernel),
        "generator": f"builtin {__version__}",
        "core": " on ".join(filter(None, (str(placement.generator_core), placement.generator_host))),
        "port": ",".join(dict.fromkeys(port.kind for port in ports)),
        "topology": f"{placement.topology} {placement.topology.vswitch!r}",
        "load": str(replace(load, templates=lengths, others=others, maximum=False)),
    }


def of_queues(ports: Sequence[PortSpec]) -> tuple[str, ...]:
    """Return the note that several queues to a port ask for: what they do to the order of frames."""
    queues = max((int(port.parameters.get("queues", "1")) for port in ports), default=1)
    if queues == 1:
        return ()
    return (
        f"{queues} queues a port: frames of different 5-tuples may overtake each other, and are told as reordered",
    )


class DeployedSystem:
    """Real frames through a real switch."""

    def __init__(self, deployment: Deployment, limits: Limits | None = None) -> None:
        prove(deployment)
        self._deployment = deployment
        self._limits = limits or Limits(None)
        self.topology = deployment.placement.topology
        self.testbed = deployment.placement.testbed
        self.version = deployment.version
        self.where = tuple(map(str.strip, deployment.placement.lines()[1:]))
        clocked = () if deployment.frequency is None else (f"device cores held at {deployment.frequency}",)
        self.notes = (*deployment.placement.notes, *deployment.notes, *clocked, *of_queues(deployment.ports))

    def addresses(self) -> tuple[str, ...]:
        """Return the MAC address of every generator port, in order."""
        return tuple(port.address for port in self._deployment.ports)

    def measurer(self, load: Load, observer: Observer) -> Measurer:
        """Return a runner of trials on the deployment."""
        return TrialRunner(self._deployment, load, observer)

    def floor(self, load: Load, rate_pps: float, observer: Observer) -> Floor | None:
        """Return what the generator adds to a latency at this load, measured once a deployment."""
        return TrialRunner(self._deployment, load, observer).floor(rate_pps)

    def reach(self, load: Load, observer: Observer) -> Reach:
        """Return what is known about how much of such a load the generator can offer."""
        if self._deployment.applications:
            return Unlimited()
        runner = TrialRunner(self._deployment, replace(load, maximum=True), observer)
        standing = self._deployment
        key = identity(standing.placement, standing.generator_host, standing.ports, load)
        if self._deployment.frequency is not None:  # a slow device takes frames slowly, or shares its clock
            key = {**key, "clock": str(self._deployment.frequency)}
        return Measured(self._limits, key, runner.measure)


class SimulatedSystem:
    """The simulated device and generator, in simulated time; every result is marked."""

    version = "simulated"
    where: tuple[str, ...] = ()
    notes = ("simulated",)

    def __init__(self, testbed: Testbed, topology: Topology) -> None:
        """Take a topology whose switch exists, and has such VNFs.

        Raises:
            ConfigurationError: it does not.
        """
        self.testbed = testbed
        self.topology = with_engines(topology)

    def addresses(self) -> tuple[str, ...]:
        """Return the addresses that frames carry in the simulation."""
        return tuple(f"02:00:00:00:00:{port:02x}" for port in range(self.topology.generator_ports))

    def measurer(self, load: Load, observer: Observer) -> Measurer:
        """Return the simulated device at this frame size."""
        assert self.testbed.simulation is not None  # the testbed's own check
        device = SimulatedDevice(self.testbed.simulation, load.frame_size, load.ways, maximum=load.maximum)
        return _Observed(device, load, observer)

    def floor(self, load: Load, rate_pps: float, observer: Observer) -> Floor | None:
        """None: a simulated generator adds nothing."""
        return None

    def reach(self, load: Load, observer: Observer) -> Reach:
        """Nothing: what a simulated generator offers is declared."""
        return Unlimited()


class _Observed:
    """A measurer whose trials are shown like real ones."""

    def __init__(self, inner: Measurer, load: Load, observer: Observer) -> None:
        self._inner, self._load, self._observer = inner, load, observer

    def measure(self, rate_pps: float, duration_s: float) -> TrialResult:
        self._observer.trial_started(self._load.spec(rate_pps, duration_s))
        result = self._inner.measure(rate_pps, duration_s)
        self._observer.trial_done(result)
        return result
