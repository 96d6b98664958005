"""Reports from records alone: whatever made the record, and however long ago."""

from __future__ import annotations

from pathlib import Path

from pytest_nfv.records.compare import compare
from pytest_nfv.records.files import replace_text
from pytest_nfv.records.html import html
from pytest_nfv.records.markdown import markdown
from pytest_nfv.records.schema import Record


def write_report(record: Record, directory: Path, against: Record | None = None) -> tuple[Path, Path]:
    """Write `report.html` and `report.md`; return their paths.

    Args:
        record: the run.
        directory: where they go; must be there.
        against: an earlier run to compare with.

    Raises:
        RecordError: a file cannot be written, or a simulated run is to be compared with a real one.
    """
    comparison = compare(against, record) if against is not None else None
    page, text = directory / "report.html", directory / "report.md"
    replace_text(page, html(record, comparison))
    replace_text(text, markdown(record, comparison))
    return page, text
