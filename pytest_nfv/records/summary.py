"""The table at the end of a run: a row for each measurement, grouped by test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pytest_nfv.model.verdict import Verdict
from pytest_nfv.records.account import telling
from pytest_nfv.records.facts import beside
from pytest_nfv.records.headline import floor_text
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.records.text import WIDTH, paragraph, shortened, wrapped_table
from pytest_nfv.records.wording import percent, rate, span

HEADER = ("test", "frame", "asked", "result", "of line", "loss", "trials", "verdict", "notes")
_LONGEST_PARAMETERS = 30


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement in words, a cell each; `of_line` and `loss` are "-" where they mean nothing.

    Attributes:
        group: the test function's node id, parameters left out; parameters: those, without brackets.
        notes: what must be read beside the figures.
    """

    group: str
    parameters: str
    frame: str
    asked: str
    result: str
    of_line: str
    loss: str
    trials: str
    verdict: str
    notes: tuple[str, ...]


def row(node_id: str, measurement: Measurement | Mapping[str, Any]) -> Row:
    """Return one measurement's row."""
    one = Measurement.of(measurement)
    group, _, parameters = node_id.partition("[")
    account = telling(one)
    asked, result, pps = _asked_and_result(one)
    # Of an invalid trial neither figure is the device's.
    known = account is not None and one.verdict is not Verdict.INVALID
    counted = known and account is not None and one.kind in ("gate", "forwarding_rate")
    return Row(
        group=group,
        parameters=parameters.removesuffix("]"),
        frame=one.subject.frames,
        asked=asked,
        result=result,
        of_line=percent(pps / one.line_rate_pps) if known and pps is not None else "-",
        loss=percent(account.loss_ratio) if counted and account is not None else "-",
        trials=str(len(one.trials)),
        verdict=str(one.verdict or "measured"),
        notes=tuple(dict.fromkeys((*(["simulated"] if one.simulated else []), *one.subject.notes, *_limits(one)))),
    )


def _asked_and_result(one: Measurement) -> tuple[str, str, float | None]:
    account = telling(one)
    invalid = one.verdict is Verdict.INVALID or account is None
    if one.kind == "throughput":
        asked = f">= {rate(one.threshold_pps)}" if one.threshold_pps is not None else "-"
        return asked, "-" if invalid else rate(one.rate_pps or 0.0), one.rate_pps
    if one.kind == "forwarding_rate":
        floor = f", >= {rate(one.threshold_pps)}" if one.threshold_pps is not None else ""
        asked = f"up to {rate(one.target_pps or 0.0)}{floor}"
        return asked, "-" if invalid else rate(one.rate_pps or 0.0), one.rate_pps
    asked = rate(one.target_pps or 0.0)
    if one.kind == "latency":
        kept = {p for way in one.latency for p in way.percentiles_ns}
        shown = next((p for p in (99.0, 50.0) if p in kept), None)
        if invalid or shown is None:
            return asked, "-", None
        worst_ns = max(way.percentiles_ns.get(shown, 0.0) for way in one.latency)
        return asked, f"p{shown:g} {span(worst_ns / 1e9)}", None
    forwarded = account.forwarded_pps if account is not None else 0.0
    return asked, "-" if invalid else rate(forwarded), forwarded


def _limits(one: Measurement) -> tuple[str, ...]:
    limits = (f"limited by the {one.limited_by}",) if one.limited_by else ()
    floor = floor_text(one)
    return (*limits, *([floor] if floor else []), *map(beside, one.references))


def lines(measured: Iterable[tuple[str, Measurement | Mapping[str, Any]]], width: int = WIDTH) -> list[str]:
    """Return the table with its notes and totals.

    Args:
        measured: node id and measurement, in the order of the run.
        width: columns of the whole.
    """
    rows = [row(node_id, one) for node_id, one in measured]
    if not rows:
        return []
    notes = list(dict.fromkeys(note for one in rows for note in one.notes))
    cells = [HEADER, *(_cells(one, name, notes) for one, name in zip(rows, _names(rows), strict=True))]
    title, *text = wrapped_table((), cells, left=(0,), indent=2, width=width)
    said = title
    for group, some in groupby(zip(rows, text, strict=True), key=lambda pair: pair[0].group):
        said += [group, *(line for _, its in some for line in its)]
    for number, note in enumerate(notes, start=1):
        said += paragraph(note, first=f"({number}) ", width=width)
    return [*said, "  " + totals(one.verdict for one in rows)]


def _names(rows: Sequence[Row]) -> list[str]:
    """Return the parameters, shortened; whole where two that differ would look alike."""
    meant: dict[tuple[str, str], set[str]] = {}
    for one in rows:
        meant.setdefault((one.group, shortened(one.parameters, _LONGEST_PARAMETERS)), set()).add(one.parameters)
    found = ((one, shortened(one.parameters, _LONGEST_PARAMETERS)) for one in rows)
    return [name if len(meant[one.group, name]) == 1 else one.parameters for one, name in found]


def _cells(one: Row, name: str, notes: list[str]) -> tuple[str, ...]:
    marks = "".join(f"({notes.index(note) + 1})" for note in one.notes)
    return (name, one.frame, one.asked, one.result, one.of_line, one.loss, one.trials, one.verdict, marks)


def totals(verdicts: Iterable[str]) -> str:
    """Return how many measurements got which verdict: `3 PASS, 1 FAIL`."""
    counts = Counter(verdicts)
    order = [*map(str, (Verdict.PASS, Verdict.FAIL, Verdict.INVALID)), "measured"]
    return ", ".join(f"{counts[name]} {name}" for name in order if counts[name])
