from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.simulation import Simulation
from pytest_nfv.model.trial import Direction, TrialResult
from pytest_nfv.search.offered import fell_short
from pytest_nfv.search.sim import QUEUE_FRAMES, SETTLE_S, SimulatedDevice

ONE_WAY = (Direction(0, 1),)
BOTH_WAYS = (Direction(0, 1), Direction(1, 0))

_simulations = st.builds(
    Simulation,
    capacity_pps=st.floats(1e3, 2e7),
    noise=st.sampled_from([0.0, 0.003, 0.1, 0.9]),
    burst_every_s=st.sampled_from([None, 0.01, 1.0, 40.0]),
    burst_frames=st.integers(1, 10**5),
    generator_pps=st.none() | st.floats(1e3, 2e7),
    seed=st.integers(0, 2**32),
)
_ways = st.sampled_from([ONE_WAY, BOTH_WAYS])


def trials(simulation: Simulation, rate_pps: float, count: int = 1) -> list[TrialResult]:
    device = SimulatedDevice(simulation, 64)
    return [device.measure(rate_pps, 1.0) for _ in range(count)]


def test_up_to_the_capacity_nothing_is_lost() -> None:
    (trial,) = trials(Simulation(capacity_pps=1e6), 1e6)
    assert (trial.sent, trial.received, trial.valid, trial.simulated) == (10**6, 10**6, True, True)


def test_what_exceeds_the_capacity_is_lost_and_the_hop_says_where() -> None:
    (trial,) = trials(Simulation(capacity_pps=1e6), 1.25e6)
    assert trial.lost == 250_000
    assert trial.forwarded_pps == pytest.approx(1e6)
    dropping = [hop for hop in trial.hops if hop.drops]
    assert [(hop.place, dict(hop.drops)) for hop in dropping] == [
        ("port 0 rx (into the switch)", {"ring full (simulated)": 250_000})
    ]


def test_the_capacity_is_shared_by_the_directions() -> None:
    trial = SimulatedDevice(Simulation(capacity_pps=1e6), 64, BOTH_WAYS).measure(0.75e6, 2.0)
    assert [(str(flow.direction), flow.lost) for flow in trial.flows] == [("0>1", 500_000), ("1>0", 500_000)]


def test_a_load_beyond_the_generator_is_invalid_and_not_lost() -> None:
    (trial,) = trials(Simulation(capacity_pps=50e6, generator_pps=20e6), 25e6)
    assert trial.invalid == ("the generator offered 20 Mpps of 25 Mpps (simulated)",)
    assert fell_short(trial)
    assert (trial.lost, trial.flows[0].not_sent) == (0, 5_000_000)


def test_a_load_at_the_generator_limit_is_valid() -> None:
    (trial,) = trials(Simulation(capacity_pps=50e6, generator_pps=20e6), 20e6)
    assert trial.valid
    assert not fell_short(trial)


def test_bursts_come_as_often_as_asked() -> None:
    lost = [trial.lost for trial in trials(Simulation(burst_every_s=4.0, burst_frames=500, seed=3), 1e6, 2000)]
    assert all(frames % 500 == 0 for frames in lost)
    # 500 bursts are expected; five standard deviations of that Poisson count to either side.
    assert sum(lost) / 500 == pytest.approx(500, abs=5 * 500**0.5)


def test_a_burst_is_told_from_an_overload() -> None:
    (trial,) = trials(Simulation(capacity_pps=1e6, burst_every_s=1e-3, burst_frames=1), 1.5e6)
    drops = trial.hops[1].drops
    assert drops["ring full (simulated)"] == 500_000
    assert drops["burst (simulated)"] == trial.lost - 500_000 > 0


def test_noise_has_the_deviation_asked_for() -> None:
    forwarded = [t.forwarded_pps for t in trials(Simulation(capacity_pps=1e6, noise=0.01, seed=5), 2e6, 2000)]
    mean = sum(forwarded) / len(forwarded)
    deviation = (sum((value - mean) ** 2 for value in forwarded) / len(forwarded)) ** 0.5
    # Five standard errors of a mean and of a deviation over 2,000 draws.
    assert mean == pytest.approx(1e6, abs=5 * 1e4 / 2000**0.5)
    assert deviation == pytest.approx(1e4, rel=5 / (2 * 2000) ** 0.5)


def test_latency_grows_with_the_load_and_is_bounded_by_the_queue() -> None:
    simulation = Simulation(capacity_pps=1e6, latency_s=20e-6)
    means = [trials(simulation, load)[0].latency[0].mean_ns for load in (0.1e6, 0.9e6, 0.999e6, 2e6)]
    assert means == sorted(means)
    assert means[0] == pytest.approx(20_000 + 1000 * 0.1 / (2 * 0.9))
    assert means[-1] == pytest.approx(20_000 + QUEUE_FRAMES * 1000)


def test_cores_are_as_busy_as_the_load() -> None:
    (trial,) = trials(Simulation(capacity_pps=4e6, generator_pps=2e6), 1e6)
    assert {core.role: core.busy for core in trial.cores} == {"device": 0.25, "generator": 0.5}


def test_time_is_simulated() -> None:
    device = SimulatedDevice(Simulation(), 64)
    assert device.clock() == 0
    starts = [device.measure(1e6, 60.0).started_at for _ in range(2)]
    assert starts == [0, 60 + SETTLE_S]
    assert device.clock() == pytest.approx(2 * (60 + SETTLE_S))


def test_equal_seeds_give_equal_trials_and_others_do_not() -> None:
    simulation = Simulation(noise=0.01, burst_every_s=1.0, seed=1)
    assert trials(simulation, 13e6, 5) == trials(simulation, 13e6, 5)
    assert trials(simulation, 13e6, 5) != trials(Simulation(noise=0.01, burst_every_s=1.0, seed=2), 13e6, 5)


@pytest.mark.parametrize(("rate_pps", "duration_s", "says"), [(0.0, 1.0, "load"), (1e6, 0.0, "duration")])
def test_an_empty_trial_is_refused(rate_pps: float, duration_s: float, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        SimulatedDevice(Simulation(), 64).measure(rate_pps, duration_s)


@given(_simulations, _ways, st.floats(1e2, 4e7), st.sampled_from([0.01, 1.0, 60.0]))
def test_every_frame_is_accounted_for(
    simulation: Simulation, ways: tuple[Direction, ...], rate_pps: float, duration_s: float
) -> None:
    trial = SimulatedDevice(simulation, 128, ways).measure(rate_pps, duration_s)
    for flow in trial.flows:
        assert 0 <= flow.received <= flow.sent <= flow.intended
        hops = [hop for hop in trial.hops if hop.direction == flow.direction]
        assert hops[0].frames == flow.sent
        assert hops[-1].frames == flow.received
        assert sum(sum(hop.drops.values()) for hop in hops) == flow.lost
    assert trial.valid == (not fell_short(trial))
    for latency in trial.latency:
        percentiles = [latency.percentiles_ns[p] for p in sorted(latency.percentiles_ns)]
        values = [latency.min_ns, *percentiles, latency.max_ns]
        assert values == sorted(values)
        assert latency.min_ns <= latency.mean_ns <= latency.max_ns
    assert all(0 <= core.busy <= 1 for core in trial.cores)
