from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.simulation import Simulation


def test_every_key_is_read_with_its_unit() -> None:
    text = "capacity=12.5Mpps, noise=0.3%,burst_every=40s,burst_frames=250,generator=20Mpps,latency=2ms,seed=7"
    assert Simulation.parse(text) == Simulation(
        capacity_pps=12.5e6,
        noise=0.003,
        burst_every_s=40.0,
        burst_frames=250,
        generator_pps=20e6,
        latency_s=0.002,
        seed=7,
    )


def test_what_is_not_named_keeps_its_default() -> None:
    assert Simulation.parse("seed=3") == Simulation(seed=3)
    assert Simulation.parse("") == Simulation()


def test_a_toml_table_has_the_same_keys_as_the_text() -> None:
    table: dict[str, str | int | float] = {"capacity": "1Mpps", "noise": 0.01, "burst_frames": 9, "seed": 5}
    assert Simulation.of(table) == Simulation.parse("capacity=1Mpps,noise=1%,burst_frames=9,seed=5")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("capcity=1Mpps", ["'capcity'", "capacity=12.5Mpps", "burst_every=40s"]),
        ("capacity", ["'capacity'", "key=value"]),
        ("capacity=1Mpps,capacity=2Mpps", ["capacity", "twice"]),
        ("capacity=12.5", ["capacity = '12.5'", "12.5Mpps"]),
        ("capacity=0pps", ["capacity = '0pps'", "above 0"]),
        ("capacity=10Gbps", ["capacity = '10Gbps'", "pps"]),
        ("noise=110%", ["noise = '110%'", "0.5%"]),
        ("noise=-1%", ["noise = '-1%'"]),
        ("burst_every=40", ["burst_every = '40'", "60s"]),
        ("burst_every=0s", ["burst_every = '0s'", "above 0"]),
        ("burst_frames=0", ["burst_frames", "0", ">= 1"]),
        ("burst_frames=1.5", ["burst_frames = '1.5'", "whole number"]),
        ("generator=fast", ["generator = 'fast'", "400kpps"]),
        ("latency=20", ["latency = '20'", "20us"]),
        ("seed=x", ["seed = 'x'", "whole number"]),
        ("seed=-1", ["seed = '-1'", "whole number"]),
    ],
)
def test_a_wrong_part_is_named_with_what_is_accepted(text: str, says: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Simulation.parse(text)
    for words in says:
        assert words in str(caught.value)


@pytest.mark.parametrize(
    "values", [{"noise": True}, {"seed": True}, {"burst_frames": 2.5}, {"capacity": 12500000}]
)
def test_a_table_value_of_the_wrong_type_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(values))):
        Simulation.of(values)


@pytest.mark.parametrize(
    "field",
    [
        {"capacity_pps": 0.0},
        {"capacity_pps": float("nan")},
        {"noise": 1.0},
        {"burst_every_s": 0.0},
        {"burst_frames": 0},
        {"generator_pps": -1.0},
        {"latency_s": -1e-6},
        {"latency_s": float("inf")},
        {"seed": -1},
    ],
)
def test_a_field_out_of_range_is_refused_by_name(field: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(field))):
        Simulation(**field)


@given(
    st.builds(
        Simulation,
        capacity_pps=st.integers(1, 10**5).map(lambda kpps: kpps * 1e3),
        noise=st.sampled_from([0.0, 0.003, 0.05]),
        burst_every_s=st.none() | st.integers(1, 500).map(float),
        burst_frames=st.integers(1, 10**6),
        generator_pps=st.none() | st.integers(1, 10**5).map(lambda kpps: kpps * 1e3),
        latency_s=st.sampled_from([0.0, 20e-6, 1e-3]),
        seed=st.integers(0, 2**40),
    )
)
def test_its_text_is_accepted_again(simulation: Simulation) -> None:
    again = Simulation.parse(str(simulation))
    assert again.seed == simulation.seed
    assert again.burst_every_s == simulation.burst_every_s
    assert again.capacity_pps == pytest.approx(simulation.capacity_pps)
    assert again.generator_pps == pytest.approx(simulation.generator_pps)
    assert again.noise == pytest.approx(simulation.noise)
    assert again.latency_s == pytest.approx(simulation.latency_s)
