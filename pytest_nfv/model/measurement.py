"""What a test gets back: a gate's ruling, or a search's number, with every trial behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import ClassVar

from pytest_nfv.errors import ConfigurationError, InvalidMeasurement, UnitError
from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.mix import Mix, Sizes
from pytest_nfv.model.reference import Reference, Referenced
from pytest_nfv.model.trial import Latency, TrialResult, samples_for
from pytest_nfv.model.verdict import Ruling, Verdict
from pytest_nfv.units import FrameSize, PacketRate


@dataclass(frozen=True, slots=True)
class Subject:
    """What was measured, in the words of records and texts.

    Attributes:
        testbed: its name: `local`.
        topology: the topology's text: `P2P(linux-bridge)`.
        vswitch: the driver's name; link: the link that line rate means here.
        frame_size: octets with FCS; of a mix, the mean.
        simulated: from the simulated device.
        notes: what a reader must know beside every figure: `oversubscribed`, `device core not pinned`.
        mix: the frame sizes, where there are several.
        flows: 5-tuples that the frames of a direction took turns with.
    """

    testbed: str
    topology: str
    vswitch: str
    link: str
    frame_size: int
    simulated: bool = False
    notes: tuple[str, ...] = ()
    mix: Mix | None = None
    flows: int = 1

    @property
    def sizes(self) -> Sizes:
        """The frame size, or the mix."""
        return self.mix or FrameSize(self.frame_size)

    @property
    def frames(self) -> str:
        """The frames in words: `64 B`, `imix (mean 361 B)`, `64 B, 1,000 flows`."""
        return str(self.sizes) + (f", {self.flows:,} flows" if self.flows > 1 else "")


@dataclass(frozen=True, slots=True)
class Gate(Referenced):
    """Whether one load is sustained: truthy when it is.

    Attributes:
        target: the load in question, per direction.
        ruling: PASS or FAIL; a measurement that stayed invalid is raised, not returned.
        references: figures to show beside it.
    """

    subject: Subject
    goal: SearchGoal
    target: PacketRate
    ruling: Ruling
    trials: tuple[TrialResult, ...]
    references: list[Reference] = field(default_factory=list, init=False, repr=False, compare=False)

    def __bool__(self) -> bool:
        return self.ruling.verdict is Verdict.PASS

    def __repr__(self) -> str:
        forwarded = [trial.forwarded_pps for trial in self.trials if trial.valid]
        rate = PacketRate(median(forwarded) if forwarded else 0.0, self.target.link, self.target.frame_size)
        return f"<{self.ruling.verdict}: forwarded {rate}; asked {self.target}>"


class _Rated(Referenced):
    """A found rate: compares with a `PacketRate`, or with another of its kind, and with nothing else."""

    __slots__ = ()
    compares_with_rates: ClassVar[bool] = True
    rate: PacketRate
    asked_pps: list[float]

    def _rate_of(self, other: object) -> float:
        if isinstance(other, type(self)):
            return other.rate.pps
        if isinstance(other, PacketRate):
            return other.pps
        raise UnitError(f"cannot compare {self!r} with {other!r}: accepted: a packet rate such as 400 * kpps")

    def __lt__(self, other: object) -> bool:
        floor_pps = self._rate_of(other)
        return not self._known(self.rate.pps >= floor_pps, floor_pps)

    def __le__(self, other: object) -> bool:
        floor_pps = self._rate_of(other)
        return not self._known(self.rate.pps > floor_pps, floor_pps)

    def __ge__(self, other: object) -> bool:
        self.asked_pps.append(self._rate_of(other))
        return self._known(self.rate.pps >= self.asked_pps[-1], self.asked_pps[-1])

    def __gt__(self, other: object) -> bool:
        self.asked_pps.append(self._rate_of(other))
        return self._known(self.rate.pps > self.asked_pps[-1], self.asked_pps[-1])

    def __eq__(self, other: object) -> bool:
        return self.rate.pps == self._rate_of(other)

    def _known(self, reached: bool, floor_pps: float) -> bool:
        """Return whether the floor was reached; a kind of rate may know that this was not learnt."""
        return reached

    def __hash__(self) -> int:
        return hash(self.rate.pps)


@dataclass(frozen=True, slots=True, eq=False)
class Throughput(_Rated):
    """The highest load found to be sustained; compares with a `PacketRate` and with nothing else.

    `found >= rate` raises `InvalidMeasurement` where something other than the device kept it from being reached.

    Attributes:
        rate: conditional throughput per direction: what was forwarded at the highest load that met the goal.
        lower_pps: highest load known to be sustained; upper_pps: lowest load known not to be, None where the
            search met its own ceiling first.
        asked_pps: the rates that a test compared it with as a floor, passed or not, for the record.
        limited_by: what kept the search from going higher, where it was not the device: `link`, `generator`, or
            `machine`, which spoilt the trials above; "" otherwise.
        method: `rfc2544`, `tst009`, `rfc9971`.
        references: figures to show beside it.
    """

    subject: Subject
    goal: SearchGoal
    method: str
    rate: PacketRate
    lower_pps: float
    upper_pps: float | None
    trials: tuple[TrialResult, ...]
    limited_by: str = ""
    asked_pps: list[float] = field(default_factory=list, init=False, repr=False)
    references: list[Reference] = field(default_factory=list, init=False, repr=False)

    def _known(self, reached: bool, floor_pps: float) -> bool:
        """Refuse to call a device too slow where something else ended the search."""
        if reached or not self.limited_by:
            return reached
        if self.limited_by == "link":
            raise ConfigurationError(
                f"{PacketRate(floor_pps)} is above all that was searched: accepted: at most "
                f"{PacketRate(self.lower_pps)}, or a higher at_most or link"
            )
        raise InvalidMeasurement(
            f"{self.rate} is sustained, and whether {PacketRate(floor_pps)} is was not learnt: "
            f"the {self.limited_by} was the limit"
        )

    def __repr__(self) -> str:
        return f"<throughput of {self.subject.topology}: {self.rate}>"


@dataclass(frozen=True, slots=True, eq=False)
class ForwardingRate(_Rated):
    """What is forwarded at the maximum offered load (RFC 2285 section 3.6.2), however much is lost on the way.

    Attributes:
        offered: the intended load per direction; what the generator reached of it is in the trials.
        rate: forwarded frames that came back intact, per direction: the median of the valid trials.
        references: figures to show beside it.
        asked_pps: the rates that a test compared it with as a floor, passed or not, for the record.
    """

    subject: Subject
    goal: SearchGoal
    offered: PacketRate
    rate: PacketRate
    trials: tuple[TrialResult, ...]
    asked_pps: list[float] = field(default_factory=list, init=False, repr=False)
    references: list[Reference] = field(default_factory=list, init=False, repr=False)

    @property
    def offered_pps(self) -> float:
        """What was offered per direction, the median of the valid trials: at most `offered`; 0 without any."""
        return median([trial.offered_pps for trial in self.trials if trial.valid] or [0.0])

    @property
    def loss_ratio(self) -> float:
        """Share of the offered frames that was lost, the median of the valid trials; 0 without any."""
        return median([trial.loss_ratio for trial in self.trials if trial.valid] or [0.0])

    def _known(self, reached: bool, floor_pps: float) -> bool:
        """Refuse to call a device too slow that was not offered that much."""
        if reached or floor_pps <= self.offered_pps:
            return reached
        raise InvalidMeasurement(
            f"whether {PacketRate(floor_pps)} is forwarded was not learnt: the generator offered "
            f"{PacketRate(self.offered_pps)}"
        )

    def __repr__(self) -> str:
        return f"<forwarding rate of {self.subject.topology}: {self.rate} of {self.offered}>"


@dataclass(frozen=True, slots=True)
class LatencyResult(Referenced):
    """Latency at one load: one way, or round trip where frames come back on the port that they left.

    Attributes:
        offered: the load, per direction.
        latency: one summary per direction; the worst one answers the properties.
        references: figures to show beside it.
    """

    subject: Subject
    offered: PacketRate
    latency: tuple[Latency, ...]
    trials: tuple[TrialResult, ...] = field(repr=False)
    references: list[Reference] = field(default_factory=list, init=False, repr=False, compare=False)

    def __repr__(self) -> str:
        p99 = f", p99 {self.p99_us:.1f} us" if 99.0 in self.told else ""
        floor = f", generator's floor {self.floor_us:.1f} us" if self.floor_us is not None else ""
        return f"<latency at {self.offered}: median {self.median_us:.1f} us{p99}{floor}>"

    def percentile_us(self, percentile: float) -> float:
        """Return one percentile of the worst direction, in microseconds.

        Raises:
            UnitError: a percentile that is none of those kept, or that too few samples were taken for.
        """
        if percentile not in self.told:
            raise UnitError(
                f"percentile {percentile!r}: kept: {', '.join(f'{p:g}' for p in self.told)} "
                f"({min(one.samples for one in self.latency):,} samples"
                + (f"; it takes {samples_for(percentile):,})" if 50 < percentile < 100 else ")")
            )
        return max(one.percentiles_ns[percentile] for one in self.latency) / 1e3

    @property
    def told(self) -> tuple[float, ...]:
        """The percentiles that every direction has samples enough for, in ascending order."""
        return tuple(sorted(set.intersection(*(set(one.percentiles_ns) for one in self.latency))))

    @property
    def max_us(self) -> float:
        """Highest sample, in microseconds."""
        return max(one.max_ns for one in self.latency) / 1e3

    @property
    def floor_us(self) -> float | None:
        """Median of the generator wired back to itself at this load; None where not calibrated."""
        return max((one.floor_ns / 1e3 for one in self.latency if one.floor_ns is not None), default=None)

    @property
    def at_floor(self) -> bool:
        """Whether the median cannot be told from the generator's own path."""
        return all(one.at_floor(one.percentiles_ns[50.0]) for one in self.latency)

    @property
    def median_us(self) -> float:
        """Median, in microseconds."""
        return self.percentile_us(50.0)

    @property
    def p99_us(self) -> float:
        """99th percentile, in microseconds."""
        return self.percentile_us(99.0)

    @property
    def mean_us(self) -> float:
        """Mean, in microseconds."""
        return max(one.mean_ns for one in self.latency) / 1e3
