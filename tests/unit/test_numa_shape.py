"""S6's assertion on made rates."""

from __future__ import annotations

import pytest

from perf_tests.numa import Round, contradicts

SLOWER, FASTER = Round([10.0, 9.0], [5.0, 4.0]), Round([5.0, 6.0], [7.0, 9.0])
MIXED, NOTHING = Round([5.0, 8.0], [7.0, 9.0]), Round([], [7.0])


@pytest.mark.parametrize(
    ("rounds", "contradicted"),
    [
        ([], False),
        ([SLOWER], False),
        ([FASTER], True),
        ([FASTER, FASTER, FASTER], True),
        ([FASTER, FASTER, SLOWER], False),
        ([MIXED], False),
        ([NOTHING], False),
    ],
)
def test_all_rounds_must_agree_before_it_is_believed(rounds: list[Round], contradicted: bool) -> None:
    assert contradicts(rounds) is contradicted


def test_the_ratio_is_of_medians() -> None:
    assert Round([10.0, 1.0, 9.0], [4.5]).ratio == 0.5
    assert NOTHING.ratio is None
