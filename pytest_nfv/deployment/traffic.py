"""What `deploy(topology)` hands to a test: loads to offer, and verdicts on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from pytest_nfv.deployment.frames import Frame, load_of
from pytest_nfv.deployment.observer import Observer
from pytest_nfv.deployment.runner import Load
from pytest_nfv.deployment.system import System
from pytest_nfv.errors import ConfigurationError, InvalidMeasurement, RequirementNotMet
from pytest_nfv.model.bottleneck import Bottleneck, bottleneck
from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.measurement import (
    ForwardingRate,
    Gate,
    LatencyResult,
    Subject,
    Throughput,
)
from pytest_nfv.model.mix import Mix, Sizes, sizes_of
from pytest_nfv.model.topology import Topology
from pytest_nfv.model.trial import TrialResult, samples_for
from pytest_nfv.model.verdict import Ruling, Verdict
from pytest_nfv.search import frmol, gate
from pytest_nfv.search.bounds import Bounds
from pytest_nfv.search.table import search
from pytest_nfv.units import Duration, FrameSize, PacketRate, line_rate, ratio

if TYPE_CHECKING:
    from scapy.packet import Packet

Result: TypeAlias = Gate | Throughput | ForwardingRate | LatencyResult
Deploy: TypeAlias = "Callable[[Topology], Traffic]"

# A search looks no lower than this share of its ceiling: what forwards less has no throughput worth the trials.
SEARCH_FLOOR = 0.001


@dataclass(frozen=True, slots=True)
class Requirements:
    """Thresholds that a marker declares; a measurement that misses one is a failure.

    Attributes:
        throughput_at_least: for every throughput and every forwarding rate found by the test.
        latency_below_us: percentile to its limit, for every latency measured by the test.
    """

    throughput_at_least: PacketRate | None = None
    latency_below_us: Mapping[float, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a test's options and markers say where its calls do not.

    Attributes:
        retry_invalid: how often an invalid trial is repeated.
        method: name of the search.
    """

    goal: SearchGoal = field(default_factory=SearchGoal)
    retry_invalid: int = 3
    method: str = "tst009"
    frame_size: Sizes | None = None
    requirements: Requirements = field(default_factory=Requirements)


class Traffic:
    """Offers load to one system under test and judges it.

    Every rate is per direction: with two directions loaded, each is offered that much.
    """

    def __init__(
        self,
        system: System,
        defaults: Defaults,
        observer: Observer,
        measured: Callable[[Result], None],
    ) -> None:
        self._system = system
        self._defaults = defaults
        self._observer = observer
        self._told = measured
        self._last: Result | None = None

    def _measured(self, result: Result) -> None:
        self._last = result
        self._told(result)

    def bottleneck(self) -> Bottleneck | None:
        """Return where the last measurement lost most, and for want of what; None where it lost nothing.

        Of a search, at the lowest load that lost frames. Invalid trials teach nothing.
        """
        lossy = [
            trial for trial in (() if self._last is None else self._last.trials) if trial.valid and trial.lost
        ]
        if not lossy:
            return None
        lowest = min(trial.spec.rate_pps for trial in lossy)
        return bottleneck([trial for trial in lossy if trial.spec.rate_pps == lowest])

    def __repr__(self) -> str:
        return f"<traffic through {self._system.topology} on {self._system.testbed.name}>"

    def sustains(
        self,
        rate: PacketRate | str,
        *,
        frame_size: FrameSize | Mix | int | str | None = None,
        frame: Packet | Sequence[Packet] | None = None,
        flows: int = 1,
        burst: int = 0,
        rewrite: bool = False,
        loss_ratio: float | str | None = None,
        goal: SearchGoal | None = None,
    ) -> Gate:
        """Say whether the load is sustained; stops as soon as RFC 9971's rule decides.

        Args:
            rate: offered load per direction.
            frame_size: octets with FCS, or a mix of sizes (`Mix`, or its name or file); needed unless the test has
                a `frame_size` of its own.
            frame: any scapy packet to send instead of the default Ethernet/IPv4/UDP one; several take turns, each
                counted apart, and share the rate.
            flows: 5-tuples that the frames of each direction (and packet) take turns with, up to 1,000,000.
            burst: frames sent back to back at a time (T20's B).
            rewrite: write every frame whole before it is sent, as T20's applications do; the generator otherwise
                writes only what differs from frame to frame. On arrival every octet is compared either way.
            loss_ratio: overrides the goal's.
            goal: overrides the options' and marker's.

        Raises:
            ConfigurationError: an argument is out of range.
            InvalidMeasurement: trials stayed invalid; nothing is known about the device.
        """
        size = self._size(frame_size)
        target = PacketRate.of(rate)
        if not target.pps:
            raise ConfigurationError("sustains(rate=0): accepted: a packet rate above 0, such as 400 * kpps")
        the_goal = self._goal(goal, loss_ratio)
        ruling, trials = self._ruled(self._load(size, frame, flows, burst, rewrite), target.pps, the_goal)
        result = Gate(self._subject(size, flows), the_goal, self._spoken(target, size), ruling, trials)
        self._measured(result)
        if ruling.verdict is Verdict.INVALID:
            raise InvalidMeasurement("; ".join(ruling.reasons))
        return result

    def throughput(
        self,
        *,
        frame_size: FrameSize | Mix | int | str | None = None,
        frame: Packet | Sequence[Packet] | None = None,
        flows: int = 1,
        burst: int = 0,
        rewrite: bool = False,
        loss_ratio: float | str | None = None,
        goal: SearchGoal | None = None,
        method: str | None = None,
        at_most: PacketRate | str | None = None,
    ) -> Throughput:
        """Search the highest load that meets the goal (RFC 2544 section 26.1, ETSI TST009 clause 12.3).

        `method` is `rfc2544`, `tst009` or `rfc9971`, the option's where not given. `at_most` is the search's
        ceiling: line rate where not given, on virtual links that of 10GbE at least. The other arguments are
        those of `sustains`.

        Raises:
            RequirementNotMet: the test's marker declares `at_least`, and this is less.
        """
        size = self._size(frame_size)
        ceiling = (
            PacketRate.of(at_most) if at_most is not None else line_rate(self._system.testbed.search_link, size)
        )
        the_goal = self._goal(goal, loss_ratio)
        name = method or self._defaults.method
        procedure = search(name)
        measurer = self._system.measurer(self._load(size, frame, flows, burst, rewrite), self._observer)
        bounds = Bounds(floor_pps=ceiling.pps * SEARCH_FLOOR, ceiling_pps=ceiling.pps)
        found = procedure(measurer, bounds, the_goal, self._defaults.retry_invalid)
        result = Throughput(
            self._subject(size, flows),
            the_goal,
            name,
            self._spoken(PacketRate(found.rate_pps), size),
            found.lower_pps,
            found.upper_pps,
            found.trials,
            found.limited_by,
        )
        self._measured(result)
        if found.ruling.verdict is Verdict.INVALID:
            raise InvalidMeasurement("; ".join(found.ruling.reasons))
        self._require_rate(result)
        return result

    def forwarding_rate(
        self,
        rate: PacketRate | str,
        *,
        frame_size: FrameSize | Mix | int | str | None = None,
        frame: Packet | Sequence[Packet] | None = None,
        flows: int = 1,
        burst: int = 0,
        rewrite: bool = False,
        duration: Duration | str | None = None,
        goal: SearchGoal | None = None,
    ) -> ForwardingRate:
        """Measure what is forwarded at the maximum offered load (RFC 2285 section 3.6.2), whatever is lost.

        Offers `rate`, or as much of it as the generator can: falling short makes no trial invalid here. The result
        is the median of as many trials as the goal's durations hold. `duration` is a trial's, their number stays.
        The other arguments are those of `sustains`.

        Raises:
            ConfigurationError: an argument is out of range.
            InvalidMeasurement: trials stayed invalid; nothing is known about the device.
            RequirementNotMet: the test's marker declares `at_least`, and this is less.
        """
        size = self._size(frame_size)
        target = PacketRate.of(rate)
        if not target.pps:
            raise ConfigurationError("forwarding_rate(rate=0): accepted: a packet rate above 0, such as 1 * Mpps")
        the_goal = goal or self._defaults.goal
        if duration is not None:
            the_goal = the_goal.lasting(Duration.of(duration).s)
        load = replace(self._load(size, frame, flows, burst, rewrite), maximum=True)
        measurer = self._system.measurer(load, self._observer)
        ruling, found_pps, trials = frmol.forwarding_rate(
            measurer, target.pps, the_goal, self._defaults.retry_invalid
        )
        result = ForwardingRate(
            self._subject(size, flows),
            the_goal,
            self._spoken(target, size),
            self._spoken(PacketRate(found_pps), size),
            trials,
        )
        self._measured(result)
        if ruling is not None:
            raise InvalidMeasurement("; ".join(ruling.reasons))
        self._require_rate(result)
        return result

    def latency(
        self,
        rate: PacketRate | str,
        *,
        frame_size: FrameSize | Mix | int | str | None = None,
        frame: Packet | Sequence[Packet] | None = None,
        flows: int = 1,
        burst: int = 0,
        rewrite: bool = False,
        duration: Duration | str | None = None,
    ) -> LatencyResult:
        """Measure latency at a load, from the generator's stamp to arrival, and beside it the generator's floor.

        One way, from one port to another; a round trip where frames come back on the port that they left.

        Raises:
            InvalidMeasurement: the trial and its repeats were invalid, no frame came back, or too few did for a
                percentile that the test's marker limits.
            RequirementNotMet: the test's marker declares a percentile's limit, and this is above.
        """
        size = self._size(frame_size)
        target = PacketRate.of(rate)
        seconds = Duration.of(duration).s if duration is not None else self._defaults.goal.trial_duration_s
        load = self._load(size, frame, flows, burst, rewrite)
        measurer = self._system.measurer(load, self._observer)
        floor = self._system.floor(load, target.pps, self._observer)
        trials: list[TrialResult] = []
        while len(trials) <= self._defaults.retry_invalid:
            trial = measurer.measure(target.pps, seconds)
            trials.append(trial if floor is None else replace(trial, latency=floor.beside(trial.latency)))
            if trials[-1].valid and trials[-1].latency:
                break
        result = LatencyResult(
            self._subject(size, flows), self._spoken(target, size), trials[-1].latency, tuple(trials)
        )
        self._measured(result)
        if not trials[-1].valid or not trials[-1].latency:
            raise InvalidMeasurement("; ".join(trials[-1].invalid) or "no frame came back")
        self._require_latency(result)
        return result

    def _ruled(self, load: Load, rate_pps: float, goal: SearchGoal) -> tuple[Ruling, tuple[TrialResult, ...]]:
        """Rule on a load; one that is known to be beyond the generator is INVALID without a trial."""
        reach = self._system.reach(load, self._observer)
        refused = reach.refusal(rate_pps)
        if refused is not None:
            return refused, ()
        measurer = self._system.measurer(load, self._observer)
        ruling, trials = gate.sustains(measurer, rate_pps, goal, self._defaults.retry_invalid)
        return reach.learnt(rate_pps, ruling, trials), trials

    def _require_rate(self, found: Throughput | ForwardingRate) -> None:
        least = self._defaults.requirements.throughput_at_least
        if least is not None and not found >= least:
            raise RequirementNotMet(f"{found.rate} is less than the marker's at_least={least}")

    def _require_latency(self, found: LatencyResult) -> None:
        limits = self._defaults.requirements.latency_below_us
        for percentile, limit_us in limits.items():
            if percentile in found.told and found.percentile_us(percentile) > limit_us:
                raise RequirementNotMet(
                    f"latency p{percentile:g} is {found.percentile_us(percentile):.1f} us, "
                    f"above the marker's {limit_us:g} us"
                )
        for percentile, limit_us in limits.items():
            if percentile not in found.told and found.max_us > limit_us:
                raise InvalidMeasurement(
                    f"latency p{percentile:g} takes {samples_for(percentile):,} samples, and "
                    f"{min(one.samples for one in found.latency):,} were taken: a longer duration or a higher "
                    "load gives more"
                )

    def _size(self, frame_size: Sizes | int | str | None) -> Sizes:
        chosen = frame_size if frame_size is not None else self._defaults.frame_size
        if chosen is None:
            raise ConfigurationError("frame_size is not given, and the test has no frame_size of its own")
        size = sizes_of(chosen)
        most = self._system.testbed.frame_size_max
        longest = max(size.sizes) if isinstance(size, Mix) else size.octets
        if longest > most:
            of_mix = f" of mix {size.name!r}" if isinstance(size, Mix) else ""
            raise ConfigurationError(
                f"frame size {longest}{of_mix}: testbed {self._system.testbed.name} has MTU "
                f"{self._system.testbed.mtu}; accepted: 64 to {most} octets with FCS"
            )
        return size

    def _goal(self, goal: SearchGoal | None, loss_ratio: float | str | None) -> SearchGoal:
        base = goal or self._defaults.goal
        return base if loss_ratio is None else replace(base, loss_ratio=ratio(loss_ratio))

    def _spoken(self, rate: PacketRate, size: Sizes) -> PacketRate:
        return rate if rate.link is not None else rate.on(self._system.testbed.link, size)

    def _load(self, size: Sizes, frame: Frame, flows: int, burst: int, rewrite: bool) -> Load:
        load = load_of(self._system.topology, self._system.addresses(), size, frame, flows, burst)
        return replace(load, rewrite=rewrite)

    def _subject(self, size: Sizes, flows: int) -> Subject:
        testbed, topology = self._system.testbed, self._system.topology
        return Subject(
            testbed.name,
            str(topology),
            topology.vswitch.name,
            str(testbed.link),
            size.octets,
            simulated=testbed.kind == "sim",
            notes=self._system.notes,
            mix=size if isinstance(size, Mix) else None,
            flows=flows,
        )
