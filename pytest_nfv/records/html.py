"""A record as one HTML file that needs nothing else: no network, no script, light and dark."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_nfv.model.verdict import Verdict
from pytest_nfv.records import explain
from pytest_nfv.records.chart import charts
from pytest_nfv.records.compare import Comparison
from pytest_nfv.records.environment import facts, readiness
from pytest_nfv.records.matrix import matrix
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.records.schema import Entry, Record
from pytest_nfv.records.summary import Row, row, totals


@dataclass(frozen=True, slots=True)
class Shown:
    """One measurement on the page.

    Attributes:
        anchor: name of its place on the page.
        open: whether its explanation is unfolded.
    """

    anchor: str
    row: Row
    headline: str
    text: str
    open: bool


def html(record: Record, comparison: Comparison | None = None) -> str:
    """Return the page.

    Args:
        record: the run.
        comparison: the run against an earlier one, where that is wanted.
    """
    from jinja2 import (
        Environment,
        PackageLoader,
        StrictUndefined,
    )  # late: a run without a report needs no templates

    loader = PackageLoader("pytest_nfv.records", "templates")
    page = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    measured = list(record.measurements())
    shown = [_shown(number, test, one) for number, (test, one) in enumerate(measured, start=1)]
    return page.get_template("report.html.j2").render(
        record=record,
        run=record.run,
        started=f"{record.run.started:%Y-%m-%d %H:%M:%S} UTC",
        totals=totals(one.row.verdict for one in shown),
        verdicts=_verdicts(shown),
        shown=shown,
        charts=charts(measured),
        matrix=matrix(measured, [one.anchor for one in shown]),
        unmeasured=[test for test in record.results if not test.measurements],
        comparison=comparison,
        facts=facts(record),
        readiness=readiness(record),
    )


def _shown(number: int, test: Entry, one: Measurement) -> Shown:
    words = row(test.node_id, one)
    text = "\n".join(explain.lines(one))
    return Shown(f"m{number}", words, explain.headline(one), text, one.verdict in (Verdict.FAIL, Verdict.INVALID))


def _verdicts(shown: list[Shown]) -> list[tuple[str, int]]:
    names = [*map(str, (Verdict.PASS, Verdict.FAIL, Verdict.INVALID)), "measured"]
    return [(name, sum(one.row.verdict == name for one in shown)) for name in names]
