"""What a test compares: throughputs with rates, and what is raised where the answer was not learnt."""

from __future__ import annotations

import pytest

from pytest_nfv.errors import ConfigurationError, InvalidMeasurement, UnitError
from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.measurement import Subject, Throughput
from pytest_nfv.units import PacketRate, kpps

SUBJECT = Subject("local", "P2P(linux-bridge)", "linux-bridge", "1GbE", 64)


def throughput(pps: float, limited_by: str = "") -> Throughput:
    return Throughput(SUBJECT, SearchGoal(), "tst009", PacketRate(pps), pps, None, (), limited_by)


@pytest.mark.parametrize("limit", ["", "link", "generator", "machine"])
def test_what_was_reached_is_reached_whatever_the_limit(limit: str) -> None:
    assert throughput(5e5, limit) >= 400 * kpps
    assert throughput(5e5, limit) > 400 * kpps


def test_what_the_device_did_not_reach_is_false() -> None:
    assert not throughput(3e5) >= 400 * kpps
    assert throughput(3e5) < 400 * kpps
    assert not 400 * kpps <= throughput(3e5)


def test_a_floor_above_all_that_was_searched_is_a_mistake_of_the_test() -> None:
    with pytest.raises(ConfigurationError, match="above all that was searched"):
        _ = throughput(3e5, "link") >= 400 * kpps


def test_a_rate_may_stand_on_either_side() -> None:
    assert 400 * kpps <= throughput(5e5)
    assert 400 * kpps < throughput(5e5)
    assert 600 * kpps > throughput(5e5)


@pytest.mark.parametrize("limit", ["generator", "machine"])
def test_what_something_else_kept_from_being_reached_is_not_the_devices(limit: str) -> None:
    with pytest.raises(InvalidMeasurement, match=f"the {limit} was the limit"):
        _ = throughput(3e5, limit) >= 400 * kpps
    with pytest.raises(InvalidMeasurement):
        _ = throughput(3e5, limit) < 400 * kpps


def test_the_floor_asked_for_is_kept_for_the_record() -> None:
    found = throughput(5e5)
    assert found >= 400 * kpps
    assert found > 300 * kpps
    assert found.asked_pps == [4e5, 3e5]


def test_only_rates_compare() -> None:
    with pytest.raises(UnitError, match="cannot compare"):
        _ = throughput(5e5) >= 400
