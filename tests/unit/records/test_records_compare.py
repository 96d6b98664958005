"""Comparison of two records: change told apart from spread."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_nfv.model.verdict import Verdict
from pytest_nfv.records.compare import Change, Trend, compare
from pytest_nfv.records.errors import RecordError
from pytest_nfv.records.measurement import Measurement

if TYPE_CHECKING:
    from tests.unit.records.conftest import Samples


def gate(samples: Samples, *lost: int, load_pps: float = 800_000.0) -> Measurement:
    trials = tuple(samples.trial(128, load_pps, lost=one) for one in lost)
    return samples.gate(Verdict.FAIL if max(lost) else Verdict.PASS, trials)


def only(samples: Samples, before: Measurement, after: Measurement) -> Change:
    (change,) = compare(samples.record(before), samples.record(after)).changes
    return change


def test_a_change_beyond_the_spread_is_told(samples: Samples) -> None:
    change = only(samples, gate(samples, 80_000, 82_000), gate(samples, 160_000, 161_000))
    assert change.trend is Trend.SLOWER
    assert change.ratio == pytest.approx(719_000 / 639_500, rel=1e-4)
    back = only(samples, gate(samples, 160_000, 161_000), gate(samples, 80_000, 82_000))
    assert back.trend is Trend.FASTER


def test_a_change_within_the_spread_is_none(samples: Samples) -> None:
    change = only(samples, gate(samples, 60_000, 90_000), gate(samples, 85_000, 120_000))
    assert change.trend is Trend.SAME


def test_a_change_below_what_pacing_resolves_is_none(samples: Samples) -> None:
    assert only(samples, gate(samples, 1_000), gate(samples, 1_500)).trend is Trend.SAME


def test_a_search_is_no_finer_than_its_resolution(samples: Samples) -> None:
    before, close, far = (samples.throughput(rate_pps=rate) for rate in (755_000, 760_000, 780_000))
    assert only(samples, before, close).trend is Trend.SAME
    change = only(samples, before, far)
    assert change.trend is Trend.FASTER
    assert change.ratio == pytest.approx(755 / 780)


def test_latency_is_compared_by_its_median(samples: Samples) -> None:
    later = samples.latency()
    (way,) = later.latency
    later = replace(later, latency=(replace(way, percentiles_ns={50.0: 24_800.0}),))
    change = only(samples, samples.latency(), later)
    assert change.trend is Trend.SLOWER
    assert change.ratio == pytest.approx(2.0)


def test_a_verdict_that_changed_is_told(samples: Samples) -> None:
    change = only(samples, gate(samples, 0), gate(samples, 80_000))
    assert change.verdict_changed
    assert (change.verdict_before, change.verdict_after) == (Verdict.PASS, Verdict.FAIL)
    assert not only(samples, gate(samples, 5), gate(samples, 80_000)).verdict_changed


def test_an_invalid_measurement_says_nothing(samples: Samples) -> None:
    invalid = replace(gate(samples, 0), verdict=Verdict.INVALID)
    change = only(samples, gate(samples, 0), invalid)
    assert (change.trend, change.ratio, change.after) == (Trend.UNKNOWN, None, None)


def test_repeats_of_a_question_are_pooled(samples: Samples) -> None:
    before = samples.record(samples.throughput(rate_pps=700_000), samples.throughput(rate_pps=760_000))
    (change,) = compare(before, samples.record(samples.throughput(rate_pps=720_000))).changes
    assert change.before is not None
    assert change.before.count == 2
    assert change.trend is Trend.SAME


def test_what_only_one_has_is_listed(samples: Samples) -> None:
    found = compare(
        samples.record(samples.failed(128), samples.passed(256)),
        samples.record(samples.passed(256), samples.passed(512)),
    )
    assert [key.frame_size for key in found.only_before] == [128]
    assert [key.frame_size for key in found.only_after] == [512]
    assert [change.key.frame_size for change in found.changes] == [256]


def test_another_load_is_another_question(samples: Samples) -> None:
    found = compare(samples.record(gate(samples, 0)), samples.record(gate(samples, 0, load_pps=400_000.0)))
    assert found.changes == ()


def test_simulated_is_not_compared_with_real(samples: Samples) -> None:
    real = samples.record(samples.passed(), run=samples.run("real"))
    simulated = samples.record(samples.simulated(), run=samples.run("model"))
    for before, after in ((real, simulated), (simulated, real)):
        with pytest.raises(RecordError, match="model is simulated and the other is not; accepted: two simulated"):
            compare(before, after)
    assert compare(simulated, simulated).changes[0].trend is Trend.SAME


def test_one_question_answered_by_both_kinds_is_refused(samples: Samples) -> None:
    real = samples.passed(64)
    simulated = replace(real, subject=replace(real.subject, simulated=True))
    with pytest.raises(RecordError, match="simulated in one run, real in the other"):
        compare(samples.record(real, samples.simulated()), samples.record(simulated, samples.passed()))
