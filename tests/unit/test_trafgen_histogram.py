"""The latency histogram against numpy on all samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.model.trial import Direction
from pytest_nfv.trafgen.histogram import PERCENTILES, RELATIVE_ERROR, Histogram

WAY = Direction(0, 1)


def filled(values: list[int] | np.ndarray) -> Histogram:
    histogram = Histogram()
    histogram.add(np.array(values, np.int64))
    return histogram


@given(st.lists(st.integers(1, 2**52), min_size=1, max_size=300), st.sampled_from(PERCENTILES))
def test_percentiles_are_within_the_stated_error(values: list[int], percentile: float) -> None:
    exact = float(np.percentile(values, percentile, method="inverted_cdf"))
    assert abs(filled(values).percentile(percentile) - exact) <= RELATIVE_ERROR * exact


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_a_higher_sample_is_never_told_lower(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert filled([low]).percentile(50.0) <= filled([high]).percentile(50.0)


def test_zero_counts_as_one_nanosecond_at_most() -> None:
    assert 0 <= filled([0, 0, 500]).percentile(50.0) <= 1 + RELATIVE_ERROR


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=100))
def test_summary_is_exact_where_it_can_be(values: list[int]) -> None:
    summary = filled(values).summary(WAY)
    assert summary is not None
    assert (summary.samples, summary.min_ns, summary.max_ns) == (len(values), min(values), max(values))
    assert summary.mean_ns == pytest.approx(np.mean(values))
    steps = np.abs(np.diff(values))
    assert summary.jitter_ns == pytest.approx(steps.mean() if len(steps) else 0.0)


def test_more_samples_than_are_held_back_are_all_counted() -> None:
    values = np.random.default_rng(1).integers(1_000, 50_000, 100_003)
    histogram = Histogram()
    for part in np.array_split(values, 17):
        histogram.add(part)
    summary = histogram.summary(WAY)
    assert summary is not None
    assert summary.samples == 100_003
    assert summary.jitter_ns == pytest.approx(np.abs(np.diff(values)).mean())
    assert summary.percentiles_ns[99.9] == pytest.approx(np.percentile(values, 99.9), rel=0.01)


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (1, [50.0]),
        (99, [50.0]),
        (100, [50.0, 90.0]),
        (1000, [50.0, 90.0, 99.0]),
        (10_000, [50.0, 90.0, 99.0, 99.9]),
        (999_999, [50.0, 90.0, 99.0, 99.9, 99.99]),
        (1_000_000, list(PERCENTILES)),
    ],
)
def test_a_percentile_is_told_with_ten_samples_above(samples: int, told: list[float]) -> None:
    summary = filled(np.arange(1, samples + 1)).summary(WAY)
    assert summary is not None
    assert list(summary.percentiles_ns) == told


def test_nothing_sampled_has_no_summary() -> None:
    assert Histogram().summary(WAY) is None


def test_merged_ones_count_both() -> None:
    one, other = filled([10, 20]), filled([5_000, 5_100])
    one.merge(other)
    summary = one.summary(WAY)
    assert summary is not None
    assert (summary.samples, summary.min_ns, summary.max_ns) == (4, 10.0, 5_100.0)
    assert summary.jitter_ns == pytest.approx((10 + 100) / 2)


def test_samples_below_zero_are_told() -> None:
    histogram = filled([-5, 7])
    summary = histogram.summary(WAY)
    assert summary is not None
    assert (histogram.negative, summary.min_ns) == (1, 0.0)
