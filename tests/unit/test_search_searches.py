from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.simulation import Simulation
from pytest_nfv.model.trial import Direction, FlowCounts, TrialResult, TrialSpec
from pytest_nfv.model.verdict import Verdict
from pytest_nfv.search.bounds import Bounds, SearchOutcome
from pytest_nfv.search.sim import SimulatedDevice
from pytest_nfv.search.table import SEARCHES, search
from pytest_nfv.search.tst009 import LossVerification, tst009

LINK_PPS = 14_880_952.0
BOUNDS = Bounds(LINK_PPS / 100, LINK_PPS)

every_search = pytest.mark.parametrize("name", SEARCHES)


def run(name: str, simulation: Simulation, bounds: Bounds = BOUNDS, **goal: Any) -> SearchOutcome:
    return search(name)(SimulatedDevice(simulation, 64), bounds, SearchGoal(**goal), 2)


class Lossy:
    """A device of 1 Mpps, whose n-th trial below that also loses what it is told; the rest is clean."""

    def __init__(self, losses: dict[int, float], invalid: frozenset[int] = frozenset()) -> None:
        self._losses = losses
        self._invalid = invalid
        self.loads: list[float] = []

    def measure(self, rate_pps: float, duration_s: float) -> TrialResult:
        number = len(self.loads)
        self.loads.append(rate_pps)
        spec = TrialSpec(64, rate_pps, duration_s)
        sent = spec.intended_frames
        loss = self._losses.get(number, max(0.0, 1 - 1e6 / rate_pps))
        flow = FlowCounts(Direction(0, 1), sent, sent, sent - round(sent * loss))
        invalid = ("counters disagree",) if number in self._invalid else ()
        return TrialResult(spec, (flow,), offered_for_s=duration_s, invalid=invalid)


@every_search
def test_the_capacity_is_found_within_the_resolution(name: str) -> None:
    found = run(name, Simulation(capacity_pps=9.34e6))
    assert found.ruling.verdict is Verdict.PASS
    assert found.upper_pps is not None
    assert found.lower_pps <= 9.34e6 <= found.upper_pps
    assert found.upper_pps - found.lower_pps <= BOUNDS.resolution * found.upper_pps
    assert found.rate_pps == found.lower_pps
    assert found.limited_by == ""
    assert "is sustained" in found.ruling.reasons[0]


@every_search
def test_a_device_faster_than_the_link_is_limited_by_it(name: str) -> None:
    found = run(name, Simulation(capacity_pps=20e6))
    assert (found.lower_pps, found.upper_pps, found.rate_pps) == (LINK_PPS, None, LINK_PPS)
    assert found.limited_by == "link"
    assert found.ruling.reasons[0] == "14.881 Mpps is sustained and the link's limit: the device may do more"


@every_search
def test_a_ceiling_that_is_the_generators_is_called_so(name: str) -> None:
    found = run(name, Simulation(capacity_pps=20e6), Bounds(1e5, 5e6, ceiling_set_by="generator"))
    assert (found.rate_pps, found.limited_by) == (5e6, "generator")


@every_search
def test_a_generator_that_cannot_offer_the_ceiling_lowers_it(name: str) -> None:
    found = run(name, Simulation(capacity_pps=12.5e6, generator_pps=8e6))
    assert found.ruling.verdict is Verdict.PASS
    assert (found.rate_pps, found.limited_by) == (8e6, "generator")
    assert "the generator's limit" in found.ruling.reasons[0]


@every_search
def test_a_device_slower_than_the_generator_is_not_limited_by_it(name: str) -> None:
    found = run(name, Simulation(capacity_pps=5e6, generator_pps=8e6))
    assert found.rate_pps == pytest.approx(5e6, rel=BOUNDS.resolution)
    assert found.limited_by == ""


@every_search
def test_a_generator_below_the_floor_teaches_nothing(name: str) -> None:
    found = run(name, Simulation(generator_pps=1e4))
    assert found.ruling.verdict is Verdict.INVALID
    assert (found.lower_pps, found.upper_pps, found.rate_pps) == (0.0, None, 0.0)
    assert "the generator offered 10 kpps of 148.81 kpps (simulated)" in found.ruling.reasons


@every_search
def test_a_device_that_fails_the_floor_has_a_rate_of_zero(name: str) -> None:
    found = run(name, Simulation(capacity_pps=1e3))
    assert found.ruling.verdict is Verdict.FAIL
    assert (found.lower_pps, found.rate_pps, found.upper_pps) == (0.0, 0.0, BOUNDS.floor_pps)
    assert found.ruling.reasons[0] == "not even the lowest load of the search, 148.81 kpps, is sustained"
    assert {trial.spec.rate_pps for trial in found.trials} == {LINK_PPS, BOUNDS.floor_pps}


@every_search
def test_loads_that_stay_invalid_leave_a_lower_bound_and_no_upper_one(name: str) -> None:
    device = Lossy({}, invalid=frozenset(range(5, 100)))
    found = search(name)(device, Bounds(1e4, 2e6), SearchGoal(exceed_ratio=0.0, duration_sum_s=1.0), 1)
    assert found.ruling.verdict is Verdict.PASS
    assert found.limited_by == "machine"
    assert found.upper_pps is None
    assert found.lower_pps >= 1e4
    assert "counters disagree" in found.ruling.reasons
    assert "could not be judged" in found.ruling.reasons[0]


@every_search
def test_a_failure_below_an_unjudged_load_makes_the_upper_bound_the_devices(name: str) -> None:
    device = Lossy({}, invalid=frozenset(range(2)))
    found = search(name)(device, Bounds(1e4, 2e6), SearchGoal(), 1)
    assert found.ruling.verdict is Verdict.PASS
    assert found.limited_by == ""
    assert found.upper_pps is not None
    assert found.lower_pps < found.upper_pps


@every_search
def test_where_not_even_the_floor_can_be_judged_nothing_is_known(name: str) -> None:
    device = Lossy({}, invalid=frozenset(range(100)))
    found = search(name)(device, Bounds(1e4, 0.5e6), SearchGoal(), 1)
    assert found.ruling.verdict is Verdict.INVALID
    assert device.loads == [0.5e6, 0.5e6, 1e4, 1e4]
    assert (found.lower_pps, found.upper_pps) == (0.0, None)


@every_search
def test_every_trial_is_reported_and_kept(name: str) -> None:
    seen: list[TrialResult] = []
    device = SimulatedDevice(Simulation(noise=0.01, seed=4), 64)
    found = search(name)(device, BOUNDS, SearchGoal(), 0, seen.append)
    assert tuple(seen) == found.trials
    assert device.clock() > len(seen)


@every_search
def test_a_loss_ratio_in_the_goal_makes_it_a_partial_drop_rate(name: str) -> None:
    found = run(name, Simulation(capacity_pps=9e6), loss_ratio=0.1)
    assert found.lower_pps == pytest.approx(10e6, rel=2 * BOUNDS.resolution)
    assert found.rate_pps == pytest.approx(9e6, rel=2 * BOUNDS.resolution)


def test_rfc2544_gives_a_load_up_at_its_first_loss_and_tst009_at_its_second() -> None:
    once = {1: 0.0001}  # the floor loses a little, once
    assert search("rfc2544")(Lossy(once), Bounds(1e4, 2e6), SearchGoal(), 0).ruling.verdict is Verdict.FAIL
    found = search("tst009")(Lossy(once), Bounds(1e4, 2e6), SearchGoal(), 0)
    assert found.ruling.verdict is Verdict.PASS
    assert found.rate_pps == pytest.approx(1e6, rel=0.005)
    twice = {1: 0.0001, 2: 0.0001}
    assert search("tst009")(Lossy(twice), Bounds(1e4, 2e6), SearchGoal(), 0).ruling.verdict is Verdict.FAIL


def test_tst009_does_not_repeat_a_hopeless_trial() -> None:
    device = Lossy({1: 0.02})
    found = tst009(device, Bounds(1e4, 2e6), SearchGoal(), 0)
    assert found.ruling.verdict is Verdict.FAIL
    assert device.loads == [2e6, 1e4]
    assert "above 1 %, not repeated" in found.ruling.reasons[1]


def test_tst009_repeats_as_often_as_told() -> None:
    device = Lossy(dict.fromkeys(range(1, 4), 0.02))
    patient = LossVerification(trials_max=4, hopeless_loss_ratio=0.05)
    found = tst009(device, Bounds(1e4, 2e6), SearchGoal(), 0, verification=patient)
    assert found.ruling.verdict is Verdict.PASS
    assert device.loads[:5] == [2e6, 1e4, 1e4, 1e4, 1e4]


@pytest.mark.parametrize("field", [{"trials_max": 0}, {"hopeless_loss_ratio": 1.5}])
def test_loss_verification_is_validated(field: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="loss verification"):
        LossVerification(**field)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((0.0, 1e6), "floor"),
        ((1e6, 1e6), "floor < ceiling"),
        ((1.0, float("inf")), "ceiling"),
        ((1.0, 1e6, 0.0), "resolution"),
        ((1.0, 1e6, 1.0), "resolution"),
        ((1.0, 1e6, 0.01, "switch"), "'switch'"),
    ],
)
def test_bounds_are_validated(arguments: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Bounds(*arguments)


def test_an_unknown_search_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"'mlr'.*rfc2544, tst009, rfc9971"):
        search("mlr")


@every_search
@given(data=st.data())
def test_a_noiseless_device_of_any_capacity_is_found(name: str, data: st.DataObject) -> None:
    capacity_pps = data.draw(st.floats(BOUNDS.floor_pps * 1.01, 2 * LINK_PPS))
    found = run(name, Simulation(capacity_pps=capacity_pps))
    if capacity_pps >= LINK_PPS:
        assert found.limited_by == "link"
        return
    assert found.upper_pps is not None
    # A trial rounds its load to whole frames: a fraction of a frame above the capacity is not seen.
    assert found.lower_pps <= capacity_pps + 1
    assert found.upper_pps > capacity_pps
    assert found.rate_pps >= capacity_pps * (1 - BOUNDS.resolution) - 1


@every_search
@given(seed=st.integers(0, 10**6), noise=st.sampled_from([0.003, 0.03]), every=st.sampled_from([None, 2.0]))
def test_bounds_stay_in_order_whatever_the_noise(name: str, seed: int, noise: float, every: float | None) -> None:
    found = run(name, Simulation(capacity_pps=9e6, noise=noise, burst_every_s=every, seed=seed))
    passed_or_failed = found.ruling.verdict
    assert passed_or_failed is not Verdict.INVALID
    assert found.rate_pps <= found.lower_pps
    assert found.upper_pps is None or found.lower_pps < found.upper_pps
    assert (found.lower_pps == 0) == (passed_or_failed is Verdict.FAIL)
