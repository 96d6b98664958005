"""One trial: what was offered, what came back, and everything that says whether to believe it.

Counts and durations are kept; rates and ratios are derived. "Per direction" means per ordered pair of
generator ports; "aggregate" is the sum over directions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import ceil

from pytest_nfv.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Direction:
    """One way through the system under test: out of generator port `tx`, back into `rx`."""

    tx: int
    rx: int

    def __str__(self) -> str:
        return f"{self.tx}>{self.rx}"


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """What a trial shall offer.

    Attributes:
        frame_size: octets with FCS.
        rate_pps: intended load per direction.
        duration_s: how long frames are offered.
        directions: the ways that are loaded at the same time.
    """

    frame_size: int
    rate_pps: float
    duration_s: float
    directions: tuple[Direction, ...] = (Direction(0, 1),)

    def __post_init__(self) -> None:
        if not self.rate_pps > 0:
            raise ConfigurationError(f"offered load {self.rate_pps!r} pps: accepted: above 0")
        if not self.duration_s > 0:
            raise ConfigurationError(f"trial duration {self.duration_s!r} s: accepted: above 0")
        if not self.directions:
            raise ConfigurationError("a trial needs at least one direction")

    @property
    def intended_frames(self) -> int:
        """Frames per direction that the intended load comes to."""
        return max(1, round(self.rate_pps * self.duration_s))


@dataclass(frozen=True, slots=True)
class FlowCounts:
    """Frames of one direction, or of one stream in it, each counted in exactly one way.

    Attributes:
        intended: frames that the load called for.
        sent: frames that left the generator, or were refused by the device's full ring (they were offered).
        received: frames of this direction that came back for the first time, out of order or not, intact.
        duplicated: further copies of frames that had come back already (RFC 5560).
        reordered: frames that came back after one with a higher sequence number (RFC 4737); part of `received`.
        corrupted: frames of ours with a bit changed; not part of `received`.
        foreign: frames at the receiving port that are not ours.
    """

    direction: Direction
    intended: int
    sent: int
    received: int
    duplicated: int = 0
    reordered: int = 0
    corrupted: int = 0
    foreign: int = 0

    @property
    def not_sent(self) -> int:
        """Frames that the generator owed and did not offer; never counted as lost."""
        return self.intended - self.sent

    @property
    def lost(self) -> int:
        """Frames sent that never came back intact."""
        return self.sent - self.received

    @property
    def loss_ratio(self) -> float:
        """Lost over sent (RFC 2544 section 26.3); 0 where nothing was sent."""
        return self.lost / self.sent if self.sent else 0.0


def per_direction(flows: Sequence[FlowCounts]) -> tuple[FlowCounts, ...]:
    """Return one of each direction, the counts of its streams summed."""
    summed: dict[Direction, FlowCounts] = {}
    for flow in flows:
        before = summed.get(flow.direction)
        counts = {name: getattr(flow, name) + (getattr(before, name) if before else 0) for name in _COUNTS}
        summed[flow.direction] = FlowCounts(flow.direction, **counts)
    return tuple(summed.values())


_COUNTS = tuple(one.name for one in fields(FlowCounts) if one.name != "direction")


SAMPLES_BEYOND = 10
"""Samples that must lie beyond a percentile for it to be told: fewer, and it is chance rather than a figure."""


def samples_for(percentile: float) -> int:
    """Return how many samples a percentile takes: 1,000 for the 99th, a million for the 99.999th."""
    return ceil(round(SAMPLES_BEYOND * 100 / (100 - percentile), 3))


@dataclass(frozen=True, slots=True)
class Latency:
    """Latency of one direction, in nanoseconds, of the sampled frames: the sender's stamp to arrival.

    One way, from one port of the generator to another, or there and back where the direction's ports are the same.

    Attributes:
        samples: how many frames were sampled.
        percentiles_ns: percentile (50.0, 99.0, ...) to latency; those with too few samples beyond are left out.
        jitter_ns: mean of the absolute delay variation of successive samples (RFC 3393).
        floor_ns: median of the generator wired back to itself in memory; None where not calibrated.
        resolution_ns: how far the floor varies by itself; None where not calibrated.
    """

    direction: Direction
    samples: int
    min_ns: float
    mean_ns: float
    max_ns: float
    percentiles_ns: Mapping[float, float]
    jitter_ns: float = 0.0
    floor_ns: float | None = None
    resolution_ns: float | None = None

    @property
    def way(self) -> str:
        """`one way`, or `round trip` where frames come back on the port that they left."""
        return "round trip" if self.direction.tx == self.direction.rx else "one way"

    def at_floor(self, value_ns: float) -> bool:
        """Whether a figure cannot be told from the generator's own path: it adds less than the floor varies."""
        return self.floor_ns is not None and value_ns <= self.floor_ns + (self.resolution_ns or 0.0)


@dataclass(frozen=True, slots=True)
class Hop:
    """One place on a direction's way, with what counters there said during the trial.

    Attributes:
        place: where, in the order of the way: `generator port 0 tx`, `s0 rx`, `s1 tx`, `generator port 1 rx`.
        frames: frames that passed here.
        drops: frames dropped here, by reason in the counter's own words.
    """

    direction: Direction
    place: str
    frames: int
    drops: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CoreUse:
    """Processor time of one core during a trial, as the kernel accounts it.

    Attributes:
        role: `device` or `generator`.
        wall_s: the span that the other values are parts of.
        frequency_hz: at which it was clocked; None where the machine does not tell.
    """

    role: str
    core: int
    wall_s: float
    user_s: float
    system_s: float
    softirq_s: float
    steal_s: float
    frequency_hz: float | None = None

    @property
    def busy(self) -> float:
        """Share of the span that the core worked for us or others, steal left out (0 to 1)."""
        return min(1.0, (self.user_s + self.system_s + self.softirq_s) / self.wall_s)


@dataclass(frozen=True, slots=True)
class ThreadUse:
    """Processor time and run delay (runnable but not running) of one thread.

    Attributes:
        role: `device`, `generator`, or `other` for what ran on a core of the device without being part of it.
        worked_s: of a thread that polls, the part of `cpu_s` in which it had frames, by its own cycle counters;
            None for one that does not poll, or does not tell.
        system_s: the part of `cpu_s` in the kernel, as far as the kernel's ticks tell; None where none met it.
        worked_cycles: of a thread that polls and counts cycles of the time stamp counter, those with frames, with
            what others had the core for meanwhile; None for any other.
        held_s: time in which it had frames, on its core or waiting for it, where it tells that by itself.
    """

    role: str
    name: str
    cpu_s: float
    run_delay_s: float
    worked_s: float | None = None
    system_s: float | None = None
    worked_cycles: int | None = None
    held_s: float | None = None


@dataclass(frozen=True, slots=True)
class GuestUse:
    """What all of a guest's virtual processors did during a trial, as the guest's own kernel accounts it.

    A guest knows no more than it is let: time in which the host ran others it may count as its own.

    Attributes:
        name: the VNF's, as in `hops` and `threads`: `vnf0`.
        system_s: in its kernel, hard interrupts among it, softirqs not.
        steal_s: time in which a virtual processor wanted to run, and the host said that it did not let it.
    """

    name: str
    user_s: float
    system_s: float
    softirq_s: float
    idle_s: float
    steal_s: float = 0.0

    @property
    def busy(self) -> float:
        """Share of its time, steal among it, that it worked (0 to 1); of no time, 0."""
        busy_s = self.user_s + self.system_s + self.softirq_s
        whole_s = busy_s + self.idle_s + self.steal_s
        return busy_s / whole_s if whole_s else 0.0


@dataclass(frozen=True, slots=True)
class GeneratorHealth:
    """How well the generator did its own work.

    Attributes:
        longest_stall_s: longest span in which it neither sent nor received, though it should have.
        stall_limit_s: the span that buffers at this load hide; a longer stall may lose frames by itself.
        stalled_s: all stalls longer than that, summed.
        receive_overruns: how often its own receive rings had no room: frames, where a kernel counts them; in
            shared memory, looks that found a ring full.
        cpu_s: processor time it used; involuntary_switches: how often it was pushed off its core.
    """

    longest_stall_s: float = 0.0
    stall_limit_s: float = 0.0
    receive_overruns: int = 0
    cpu_s: float = 0.0
    involuntary_switches: int = 0
    stalled_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What one trial showed.

    Attributes:
        started_at: seconds since the epoch.
        offered_for_s: span from when the first frame was due to the last burst (or frame) offered, its gap added.
        settle_s: how long after the last frame the counters were still moving.
        invalid: why nothing can be learnt from it; empty means valid.
        disturbed: what the machine took from the device meanwhile; does not make it invalid by itself.
        simulated: it comes from the simulated device.
        guests: what virtual machines did by their own account, from just before the trial to just behind it.
    """

    spec: TrialSpec
    flows: tuple[FlowCounts, ...]
    offered_for_s: float
    settle_s: float = 0.0
    started_at: float = 0.0
    hops: tuple[Hop, ...] = ()
    latency: tuple[Latency, ...] = ()
    cores: tuple[CoreUse, ...] = ()
    threads: tuple[ThreadUse, ...] = ()
    generator: GeneratorHealth = field(default_factory=GeneratorHealth)
    invalid: tuple[str, ...] = ()
    disturbed: tuple[str, ...] = ()
    simulated: bool = False
    guests: tuple[GuestUse, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether the trial says something about the device."""
        return not self.invalid

    @property
    def sent(self) -> int:
        """Frames offered, aggregate."""
        return sum(flow.sent for flow in self.flows)

    @property
    def received(self) -> int:
        """Frames that came back intact for the first time, aggregate."""
        return sum(flow.received for flow in self.flows)

    @property
    def lost(self) -> int:
        """Frames lost, aggregate."""
        return self.sent - self.received

    @property
    def loss_ratio(self) -> float:
        """The worst direction's loss ratio: one lossy way is not excused by a good one."""
        return max(flow.loss_ratio for flow in per_direction(self.flows))

    @property
    def offered_pps(self) -> float:
        """Offered load per direction: the least offered one."""
        return min(flow.sent for flow in per_direction(self.flows)) / self.offered_for_s

    @property
    def forwarded_pps(self) -> float:
        """Forwarding rate per direction at this load (RFC 2285 section 3.6.1): the worst direction's."""
        return min(flow.received for flow in per_direction(self.flows)) / self.offered_for_s
