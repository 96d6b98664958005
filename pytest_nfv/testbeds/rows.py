"""Findings of a check, a row each, and the table of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "missing"]


@dataclass(frozen=True, slots=True)
class Row:
    """One finding.

    Attributes:
        subject: host, port, link or testbed.
        what: that was looked at.
        state: `missing` is what a run needs; `note` is what it can do without, or what makes it slower or noisier.
        said: what was found.
        remedy: how to get what is missing.
    """

    subject: str
    what: str
    state: State
    said: str
    remedy: str = ""


def ok(subject: str, what: str, said: str) -> Row:
    """Return a row of what works."""
    return Row(subject, what, "ok", said)


def note(subject: str, what: str, said: str, remedy: str = "") -> Row:
    """Return a row of what a run can do without."""
    return Row(subject, what, "note", said, remedy)


def missing(subject: str, what: str, said: str, remedy: str) -> Row:
    """Return a row of what a run needs and has not."""
    return Row(subject, what, "missing", said, remedy)


def table(rows: Sequence[Row]) -> str:
    """Return the rows as lines, with a sum at the end."""
    first = max((len(row.subject) for row in rows), default=0)
    second = max((len(row.what) for row in rows), default=0)
    lines = []
    for row in rows:
        state = "MISSING" if row.state == "missing" else row.state
        end = f"; {row.remedy}" if row.remedy else ""
        lines.append(f"{row.subject:{first}}  {row.what:{second}}  {state:7}  {row.said}{end}")
    states = [row.state for row in rows]
    return "\n".join([*lines, f"{states.count('ok')} ok, {states.count('note')} notes, {failed(rows)} missing"])


def failed(rows: Sequence[Row]) -> int:
    """Return how many rows are of something that a run needs."""
    return sum(row.state == "missing" for row in rows)
