"""A forwarding rate at maximum offered load, as record, line, row and properties say it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_nfv.model.measurement import ForwardingRate
from pytest_nfv.model.reference import Reference
from pytest_nfv.model.verdict import Verdict
from pytest_nfv.records import explain, junit, summary
from pytest_nfv.records.account import telling
from pytest_nfv.records.advice import advice
from pytest_nfv.records.chart import charts
from pytest_nfv.records.compare import Trend, compare
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.records.schema import Record
from pytest_nfv.units import PacketRate

if TYPE_CHECKING:
    from tests.unit.records.conftest import Samples

PAPER = Reference("a paper, table 2", 440_000.0)


def measured(samples: Samples, rate_pps: float = 400_000.0, *, invalid: bool = False) -> Measurement:
    sent = 600_000
    rates = (rate_pps * 0.99, rate_pps, rate_pps * 1.01)
    why = ("counters disagree",) if invalid else ()
    trials = tuple(samples.trial(64, 1e6, sent=sent, lost=sent - round(one), invalid=why) for one in rates)
    subject = samples.subject(64)
    found = ForwardingRate(subject, samples.goal, PacketRate(1e6), PacketRate(rate_pps), trials)
    return Measurement.from_result(found.beside([PAPER]))


def test_it_goes_through_a_file_unchanged(samples: Samples) -> None:
    one = measured(samples)
    assert (one.kind, one.verdict, one.target_pps, one.rate_pps) == ("forwarding_rate", None, 1e6, 400_000.0)
    record = samples.record(one)
    ((_, read),) = Record.loads(record.dumps()).measurements()
    assert read == one
    assert read.reference == PAPER


def test_its_line_says_rate_offer_and_loss(samples: Samples) -> None:
    assert explain.headline(measured(samples)) == (
        "measured: forwarding rate 400 kpps at 600 kpps offered of 1 Mpps (67.2 % of 1GbE line rate, 64 B): "
        "33.3 % lost at s0 rx (veth ring full)"
    )
    assert explain.headline(measured(samples).required(at_least_pps=3e5)).startswith(
        "PASS: forwarding rate 400 kpps >= 300 kpps at 600 kpps offered"
    )
    assert explain.headline(measured(samples, invalid=True)) == (
        "INVALID: no forwarding rate at up to 1 Mpps (67.2 % of 1GbE line rate, 64 B): counters disagree"
    )


def test_its_explanation_has_the_reference_and_calls_no_trial_lossy(samples: Samples) -> None:
    text = "\n".join(explain.lines(measured(samples)))
    assert "goal       forwarding rate at maximum offered load: up to 1 Mpps per direction" in text
    assert "found      400 kpps, the median of the valid trials" in text
    assert "reference  440 kpps (a paper, table 2)" in text
    assert "1,200,000 never sent" in text
    assert "loss;" not in text
    assert not any(line.rstrip().endswith("  loss") for line in text.splitlines())
    assert "what would have to change" not in text


def test_a_floor_that_is_missed_fails_and_says_why(samples: Samples) -> None:
    one = measured(samples).required(at_least_pps=500_000.0)
    assert one.verdict is Verdict.FAIL
    assert one.reasons == ("forwarding rate 400,000 pps is below the required 500,000 pps",)
    account = telling(one)
    assert account is not None
    assert account.numbers == (1, 2, 3)
    assert advice(one, account)
    assert advice(measured(samples), account) == []


def test_its_row(samples: Samples) -> None:
    row = summary.row("t.py::test_x[a-64]", measured(samples))
    assert (row.asked, row.result, row.of_line, row.loss) == ("up to 1 Mpps", "400 kpps", "26.9 %", "33.3 %")
    assert (row.verdict, row.notes) == ("measured", ("440 kpps (a paper, table 2)",))
    assert summary.row("t", measured(samples).required(at_least_pps=3e5)).asked == "up to 1 Mpps, >= 300 kpps"
    invalid = summary.row("t", measured(samples, invalid=True))
    assert (invalid.result, invalid.of_line, invalid.loss) == ("-", "-", "-")


def test_its_properties(samples: Samples) -> None:
    found = dict(junit.properties(measured(samples)))
    assert found["nfv_forwarding_rate_median_pps"] == "400000"
    assert found["nfv_forwarding_rate_offered_pps"] == "600000"
    assert found["nfv_forwarding_rate_target_pps"] == "1000000"
    assert found["nfv_forwarding_rate_reference_pps"] == "440000"
    assert found["nfv_forwarding_rate_reference"] == "a paper, table 2"
    assert "nfv_gate_reference_pps" not in dict(junit.properties(samples.passed()))


def test_its_bar_is_the_median_with_the_reference_beside_it(samples: Samples) -> None:
    record = samples.record(measured(samples))
    (chart,) = charts(record.measurements())
    (bar,) = chart.bars
    assert bar.label == "400 kpps"
    assert bar.reference_y is not None
    assert bar.reference_y < bar.y
    assert chart.references == ("a paper, table 2",)


@pytest.mark.parametrize(("after", "trend"), [(300_000.0, Trend.SLOWER), (402_000.0, Trend.SAME)])
def test_two_runs_compare_trial_by_trial(samples: Samples, after: float, trend: Trend) -> None:
    earlier = samples.record(measured(samples))
    later = samples.record(measured(samples, after), run=replace(samples.run(), id="later"))
    (change,) = compare(earlier, later).changes
    assert change.trend is trend
