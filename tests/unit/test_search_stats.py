from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.search.stats import median, spread

_values = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20)


def test_spread_is_the_range_around_the_median() -> None:
    found = spread([10.0, 8.0, 9.0])
    assert (found.count, found.low, found.median, found.high) == (3, 8.0, 9.0, 10.0)
    assert found.width == 2.0
    assert found.relative == pytest.approx(2 / 9)


def test_the_median_of_an_even_number_lies_between_the_middle_two() -> None:
    assert median([4.0, 1.0, 3.0, 2.0]) == 2.5


def test_relative_spread_around_zero() -> None:
    assert spread([0.0, 0.0]).relative == 0.0
    assert spread([-1.0, 0.0, 1.0]).relative == float("inf")


def test_ranges_that_touch_overlap() -> None:
    assert spread([1.0, 2.0]).overlaps(spread([2.0, 3.0]))
    assert not spread([1.0, 2.0]).overlaps(spread([2.1, 3.0]))
    assert not spread([2.1, 3.0]).overlaps(spread([1.0, 2.0]))


@pytest.mark.parametrize("of", [median, spread])
def test_no_values_are_refused(of: type) -> None:
    with pytest.raises(ConfigurationError, match="at least one"):
        of([])


@given(_values)
def test_the_median_lies_within_the_range_and_order_does_not_matter(values: list[float]) -> None:
    found = spread(values)
    assert found.low <= found.median <= found.high
    assert found == spread(reversed(values))
