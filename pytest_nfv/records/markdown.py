"""A record as Markdown: what a merge request or a wiki shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_nfv.model.verdict import Verdict
from pytest_nfv.records import explain
from pytest_nfv.records.compare import Comparison
from pytest_nfv.records.environment import facts
from pytest_nfv.records.schema import Record
from pytest_nfv.records.summary import row, totals
from pytest_nfv.records.wording import digits

_HEADER = ("test", "frame", "asked", "result", "of line rate", "loss", "trials", "verdict", "notes")


def markdown(record: Record, comparison: Comparison | None = None) -> str:
    """Return the report's text.

    Args:
        record: the run.
        comparison: the run against an earlier one, where that is wanted.
    """
    rows = [row(test.node_id, one) for test, one in record.measurements()]
    parts = [
        f"# Dataplane report, run {record.run.id}",
        _about(record),
        f"**{totals(one.verdict for one in rows)}**" if rows else "Nothing was measured.",
    ]
    if rows:
        cells = [
            (
                _code(one.group.rpartition("::")[2] + (f"[{one.parameters}]" if one.parameters else "")),
                *map(_text, (one.frame, one.asked, one.result, one.of_line, one.loss, one.trials, one.verdict)),
                _text("; ".join(one.notes)),
            )
            for one in rows
        ]
        parts.append(_table(_HEADER, cells))
    parts += _explanations(record)
    if comparison is not None:
        parts += _comparison(comparison)
    parts += ["## Environment", _table(("fact", "value"), [(_text(k), _text(v)) for k, v in facts(record)])]
    return "\n\n".join(parts) + "\n"


def _about(record: Record) -> str:
    run = record.run
    words = [f"Started {run.started:%Y-%m-%d %H:%M:%S} UTC with pytest-nfv {run.package_version or '(unknown)'}."]
    if run.simulated:
        words.append("**Figures of the simulated device are among these.**")
    if not record.complete:
        words.append("**The run was cut off; this is what it had measured.**")
    return " ".join(words)


def _explanations(record: Record) -> list[str]:
    parts = []
    for test, one in record.measurements():
        if one.verdict in (Verdict.FAIL, Verdict.INVALID):
            text = "\n".join([explain.headline(one), *explain.lines(one)])
            parts += [f"### {_code(test.node_id)}", _fenced(text)]
    return ["## What did not pass", *parts] if parts else []


def _comparison(comparison: Comparison) -> list[str]:
    rows = [
        (
            _code(change.key.node_id),
            change.key.kind,
            "-" if change.ratio is None else digits(change.ratio, 4),
            str(change.trend),
            f"{change.verdict_before or 'measured'} -> {change.verdict_after or 'measured'}"
            if change.verdict_changed
            else "",
        )
        for change in comparison.changes
    ]
    title = f"## Against run {comparison.before_id}"
    missing = len(comparison.only_before)
    added = len(comparison.only_after)
    note = f"Measured only then: {missing}; only now: {added}." if missing or added else ""
    header = ("test", "kind", "time, after / before", "beyond the spread", "verdict")
    return [title, *([_table(header, rows)] if rows else []), *([note] if note else [])]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text: str) -> str:
    """Return text that Markdown takes for itself."""
    for mark in "\\`*_<>[]|":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("\n", " ")


def _code(text: str) -> str:
    plain = text.replace("`", "'").replace("|", "\\|")
    return f"`{plain}`"


def _fenced(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"
