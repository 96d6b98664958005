"""Renderers that read records alone: terminal summary, JUnit, Markdown, HTML."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_nfv.model.reference import Reference
from pytest_nfv.model.verdict import Verdict
from pytest_nfv.records import junit, summary
from pytest_nfv.records.chart import charts
from pytest_nfv.records.errors import RecordError
from pytest_nfv.records.html import html
from pytest_nfv.records.markdown import markdown
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.records.render import write_report
from pytest_nfv.records.schema import Entry, Record
from pytest_nfv.records.text import WIDTH

if TYPE_CHECKING:
    from tests.unit.records.conftest import Samples

FILE = "perf_tests/test_switch.py"


def entry(one: Measurement, name: str = "test_gate") -> tuple[Entry, Measurement]:
    return Entry(f"{FILE}::{name}[linux-bridge-{one.subject.frame_size}]", "passed"), one


class Page(HTMLParser):
    """Every tag closed, every link inside the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.add(value or "")
            if name in ("href", "src"):
                self.links.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_summary_has_a_row_for_each_measurement(samples: Samples) -> None:
    measured: list[tuple[str, Any]] = [
        (f"{FILE}::test_line_rate[linux-bridge-64]", samples.invalid()),
        (f"{FILE}::test_line_rate[linux-bridge-128]", samples.failed().to_json()),
        (f"{FILE}::test_line_rate[linux-bridge-256]", samples.passed()),
        (f"{FILE}::test_throughput", samples.throughput().required(at_least_pps=4e5)),
        (f"{FILE}::test_latency", samples.latency()),
    ]
    lines = summary.lines(measured)
    assert [" ".join(line.split()) for line in lines] == [
        "test frame asked result of line loss trials verdict notes",
        f"{FILE}::test_line_rate",
        "linux-bridge-64 64 B 1.488 Mpps - - - 4 INVALID",
        "linux-bridge-128 128 B 844.6 kpps 760 kpps 90 % 10 % 2 FAIL (1)",
        "linux-bridge-256 256 B 452.9 kpps 452.9 kpps 100 % 0 % 2 PASS",
        f"{FILE}::test_throughput",
        "64 B >= 400 kpps 755 kpps 50.7 % - 3 PASS",
        f"{FILE}::test_latency",
        "128 B 100 kpps p99 31.5 us - - 1 measured (2)",
        "(1) device core not isolated",
        "(2) generator's floor 6.9 us",
        "2 PASS, 1 FAIL, 1 INVALID, 1 measured",
    ]
    assert max(map(len, lines)) <= WIDTH


def test_summary_of_more_notes_than_a_line_has_room_for(samples: Samples) -> None:
    spoken = samples.gate(Verdict.PASS, samples.passed().trials, notes=tuple(f"note {n}" for n in range(30)))
    lines = summary.lines([("t.py::test_x", spoken), ("t.py::test_y", samples.passed())])
    assert "t.py::test_y" in lines
    assert "".join(lines[2 : lines.index("t.py::test_y")]).replace(" ", "").endswith("(29)(30)")
    assert max(map(len, lines)) <= WIDTH


def test_summary_marks_what_is_simulated(samples: Samples) -> None:
    assert "  (1) simulated" in summary.lines([("t.py::test_x", samples.simulated())])


def test_summary_of_nothing_is_nothing() -> None:
    assert summary.lines([]) == []


def test_junit_properties_have_units_in_their_names(samples: Samples) -> None:
    values = dict(junit.properties(samples.failed()))
    assert values["nfv_gate_verdict"] == "FAIL"
    assert values["nfv_gate_target_pps"] == "844594"
    assert values["nfv_gate_forwarded_pps"] == "760049"
    assert values["nfv_gate_lost_frames"] == "169090"
    assert float(values["nfv_gate_loss_ratio"]) == pytest.approx(169_090 / 1_689_188)
    assert values["nfv_gate_simulated"] == "false"
    assert "nfv_gate_throughput_pps" not in values


def test_junit_says_nothing_about_the_device_of_an_invalid_one(samples: Samples) -> None:
    names = dict(junit.properties(samples.invalid())).keys()
    assert "nfv_gate_offered_pps" in names
    assert not {"nfv_gate_forwarded_pps", "nfv_gate_lost_frames", "nfv_gate_loss_ratio"} & names


def test_junit_of_throughput_and_latency(samples: Samples) -> None:
    assert dict(junit.properties(samples.throughput().to_json()))["nfv_throughput_throughput_pps"] == "755000"
    assert dict(junit.properties(samples.latency()))["nfv_latency_latency_p99_ns"] == "31500"


def test_markdown_has_table_explanation_and_environment(samples: Samples) -> None:
    text = markdown(samples.record())
    assert "**1 PASS, 1 FAIL, 1 INVALID**" in text
    assert "| `test_gate[linux-bridge-128]` | 128 B | 844.6 kpps | 760 kpps | 90 % | 10 % | 2 | FAIL |" in text
    assert "where the frames went, port 0 to port 1" in text
    assert "| host local cpu\\_model | a \\<small\\> CPU |" in text
    assert text.count("```text") == 2


def test_markdown_cannot_be_broken_by_names(samples: Samples) -> None:
    one = replace(samples.failed(), reasons=("``` and | so",))
    record = Record(samples.run()).with_results((Entry("t.py::test_x[`a|b`]", "failed", 1.0, (one,)),))
    text = markdown(record)
    assert "`test_x['a\\|b']`" in text
    assert "````text" in text


def test_html_is_one_whole_page(samples: Samples) -> None:
    text = html(samples.record())
    page = Page(text)
    assert page.open == []
    assert page.links, "verdicts link to their explanations"
    assert {link.removeprefix("#") for link in page.links} <= page.ids
    assert "//" not in re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL), "nothing is loaded from anywhere"
    assert "prefers-color-scheme: dark" in text
    assert text.count("<details") == 3
    assert len(re.findall(r"<details[^>]* open>", text)) == 2, "what did not pass is unfolded"


def test_html_says_what_may_have_spoilt_the_figures(samples: Samples) -> None:
    record = samples.record()
    assert "may have spoilt" not in html(record)
    finding = {"severity": "high", "text": "core 0 is <busy>", "remedy": "end it"}
    host = {"local": {**record.environment.host["local"], "readiness": [finding]}}
    page = html(replace(record, environment=replace(record.environment, host=host)))
    assert "What may have spoilt these figures" in page
    assert "core 0 is &lt;busy&gt;<br><small>end it</small>" in page
    assert page.count("core 0 is") == 1, "told once, not among the facts, too"


def test_html_shows_text_as_text(samples: Samples) -> None:
    one = replace(samples.failed(), reasons=("<script>alert(1)</script>",))
    text = html(samples.record(one))
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "a &lt;small&gt; CPU" in text


def test_html_marks_simulated_and_cut_off_runs(samples: Samples) -> None:
    plain = html(samples.record())
    assert "simulated device" not in plain
    assert "was cut off" not in plain
    record = samples.record(samples.simulated())
    assert "Figures of the simulated device" in html(record)
    assert "The run was cut off" in html(record.with_results(record.results, complete=False))


def test_html_of_a_run_without_measurements(samples: Samples) -> None:
    record = Record(samples.run()).with_results((Entry("t.py::test_x", "error"),))
    page = Page(html(record))
    assert page.open == []
    assert "Nothing was measured." in page.texts
    assert "t.py::test_x" in page.texts


def test_chart_draws_shares_of_line_rate(samples: Samples) -> None:
    found = charts(map(entry, (samples.failed(128), samples.passed(256), samples.invalid(64))))
    (chart,) = found
    assert chart.title == "local, 1GbE"
    assert chart.series == ("test_gate[linux-bridge]",)
    assert [tick.text for tick in chart.x_ticks] == ["64 B", "128 B", "256 B"]
    failed, passed, invalid = chart.bars
    room = chart.bottom - chart.line_y
    assert passed.height == pytest.approx(room, abs=0.2)
    assert failed.height == pytest.approx(room * 0.9, abs=0.2)
    assert (invalid.height, invalid.label) == (0, "")
    assert [bar.mark for bar in chart.bars] == ["FAIL", "", "INVALID"]
    assert invalid.x < failed.x < passed.x


def test_chart_makes_room_for_a_reference_above_line_rate(samples: Samples) -> None:
    one = replace(samples.throughput(), references=(Reference("a paper", 3 * 1_488_095.0),))
    (chart,) = charts([entry(one)])
    (bar,) = chart.bars
    assert bar.reference_y is not None
    assert 0 <= bar.reference_y < chart.line_y < bar.y
    assert chart.references == ("a paper",)
    assert len(chart.y_ticks) <= 9


def test_series_do_not_cover_each_other(samples: Samples) -> None:
    measured = [entry(samples.passed(size), name) for size in (256, 512) for name in ("test_a", "test_b")]
    (chart,) = charts(measured)
    spans = sorted((bar.x, bar.x + bar.width) for bar in chart.bars)
    assert len(spans) == 4
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_latency_has_no_bar(samples: Samples) -> None:
    assert charts([entry(samples.latency())]) == []


def test_report_is_written_with_a_comparison(samples: Samples, tmp_path: Path) -> None:
    before = samples.record(samples.failed(), run=samples.run("before"))
    passed = replace(samples.failed(), verdict=Verdict.PASS)
    page, text = write_report(samples.record(passed), tmp_path, against=before)
    assert "Against run before" in page.read_text()
    assert "FAIL -> PASS" in text.read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "report.md"}


def test_report_that_cannot_be_written_says_why(samples: Samples, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"report\.html: cannot be written: No such file or directory"):
        write_report(samples.record(), tmp_path / "none")


def test_rows_that_would_look_alike_when_shortened_are_named_whole(samples: Samples) -> None:
    names = [f"local-throughput,local,{pairs}vs{pairs},ovs-dpdk,1500,20M,32" for pairs in (1, 2)]
    lines = summary.lines([(f"t.py::test_x[{name}]", samples.simulated()) for name in names])
    assert [sum(name in line for line in lines) for name in names] == [1, 1]
