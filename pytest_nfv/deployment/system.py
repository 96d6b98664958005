"""What traffic can be offered to: a deployed topology, the simulated device, or a plan of either."""

from __future__ import annotations

from typing import Protocol

from pytest_nfv.deployment.deploy import Deployment
from pytest_nfv.deployment.observer import Observer
from pytest_nfv.deployment.runner import Load, TrialRunner
from pytest_nfv.model.measurer import Measurer
from pytest_nfv.model.testbed import Testbed
from pytest_nfv.model.topology import Topology
from pytest_nfv.model.trial import TrialResult
from pytest_nfv.search.sim import SimulatedDevice
from pytest_nfv.vswitches.table import driver


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

    def addresses(self) -> tuple[str, ...]:
        """Return the MAC address of every generator port, in order."""
        ...

    def measurer(self, load: Load, observer: Observer) -> Measurer:
        """Return what runs trials of this load."""
        ...


class DeployedSystem:
    """Real frames through a real switch."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.topology = deployment.placement.topology
        self.testbed = deployment.placement.testbed
        self.version = deployment.version
        self.notes = (*deployment.placement.notes, *deployment.notes)

    def addresses(self) -> tuple[str, ...]:
        """Return the MAC address of every generator port, in order."""
        return tuple(port.address for port in self._deployment.ports)

    def measurer(self, load: Load, observer: Observer) -> Measurer:
        """Return a runner of trials on the deployment."""
        return TrialRunner(self._deployment, load, observer)


class SimulatedSystem:
    """The simulated device and generator, in simulated time; every result is marked."""

    version = "simulated"
    notes = ("simulated",)

    def __init__(self, testbed: Testbed, topology: Topology) -> None:
        """Take a topology whose switch exists.

        Raises:
            ConfigurationError: it does not.
        """
        driver(topology.vswitch.name)
        self.testbed = testbed
        self.topology = topology

    def addresses(self) -> tuple[str, ...]:
        """Return the addresses that frames carry in the simulation."""
        return tuple(f"02:00:00:00:00:{port:02x}" for port in range(self.topology.generator_ports))

    def measurer(self, load: Load, observer: Observer) -> Measurer:
        """Return the simulated device at this frame size."""
        assert self.testbed.simulation is not None  # the testbed's own check
        ways = tuple(way for way, _ in load.templates)
        device = SimulatedDevice(self.testbed.simulation, load.frame_size, ways, maximum=load.maximum)
        return _Observed(device, load, observer)


class _Observed:
    """A measurer whose trials are shown like real ones."""

    def __init__(self, inner: Measurer, load: Load, observer: Observer) -> None:
        self._inner, self._load, self._observer = inner, load, observer

    def measure(self, rate_pps: float, duration_s: float) -> TrialResult:
        self._observer.trial_started(self._load.spec(rate_pps, duration_s))
        result = self._inner.measure(rate_pps, duration_s)
        self._observer.trial_done(result)
        return result
