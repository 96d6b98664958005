"""What a measurement says to a person: one line, or all of it.

Reads the record's own data and nothing else, so that terminal, report and an old record explain alike. Lines are
at most 100 columns wide, without colours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_nfv.model.trial import Latency
from pytest_nfv.model.verdict import Verdict
from pytest_nfv.records.account import Account, telling
from pytest_nfv.records.advice import advice
from pytest_nfv.records.core_table import core_lines
from pytest_nfv.records.facts import fact_lines
from pytest_nfv.records.headline import headline_of
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.records.text import paragraph, table
from pytest_nfv.records.trial_table import trial_lines
from pytest_nfv.records.waterfall import waterfall_lines
from pytest_nfv.records.wording import frames, span

_PERCENTILES_IN_A_ROW = 5  # more of them go beyond 100 columns
_CHANGE = {
    Verdict.FAIL: "what would have to change",
    Verdict.INVALID: "what would have to change for a verdict",
    Verdict.PASS: "room",
    None: "remarks",
}


def headline(measurement: Measurement | Mapping[str, Any]) -> str:
    """Return one line: verdict, figure, goal, and where frames were lost or why nothing was learnt."""
    return headline_of(Measurement.of(measurement))


def lines(measurement: Measurement | Mapping[str, Any]) -> list[str]:
    """Return the explanation that goes below the headline."""
    one = Measurement.of(measurement)
    account = telling(one)
    if account is None:
        return [*fact_lines(one, None), "", "  No trial was run."]
    parts = [
        fact_lines(one, account),
        trial_lines(one),
        _latency_lines(one),
        waterfall_lines(account),
        core_lines(account),
        _change_lines(one, account),
    ]
    said: list[str] = []
    for part in filter(None, parts):
        said += [*([""] if said else []), *part]
    return said


def _change_lines(one: Measurement, account: Account) -> list[str]:
    change = advice(one, account)
    sentences = [line for sentence in change for line in paragraph(sentence, indent=4)]
    title = _CHANGE[one.verdict if one.kind != "latency" or one.verdict is Verdict.INVALID else None]
    return [f"  {title}", *sentences] if change else []


def _latency_lines(one: Measurement) -> list[str]:
    if not one.latency:
        return []
    kept = sorted({p for way in one.latency for p in way.percentiles_ns})
    rest = ("mean", "jitter", "floor")
    rows = [_latency_cells(way, kept) for way in one.latency]
    whole = [("latency", "samples", "min", *(f"p{p:g}" for p in kept), "max", *rest), *rows]
    if len(kept) <= _PERCENTILES_IN_A_ROW:
        return table(whole[0], whole[1:])
    upper = [line[: -len(rest)] for line in whole]
    lower = [(line[0], *line[-len(rest) :]) for line in whole]
    return [*table(upper[0], upper[1:]), "", *table(lower[0], lower[1:])]


def _latency_cells(way: Latency, kept: list[float]) -> tuple[str, ...]:
    name = f"{way.direction} round trip" if way.way == "round trip" else str(way.direction)
    ranks = [span(way.percentiles_ns[p] / 1e9) if p in way.percentiles_ns else "-" for p in kept]
    rest = [span(way.max_ns / 1e9), span(way.mean_ns / 1e9), span(way.jitter_ns / 1e9)]
    floor = span(way.floor_ns / 1e9) if way.floor_ns is not None else "not calibrated"
    return (name, frames(way.samples), span(way.min_ns / 1e9), *ranks, *rest, floor)
