"""`--nfv-plan`: the tests' own calls, answered without touching anything, and what they would have cost."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pytest_nfv.deployment.choice import with_engines
from pytest_nfv.deployment.plan import place
from pytest_nfv.deployment.rig_plan import assumed_cores, place_on_rig
from pytest_nfv.deployment.system import SimulatedSystem
from pytest_nfv.deployment.traffic import Defaults, Requirements, Traffic
from pytest_nfv.hosts.cores import usable_cores
from pytest_nfv.model.measurement import ForwardingRate, Gate, LatencyResult, Throughput
from pytest_nfv.model.simulation import Simulation
from pytest_nfv.model.testbed import Testbed
from pytest_nfv.model.topology import Topology
from pytest_nfv.model.trial import TrialResult, TrialSpec
from pytest_nfv.units import FRAME_SIZE_MAX, PacketRate, line_rate

# What a trial takes beside its duration (learning, settling, counters) and what a deployment takes, as seen on
# network namespaces; only the prediction uses them.
TRIAL_OVERHEAD_S = 0.2
DEPLOYMENT_S = 1.0
PERFECT_PPS = 1e12


@dataclass(slots=True)
class Cost:
    """What one test would do.

    Attributes:
        deployments: topologies in the order in which the test deploys them.
        trials_s: duration of every trial; repeats of invalid trials come on top.
    """

    nodeid: str
    deployments: list[str] = field(default_factory=list)
    trials_s: list[float] = field(default_factory=list)


class Planner:
    """Collects costs over a run, and prints them."""

    def __init__(self) -> None:
        self._placements: dict[str, list[str]] = {}
        self._costs: list[Cost] = []

    def test(self, nodeid: str) -> Cost:
        """Start the account of a test."""
        self._costs.append(Cost(nodeid))
        return self._costs[-1]

    def asked(self, nodeid: str) -> bool:
        """Return whether a test got as far as asking for a trial."""
        return any(cost.trials_s for cost in self._costs if cost.nodeid == nodeid)

    def traffic(self, cost: Cost, testbed: Testbed, topology: Topology, defaults: Defaults) -> PlannedTraffic:
        """Place a topology, and return traffic that only counts.

        Raises:
            ConfigurationError, CapabilityMissing: it cannot be placed here.
        """
        lines = [f"{with_engines(topology)} on testbed {testbed.name} (simulated), line rate {testbed.link}"]
        if testbed.rig is not None:
            lines = place_on_rig(topology, testbed, assumed_cores(testbed.rig)).lines()
        elif testbed.kind != "sim":
            lines = place(topology, testbed, usable_cores()).lines()
        self._placements.setdefault(lines[0], lines)
        cost.deployments.append(lines[0])
        return PlannedTraffic(cost, testbed, topology, defaults)

    def lines(self) -> list[str]:
        """Return the plan as text."""
        out = ["would deploy:"]
        for lines in self._placements.values():
            out += [f"  {line}" for line in lines]
        out.append("would measure (fewest trials that decide; an invalid one is repeated on top):")
        for cost in self._costs:
            out.append(
                f"  {cost.nodeid}: {counted(len(cost.trials_s), 'trial')}, {sum(cost.trials_s):.1f} s of load"
            )
        ordered = [name for cost in self._costs for name in cost.deployments]
        changes = sum(1 for before, after in zip(["", *ordered], ordered, strict=False) if before != after)
        trials = [seconds for cost in self._costs for seconds in cost.trials_s]
        total = sum(trials) + len(trials) * TRIAL_OVERHEAD_S + changes * DEPLOYMENT_S
        all_of_it = (
            f"{counted(changes, 'deployment')}, {counted(len(trials), 'trial')}, {sum(trials):.1f} s of load"
        )
        out.append(f"in all {all_of_it}; predicted time {total:.0f} s")
        return out


class PlannedTraffic:
    """Answers like `Traffic` on a device that meets every goal, and counts what asking would have cost."""

    def __init__(self, cost: Cost, testbed: Testbed, topology: Topology, defaults: Defaults) -> None:
        self._cost = cost
        free = replace(defaults, requirements=Requirements())
        perfect = _system(testbed, topology, PERFECT_PPS)
        self._perfect = Traffic(perfect, free, _Count(cost), _ignore)
        self._uncounted = Traffic(perfect, free, _Count(Cost("")), _ignore)
        # A search is the longer the less obvious its answer is: count it on a device of odd, middling capacity.
        middling = line_rate(testbed.search_link, FRAME_SIZE_MAX).pps * 0.37
        self._middling = Traffic(_system(testbed, topology, middling), free, _Count(cost), _ignore)

    def sustains(self, *args: Any, **kwargs: Any) -> Gate:
        """Take the arguments of `Traffic.sustains`; pass."""
        return self._perfect.sustains(*args, **kwargs)

    def throughput(self, **kwargs: Any) -> Throughput:
        """Take the arguments of `Traffic.throughput`; find more than any test asks for."""
        self._middling.throughput(**kwargs)
        found = self._uncounted.throughput(**kwargs)
        return replace(found, rate=PacketRate(PERFECT_PPS), limited_by="")

    def forwarding_rate(self, *args: Any, **kwargs: Any) -> ForwardingRate:
        """Take the arguments of `Traffic.forwarding_rate`; forward everything."""
        return self._perfect.forwarding_rate(*args, **kwargs)

    def latency(self, *args: Any, **kwargs: Any) -> LatencyResult:
        """Take the arguments of `Traffic.latency`; one trial."""
        return self._perfect.latency(*args, **kwargs)

    def bottleneck(self) -> None:
        """Return nothing: a device that meets every goal loses nothing."""


def _system(testbed: Testbed, topology: Topology, capacity_pps: float) -> SimulatedSystem:
    device = Simulation(capacity_pps=capacity_pps * len(topology.directions))
    stand_in = replace(testbed, kind="sim", link=testbed.search_link, simulation=device, rig=None)
    return SimulatedSystem(stand_in, topology)


def _ignore(measurement: object) -> None:
    """A planned measurement is nothing to keep."""


class _Count:
    """An observer that only adds up."""

    def __init__(self, cost: Cost) -> None:
        self._cost = cost

    def deploying(self, what: str) -> None:
        pass

    def trial_started(self, spec: TrialSpec) -> None:
        self._cost.trials_s.append(spec.duration_s)

    def trial_progress(self, spec: TrialSpec, elapsed_s: float, sent: int, received: int) -> None:
        pass

    def trial_done(self, result: TrialResult) -> None:
        pass


def counted(number: int, thing: str) -> str:
    """Return `1 trial`, `2 trials`."""
    return f"{number} {thing}" + ("" if number == 1 else "s")
