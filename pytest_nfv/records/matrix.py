"""Verdicts as a matrix: a row for each test and topology, a column for each frame size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_nfv.model.verdict import Verdict
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.records.schema import Entry
from pytest_nfv.records.summary import row

# Where several measurements share a cell, the one that needs a reader's attention most is shown.
_ATTENTION = [str(Verdict.FAIL), str(Verdict.INVALID), "measured", str(Verdict.PASS)]


@dataclass(frozen=True, slots=True)
class Cell:
    """One place of the matrix.

    Attributes:
        verdict: "" where nothing was measured.
        text: share of line rate, or "".
        anchor: the measurement that it stands for.
    """

    verdict: str = ""
    text: str = ""
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Matrix:
    """The whole: frame sizes across, (test, topology, cells) down."""

    sizes: tuple[int, ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]


def matrix(measured: Iterable[tuple[Entry, Measurement]], anchors: Iterable[str]) -> Matrix:
    """Return the matrix.

    Args:
        measured: tests and measurements, in the order of the run.
        anchors: a name for each measurement, in the same order.
    """
    cells: dict[tuple[str, str], dict[int, Cell]] = {}
    for (test, one), anchor in zip(measured, anchors, strict=True):
        words = row(test.node_id, one)
        subject = one.subject
        where = cells.setdefault((words.group.rpartition("::")[2], f"{subject.topology} on {subject.testbed}"), {})
        made = Cell(words.verdict, "" if words.of_line == "-" else words.of_line, anchor)
        before = where.get(subject.frame_size)
        if before is None or _ATTENTION.index(made.verdict) < _ATTENTION.index(before.verdict):
            where[subject.frame_size] = made
    sizes = tuple(sorted({size for found in cells.values() for size in found}))
    rows = (
        (name, topology, tuple(found.get(size, Cell()) for size in sizes))
        for (name, topology), found in cells.items()
    )
    return Matrix(sizes, tuple(rows))
