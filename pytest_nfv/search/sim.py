"""A simulated device and generator, in simulated time: for suites without a lab, and to judge the verdicts by.

What is modelled, and no more: a capacity, shared equally by the directions, that varies from trial to trial; loss
of exactly what is above it (no buffer hides an overload); bursts of loss that arrive by chance; a generator that
cannot offer more than its limit; latency that grows toward the capacity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pytest_nfv.model.simulation import Simulation
from pytest_nfv.model.trial import (
    CoreUse,
    Direction,
    FlowCounts,
    GeneratorHealth,
    Hop,
    Latency,
    TrialResult,
    TrialSpec,
)
from pytest_nfv.search import text
from pytest_nfv.search.offered import SHARE_MIN

SETTLE_S = 0.05
"""Simulated time from the last frame to the end of the trial."""

QUEUE_FRAMES = 1024
"""Frames that wait at most; bounds the latency under overload."""

_PERCENTILES = (50.0, 90.0, 99.0, 99.9, 99.99)


class SimulatedDevice:
    """Implements `model.measurer.Measurer`. Equal seeds, frame sizes, directions and loads give equal trials."""

    def __init__(
        self,
        simulation: Simulation,
        frame_size: int,
        directions: Sequence[Direction] = (Direction(0, 1),),
        *,
        maximum: bool = False,
    ) -> None:
        """Make a device; a load is a ceiling where `maximum`, so that a generator may offer less."""
        self._maximum = maximum
        self._simulation = simulation
        self._frame_size = frame_size
        self._directions = tuple(directions)
        # Measurements of one run shall not share their luck, only repeats of the run.
        self._random = np.random.default_rng([simulation.seed, frame_size, len(self._directions)])
        self._now_s = 0.0

    def clock(self) -> float:
        """Return the simulated seconds that all trials so far took."""
        return self._now_s

    def measure(self, rate_pps: float, duration_s: float) -> TrialResult:
        """Simulate one trial.

        Raises:
            ConfigurationError: a load or a duration that is not above 0.
        """
        spec = TrialSpec(self._frame_size, rate_pps, duration_s, self._directions)
        started_at = self._now_s
        self._now_s += duration_s + SETTLE_S
        sent = self._sent(spec)
        capacity_pps = self._capacity_pps()
        room = math.ceil(capacity_pps * duration_s / len(self._directions))
        burst = self._burst_losses(duration_s)
        flows: list[FlowCounts] = []
        hops: list[Hop] = []
        for index, direction in enumerate(self._directions):
            full = max(0, sent - room)
            hit = min(int(burst[index]), sent - full)
            received = sent - full - hit
            flows.append(FlowCounts(direction, spec.intended_frames, sent, received))
            hops += _hops(direction, sent, received, {"ring full (simulated)": full, "burst (simulated)": hit})
        load = sent * len(self._directions) / (capacity_pps * duration_s)
        return TrialResult(
            spec=spec,
            flows=tuple(flows),
            offered_for_s=duration_s,
            settle_s=SETTLE_S,
            started_at=started_at,
            hops=tuple(hops),
            latency=tuple(self._latency(flow, load, capacity_pps) for flow in flows if flow.received),
            cores=self._cores(duration_s, load, sent),
            generator=GeneratorHealth(cpu_s=duration_s * self._generator_share(sent / duration_s)),
            invalid=self._invalid(spec, sent),
            simulated=True,
        )

    def _sent(self, spec: TrialSpec) -> int:
        limit = self._simulation.generator_pps
        return spec.intended_frames if limit is None else min(spec.intended_frames, int(limit * spec.duration_s))

    def _capacity_pps(self) -> float:
        deviation = self._simulation.noise * float(self._random.standard_normal())
        least = 1e-3  # however noisy, it forwards something
        return self._simulation.capacity_pps * max(least, 1 + deviation)

    def _burst_losses(self, duration_s: float) -> Sequence[int]:
        """Return frames lost to bursts per direction; each burst hits one."""
        every_s, ways = self._simulation.burst_every_s, len(self._directions)
        bursts = 0 if every_s is None else int(self._random.poisson(duration_s / every_s))
        hits = self._random.multinomial(bursts, [1 / ways] * ways)
        return [int(number) * self._simulation.burst_frames for number in hits]

    def _latency(self, flow: FlowCounts, load: float, capacity_pps: float) -> Latency:
        """Return base latency plus waiting as in an M/D/1 queue, its tail taken as exponential.

        Mean waiting of M/D/1 is load / (2 (1 - load)) service times, here at most as long as the queue.
        """
        service_ns, base_ns = 1e9 / capacity_pps, self._simulation.latency_s * 1e9
        longest_ns = QUEUE_FRAMES * service_ns  # a full queue
        waiting_ns = longest_ns if load >= 1 else min(longest_ns, service_ns * load / (2 * (1 - load)))

        # The largest of n exponential waits, on average.
        max_ns = base_ns + min(longest_ns, waiting_ns * (1 + math.log(flow.received)))

        def at(percentile: float) -> float:
            return min(max_ns, base_ns - waiting_ns * math.log1p(-percentile / 100))

        return Latency(
            direction=flow.direction,
            samples=flow.received,
            min_ns=base_ns,
            mean_ns=base_ns + waiting_ns,
            max_ns=max_ns,
            percentiles_ns={percentile: at(percentile) for percentile in _PERCENTILES},
            jitter_ns=waiting_ns,  # mean difference of two exponential waits
        )

    def _cores(self, duration_s: float, load: float, sent: int) -> tuple[CoreUse, ...]:
        busy_s = duration_s * min(1.0, load)
        generating_s = duration_s * self._generator_share(sent / duration_s)
        return (
            CoreUse("device", 0, duration_s, user_s=0.0, system_s=0.0, softirq_s=busy_s, steal_s=0.0),
            CoreUse("generator", 1, duration_s, user_s=generating_s, system_s=0.0, softirq_s=0.0, steal_s=0.0),
        )

    def _generator_share(self, offered_pps: float) -> float:
        """Return how busy the generator is; one without a limit takes no time."""
        limit = self._simulation.generator_pps
        return 0.0 if limit is None else min(1.0, offered_pps / limit)

    def _invalid(self, spec: TrialSpec, sent: int) -> tuple[str, ...]:
        if self._maximum or sent >= SHARE_MIN * spec.intended_frames:
            return ()
        offered = text.rate(sent / spec.duration_s)
        return (f"the generator offered {offered} of {text.rate(spec.rate_pps)} (simulated)",)


def _hops(direction: Direction, sent: int, received: int, drops: dict[str, int]) -> tuple[Hop, ...]:
    dropped = {reason: frames for reason, frames in drops.items() if frames}
    return (
        Hop(direction, f"generator port {direction.tx} tx", sent),
        Hop(direction, f"port {direction.tx} rx (into the switch)", received, dropped),
        Hop(direction, f"port {direction.rx} tx (out of the switch)", received),
        Hop(direction, f"generator port {direction.rx} rx", received),
    )
