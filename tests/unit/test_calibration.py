"""What the generator adds by itself: the floor beside a latency, which frames are sampled, wires of memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pytest_nfv import P2P, Mpps, VSwitch, kpps
from pytest_nfv.deployment.calibration import SAMPLED_EVERY, Floor, Floors, latency_every
from pytest_nfv.deployment.observer import Observer
from pytest_nfv.deployment.runner import Load
from pytest_nfv.deployment.system import SimulatedSystem
from pytest_nfv.deployment.traffic import Defaults, Requirements, Result, Traffic
from pytest_nfv.errors import InvalidMeasurement, RequirementNotMet, UnitError
from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.measurement import LatencyResult
from pytest_nfv.model.offer import FlowOffer, Offer
from pytest_nfv.model.simulation import Simulation
from pytest_nfv.model.testbed import built_in
from pytest_nfv.model.trial import Direction, Latency, TrialResult, TrialSpec, samples_for
from pytest_nfv.records import explain, junit, summary
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.rings.loopback import LoopbackPort
from pytest_nfv.trafgen import floor
from pytest_nfv.trafgen.inbox import FlowInbox, Inbox

WAY, BACK = Direction(0, 1), Direction(1, 0)
TEMPLATE = (bytes([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xB5]) + bytes(46)).hex()
FLOOR = Floor(2_000.0, 500.0)


def offer(rate_pps: float = 1e5, *ways: Direction, burst: int = 0) -> Offer:
    flows = (FlowOffer(i, way, rate_pps, 1_000_000, TEMPLATE) for i, way in enumerate(ways or (WAY,)))
    return Offer(tuple(flows), burst=burst, settle_s=0.5, quiet_s=0.01, latency_every=99)


def latency(median: float = 10.0, p90: float | None = 15.0, way: Direction = WAY) -> Latency:
    percentiles = {50.0: median} | ({} if p90 is None else {90.0: p90})
    return Latency(way, 1000, median / 2, median, 3 * median, percentiles)


def noting(asked: list[Offer]) -> Callable[[Offer], tuple[Latency, ...]]:
    """Return a generator's `floor` that measures nothing."""

    def measure(one: Offer) -> tuple[Latency, ...]:
        asked.append(one)
        return ()

    return measure


class Clock:
    """Every look takes 2 us."""

    def __init__(self) -> None:
        self.now_ns = 10**12

    def __call__(self) -> int:
        self.now_ns += 2_000
        return self.now_ns


@pytest.mark.parametrize(
    ("ways", "places"),
    [
        ((WAY,), ((0, 1),)),
        ((WAY, BACK), ((0, 1), (1, 0))),
        ((Direction(0, 0),), ((0, 1),)),
        ((WAY, Direction(2, 3)), ((0, 1), (2, 3))),
        ((WAY, BACK, Direction(2, 3), Direction(3, 2)), ((0, 1), (1, 0), (2, 3), (3, 2))),
    ],
)
def test_there_and_back_share_a_wire_and_pairs_do_not(
    ways: tuple[Direction, ...], places: tuple[tuple[int, int], ...]
) -> None:
    assert floor.wired(ways) == {way: Direction(*place) for way, place in zip(ways, places, strict=True)}


@pytest.mark.parametrize("ways", [(WAY,), (WAY, BACK), (Direction(0, 0),), (WAY, Direction(2, 3))])
def test_every_direction_has_its_floor_told_by_its_own_name(ways: tuple[Direction, ...]) -> None:
    short = offer(1e4, *ways)
    short = replace(short, latency_every=1, flows=tuple(replace(flow, frames=500) for flow in short.flows))
    found = floor.measure(short, lambda *_: None, Clock())
    assert [one.direction for one in found] == list(ways)
    assert all(one.samples == 500 for one in found)
    assert all(0 < one.percentiles_ns[50.0] < 100_000 for one in found)  # 2 us a look, on the clock of this test


@pytest.mark.parametrize("ways", [(WAY,), (WAY, BACK)])
def test_the_look_that_finds_a_frame_is_no_part_of_it_where_a_kernel_stamps(ways: tuple[Direction, ...]) -> None:
    bursts = offer(1e5, *ways, burst=64)
    bursts = replace(bursts, latency_every=1, flows=tuple(replace(flow, frames=640) for flow in bursts.flows))
    found, stamped = (floor.measure(bursts, lambda *_: None, Clock(), stamped=stamps) for stamps in (False, True))
    assert [one.direction for one in stamped] == list(ways)
    assert [one.samples for one in stamped] == [one.samples for one in found]
    ours, theirs = (sum(one.mean_ns for one in told) for told in (stamped, found))
    assert 0 < ours <= theirs  # at once where there is one way: a look follows each batch
    assert len(ways) == 1 or ours < theirs


def test_a_floor_is_its_worst_directions_and_varies_as_far_as_its_90th_percentile() -> None:
    assert Floor.of((latency(10, 15), latency(12, 13))) == Floor(12, 1)
    assert Floor.of((latency(10, None),)) == Floor(10, 20)  # with few samples: up to the highest
    assert Floor.of(()) is None


def test_a_floor_is_measured_once_for_each_quarter_octave_and_kind_of_offer() -> None:
    asked: list[Offer] = []

    def measure(one: Offer) -> tuple[Latency, ...]:
        asked.append(one)
        return (latency(),)

    floors = Floors(measure)
    for one in (offer(1e5), offer(0.98e5), offer(1e5), offer(2e5), offer(1e5, burst=32), offer(1e5, WAY, BACK)):
        assert floors.of(one) == Floor(10, 5)
    assert [(one.flows[0].rate_pps, one.burst, len(one.flows)) for one in asked] == [
        (1e5, 0, 1),
        (2e5, 0, 1),
        (1e5, 32, 1),
        (1e5, 0, 2),
    ]
    assert {one.latency_every for one in asked} == {1}
    assert asked[0].flows[0].frames == 30_000


@pytest.mark.parametrize(("rate_pps", "frames"), [(1e6, 300_000), (200.0, 200), (10.0, 20), (0.1, 1)])
def test_a_floor_takes_three_tenths_of_a_second_and_at_low_loads_up_to_two(rate_pps: float, frames: int) -> None:
    asked: list[Offer] = []
    Floors(noting(asked)).of(offer(rate_pps))
    assert asked[0].flows[0].frames == frames


def test_a_generator_without_a_floor_is_asked_once() -> None:
    asked: list[Offer] = []
    floors = Floors(noting(asked))
    assert floors.of(offer()) is floors.of(offer()) is None
    assert len(asked) == 1


def test_every_frame_is_sampled_up_to_a_million_a_second_and_some_above() -> None:
    assert [latency_every(pps) for pps in (1.0, 1e6)] == [1, 1]
    assert [latency_every(pps) for pps in (1.000001e6, 14.88e6)] == [SAMPLED_EVERY, SAMPLED_EVERY]


@pytest.mark.parametrize(
    ("every", "batch", "taken"), [(1, 64, 64 * 100), (0, 64, 0), (64, 64, 6400), (640, 64, 640), (1000, 64, 448)]
)
def test_whole_batches_pass_unsampled(every: int, batch: int, taken: int) -> None:
    flow = FlowInbox(offer().flows[0], lambda: 10**9)
    inbox = Inbox(LoopbackPort.pair()[0], [flow], every, lambda: 0)
    for number in range(100):
        stamps = 1 + np.arange(number * batch, (number + 1) * batch, dtype=np.uint64)
        if every:
            inbox._sample(flow, stamps, stamps.view(np.int64) + 5, None)
    summary_of = flow.latency.summary(WAY)
    assert (summary_of.samples if summary_of else 0) == taken


def test_samples_that_a_percentile_takes() -> None:
    assert [samples_for(p) for p in (50.0, 90.0, 99.0, 99.9, 99.99, 99.999)] == [
        20,
        100,
        1_000,
        10_000,
        100_000,
        1_000_000,
    ]


class Quiet:
    """An observer that wants to know nothing."""

    def deploying(self, what: str) -> None: ...

    def trial_started(self, spec: TrialSpec) -> None: ...

    def trial_progress(self, spec: TrialSpec, elapsed_s: float, sent: int, received: int) -> None: ...

    def trial_done(self, result: TrialResult) -> None: ...


class WithFloor(SimulatedSystem):
    """The simulated device at a generator that knows its floor."""

    known: Floor | None = FLOOR

    def floor(self, load: Load, rate_pps: float, observer: Observer) -> Floor | None:
        return self.known


def measured(
    path: str = "20us", limits: dict[float, float] | None = None, known: Floor | None = FLOOR
) -> tuple[Traffic, list[Result]]:
    testbed = built_in()["sim"].with_simulation(Simulation.parse(f"capacity=10Mpps,latency={path}"))
    system, kept = WithFloor(testbed, P2P(VSwitch("linux-bridge"))), list[Result]()
    system.known = known
    needs = Requirements(latency_below_us=limits or {})
    goal = SearchGoal(trial_duration_s=0.1, duration_sum_s=0.1)
    return Traffic(system, Defaults(goal=goal, requirements=needs), Quiet(), kept.append), kept


def test_the_floor_stands_beside_each_figure() -> None:
    traffic, kept = measured()
    found = traffic.latency(1 * Mpps, frame_size=64)
    assert kept == [found]
    assert (found.floor_us, found.at_floor) == (2.0, False)
    assert "generator's floor 2.0 us" in repr(found)
    assert {one.floor_ns for one in found.trials[0].latency} == {2_000.0}
    one = Measurement.from_result(found)
    assert Measurement.of(one.to_json()) == one
    assert explain.headline(one).endswith("; generator's floor 2 us")
    assert dict(junit.properties(one))["nfv_latency_latency_floor_ns"] == "2000"
    assert summary.row("t", one).notes == ("simulated", "generator's floor 2 us")


def test_a_figure_that_cannot_be_told_from_the_floor_says_so() -> None:
    found = measured("2.4us")[0].latency(1 * kpps, frame_size=64)
    assert found.at_floor
    one = Measurement.from_result(found)
    assert explain.headline(one).endswith("; p50 is at the generator's floor 2 us")
    text = " ".join(" ".join(explain.lines(one)).split())
    assert "at the generator's own floor (it varies by 500 ns itself)" in text
    assert summary.row("t", one).notes == ("simulated", "p50 is at the generator's floor 2 us")


def test_without_calibration_nothing_is_said_of_a_floor() -> None:
    found = measured(known=None)[0].latency(1 * Mpps, frame_size=64)
    assert (found.floor_us, found.at_floor) == (None, False)
    text = explain.headline(Measurement.from_result(found)) + " ".join(
        explain.lines(Measurement.from_result(found))
    )
    assert "generator's floor" not in text
    assert "not calibrated" in text


def test_a_round_trip_is_called_one() -> None:
    found = measured()[0].latency(1 * Mpps, frame_size=64)
    around = tuple(replace(one, direction=Direction(0, 0)) for one in found.latency)
    one = Measurement.from_result(replace(found, latency=around))
    assert explain.headline(one).startswith("measured (simulated): round trip latency p50")
    assert any("0>0 round trip" in line for line in explain.lines(one))
    assert [each.way for each in (*found.latency, *around)] == ["one way", "round trip"]


def few(found: LatencyResult) -> LatencyResult:
    one = replace(found.latency[0], samples=500, percentiles_ns={50.0: 3e3, 90.0: 4e3}, max_ns=9e3)
    return replace(found, latency=(one, found.latency[0]))


def test_a_percentile_that_was_not_told_is_asked_for_in_vain() -> None:
    found = few(measured()[0].latency(1 * Mpps, frame_size=64))
    assert found.told == (50.0, 90.0)
    with pytest.raises(UnitError, match=r"percentile 99.0: kept: 50, 90 \(500 samples; it takes 1,000\)"):
        _ = found.p99_us
    assert "p99" not in repr(found)


def test_a_limit_without_samples_is_invalid_unless_even_the_maximum_is_below() -> None:
    traffic, _ = measured(limits={99.9: 8.0})
    found = few(measured()[0].latency("1Mpps", frame_size=64))
    found = replace(found, latency=found.latency[:1])
    with pytest.raises(InvalidMeasurement, match=r"p99.9 takes 10,000 samples, and 500 were taken"):
        traffic._require_latency(found)
    measured(limits={99.9: 9.0})[0]._require_latency(found)
    with pytest.raises(RequirementNotMet, match=r"p50 is 3.0 us, above the marker's 2 us"):
        measured(limits={50.0: 2.0, 99.9: 8.0})[0]._require_latency(found)


def test_many_percentiles_stay_within_the_width() -> None:
    found = measured()[0].latency(1 * Mpps, frame_size=64)
    all_of_them = {50.0: 12_345.0, 90.0: 23_456.0, 99.0: 34_567.0, 99.9: 45_678.0, 99.99: 5e5, 99.999: 6e6}
    wide = replace(found.latency[0], percentiles_ns=all_of_them, samples=10_000_000, max_ns=7e6)
    lines = explain.lines(Measurement.from_result(replace(found, latency=(wide,))))
    assert max(map(len, lines)) <= 100
    assert any("p99.999" in line for line in lines)
