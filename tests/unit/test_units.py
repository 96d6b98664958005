"""Quantities: exact where the standard is exact, and never mixed."""

from __future__ import annotations

import doctest
import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytest_nfv.units
from pytest_nfv.errors import UnitError
from pytest_nfv.units import (
    BitRate,
    Duration,
    FrameSize,
    Frequency,
    Gbps_l1,
    Gbps_l2,
    GHz,
    Link,
    Mpps,
    PacketRate,
    kpps,
    line_rate,
    ms,
    ratio,
)

sizes = st.integers(64, 9600)
rates = st.floats(0, 1e12, allow_nan=False)


def test_frequencies() -> None:
    assert Frequency.of("1.2GHz") == Frequency.of(" 1200 MHz") == Frequency.of("1200000kHz") == 1.2 * GHz
    assert str(Frequency.of("2401MHz")) == "2.401 GHz"
    assert Frequency.of("2.3GHz").khz == 2_300_000
    with pytest.raises(UnitError, match=r"frequency 'fast': accepted: such as 1\.2GHz, 1600MHz"):
        Frequency.of("fast")
    with pytest.raises(UnitError, match="cannot add"):
        _ = 1.2 * GHz + 1 * Mpps  # type: ignore[operator]


def test_documentation_examples() -> None:
    assert doctest.testmod(pytest_nfv.units).failed == 0


# RFC 2544 section 20's maximum frame rates, for 10GbE from the same arithmetic.
@pytest.mark.parametrize(
    ("link", "size", "frames"),
    [
        ("10GbE", 64, 14_880_952),
        ("10GbE", 128, 8_445_945),
        ("10GbE", 1518, 812_743),
        ("1GbE", 64, 1_488_095),
        ("100MbE", 64, 148_809),
        ("10MbE", 1518, 812),
    ],
)
def test_line_rate_is_the_standards(link: str, size: int, frames: int) -> None:
    assert line_rate(link, size).pps == frames


@given(sizes, st.sampled_from(["100MbE", "1GbE", "2.5GbE", "10GbE", "100GbE"]))
def test_line_rate_fills_the_link_and_one_frame_more_does_not_fit(size: int, link: str) -> None:
    rate = line_rate(link, size)
    wire = FrameSize(size).wire_bits
    assert rate.pps * wire <= Link.of(link).l1_bps < (rate.pps + 1) * wire
    assert rate.link_share == 1.0


@given(sizes, rates)
def test_l1_and_l2_differ_by_preamble_and_gap(size: int, value: float) -> None:
    rate = PacketRate(value)
    difference = rate.l1(size).bps - rate.l2(size).bps
    assert difference == pytest.approx(value * 160, rel=1e-6, abs=1e-6)
    assert rate.l1(size).packets(size).pps == pytest.approx(value)


@pytest.mark.parametrize(
    ("verb", "left", "right"),
    [
        (operator.add, kpps, Gbps_l1),
        (operator.lt, kpps, 400),
        (operator.eq, kpps, Gbps_l2),
        (operator.add, Gbps_l1, Gbps_l2),
        (operator.ge, Gbps_l1, Gbps_l2),
        (operator.sub, ms, kpps),
        (operator.mul, kpps, kpps),
        (operator.truediv, kpps, ms),
    ],
)
def test_units_do_not_mix(verb: Callable[[Any, Any], Any], left: Any, right: Any) -> None:
    with pytest.raises(UnitError, match="cannot"):
        verb(left, right)


def test_arithmetic_within_one_unit() -> None:
    assert 400 * kpps + 0.6 * Mpps == 1 * Mpps
    assert (2 * Mpps) / kpps == 2000
    assert Mpps / 2 == 500 * kpps
    assert len({1000 * kpps, 1 * Mpps}) == 1


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (PacketRate.of, "12.5Mpps", 12.5e6),
        (PacketRate.of, "400 kpps", 4e5),
        (PacketRate.of, "100pps", 100.0),
        (Duration.of, "500ms", 0.5),
        (Duration.of, "2 min", 120.0),
        (ratio, "0.5%", 0.005),
        (ratio, 0, 0.0),
    ],
)
def test_texts_are_read(parse: object, text: object, value: float) -> None:
    assert callable(parse)
    found = parse(text)
    assert getattr(found, "pps", getattr(found, "s", found)) == pytest.approx(value)


@pytest.mark.parametrize(
    ("parse", "bad"),
    [
        (PacketRate.of, "12.5"),
        (PacketRate.of, "-1Mpps"),
        (PacketRate, float("nan")),
        (PacketRate, -1),
        (PacketRate, True),
        (Link.of, "10"),
        (Link.of, "0GbE"),
        (Link.of, "fast"),
        (Frequency.of, "fast"),
        (Frequency.of, "0GHz"),
        (Frequency.of, "1.2"),
        (FrameSize, 63),
        (FrameSize, 9601),
        (FrameSize.of, "64.5"),
        (FrameSize.of, 64.0),
        (Duration.of, "1"),
        (ratio, "100%"),
        (ratio, "-0.1"),
        (ratio, "some"),
        (lambda value: BitRate(1, value), "L3"),
    ],
)
def test_bad_values_are_named_with_what_is_accepted(parse: object, bad: object) -> None:
    assert callable(parse)
    with pytest.raises(UnitError) as raised:
        parse(bad)
    assert str(bad).strip("'") in str(raised.value)
    assert "accepted" in str(raised.value) or "number" in str(raised.value)


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (9.34 * Mpps.on("10GbE", 64), "9.34 Mpps (62.8 % of 10GbE)"),
        (PacketRate(148_809), "148.809 kpps"),
        (PacketRate(7), "7 pps"),
    ],
)
def test_rates_are_spoken_of_as_engineers_do(rate: PacketRate, text: str) -> None:
    assert str(rate) == text
