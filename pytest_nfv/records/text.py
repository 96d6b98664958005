"""Aligned text for terminals: tables and wrapped paragraphs of at most `WIDTH` columns, no colours."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

WIDTH = 100
_GAP = "  "
_NARROWEST = 20
_FIGURE = re.compile(r"(?<=\d) (?=%|[kMG]?(?:pps|b/s)\b|(?:B|s|ms|us|ns)\b)")
_GLUE = "\N{NO-BREAK SPACE}"


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: Sequence[int] = (),
    indent: int = 2,
    width: int = WIDTH,
) -> list[str]:
    """Return an aligned table.

    Args:
        header: titles; empty leaves the line out.
        rows: cells, as many a row as there are columns.
        left: columns set flush left; all others flush right. The last column is always left, and wrapped.
        indent: columns before the first.
        width: columns of the whole.
    """
    return [line for one in wrapped_table(header, rows, left=left, indent=indent, width=width) for line in one]


def wrapped_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: Sequence[int] = (),
    indent: int = 2,
    width: int = WIDTH,
) -> list[list[str]]:
    """Return the same, the lines of each row by themselves: first the header's, where there is one."""
    if not rows:
        return []
    lines = [list(header), *map(list, rows)] if header else [list(row) for row in rows]
    last = len(lines[0]) - 1
    widths = [max(len(line[i]) for line in lines) for i in range(last)]
    room = max(_NARROWEST, width - indent - sum(widths) - len(_GAP) * last)
    made = []
    for line in lines:
        cells = [
            cell.ljust(w) if i in left else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=False))
        ]
        wrapped = _wrap(line[last], room) or [""]
        start = " " * indent + _GAP.join([*cells, ""])
        made.append([(start + wrapped[0]).rstrip(), *(" " * len(start) + more for more in wrapped[1:])])
    return made


def paragraph(text: str, *, indent: int = 2, first: str = "", width: int = WIDTH) -> list[str]:
    """Return wrapped lines; `first` stands before the first line and the others hang below the text."""
    start = " " * indent + first
    lines = _wrap(text, width - len(start)) or [""]
    return [(start + lines[0]).rstrip(), *(" " * len(start) + line for line in lines[1:])]


def _wrap(text: str, width: int) -> list[str]:
    """Return wrapped lines that keep a figure and its unit together."""
    return [line.replace(_GLUE, " ") for line in textwrap.wrap(_FIGURE.sub(_GLUE, text), width)]


def shortened(text: str, width: int) -> str:
    """Return `text`, its middle left out where it is longer than `width`."""
    if len(text) <= width:
        return text
    head = (width - 3) // 2
    return text[:head] + "..." + text[len(text) - (width - 3 - head) :]
