"""Figures from elsewhere beside ours: as a file keeps them, and as texts, properties and chart say them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.reference import Reference
from pytest_nfv.records import explain, junit, summary
from pytest_nfv.records.chart import charts
from pytest_nfv.records.errors import RecordError
from pytest_nfv.records.measurement import Measurement

if TYPE_CHECKING:
    from tests.unit.records.conftest import Samples

RATE = Reference("a paper, table 1", 9.34e6)
OTHERS = (
    Reference("a paper, table 2", 0.701, "share", "vnf0's part of a core", 0.5),
    Reference("a paper, figure 5", 529.3e-6, "s", "mean latency", 41e-6),
    Reference("a paper, figure 8", 3.0, "times", "3 pairs over one", 1.0),
    Reference("a paper, 4.2", 5e6, "pps", "lost before the VNF"),
)
SAID = (
    "vnf0's part of a core 70.1 % (a paper, table 2); here 50 %",
    "mean latency 529 us (a paper, figure 5); here 41 us",
    "3 pairs over one 3x (a paper, figure 8); here 1x",
    "lost before the VNF 5 Mpps (a paper, 4.2)",
)


def test_figures_of_every_unit_go_through_a_file(samples: Samples) -> None:
    one = replace(samples.throughput(), references=(*OTHERS, RATE))
    read = Measurement.of(one.to_json())
    assert read.references == (*OTHERS, RATE)
    assert read.reference == RATE


def test_a_record_from_before_there_could_be_several_is_read(samples: Samples) -> None:
    old: dict[str, Any] = replace(samples.throughput(), references=(RATE,)).to_json()
    del old["references"]
    assert old["reference"] == {"source": "a paper, table 1", "rate_pps": 9.34e6}
    assert Measurement.of(old).references == (RATE,)
    assert Measurement.of(old | {"reference": None}).references == ()


def test_a_unit_that_nobody_knows_is_refused_with_its_place(samples: Samples) -> None:
    wrong = replace(samples.throughput(), references=(RATE,)).to_json()
    wrong["references"][0]["unit"] = "furlongs"
    with pytest.raises(RecordError, match=r"references\[0\].unit is 'furlongs'; accepted: pps, s, share, times"):
        Measurement.of(wrong)


@pytest.mark.parametrize("kind", ["latency", "passed", "throughput"])
def test_each_is_said_with_its_unit_and_with_ours(samples: Samples, kind: str) -> None:
    one: Measurement = replace(getattr(samples, kind)(), references=(*OTHERS, RATE))
    text = " ".join(" ".join(explain.lines(one)).split())
    notes = summary.row("test_it", one).notes
    for said in (*SAID, "9.34 Mpps (a paper, table 1)"):
        assert f"reference {said}" in text
        assert said in notes
    assert dict(junit.properties(one))[f"nfv_{one.kind}_references"].startswith(SAID[0])


def test_only_the_rates_own_has_a_mark_in_the_chart(samples: Samples) -> None:
    def sources(one: Measurement) -> tuple[str, ...]:
        (chart,) = charts(samples.record(one).measurements())
        return chart.references

    assert sources(replace(samples.throughput(), references=OTHERS)) == ()
    assert sources(replace(samples.throughput(), references=(*OTHERS, RATE))) == ("a paper, table 1",)


def test_a_figure_without_a_value_or_unit_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"unit='Gb/s'\): accepted: pps, s, share, times"):
        Reference("a paper", 1.0, "Gb/s")
    with pytest.raises(ConfigurationError, match=r"ours=nan\): accepted: a finite number"):
        Reference("a paper", 1.0, ours=math.nan)
