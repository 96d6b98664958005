"""Bars of measured rates against line rate, as plain geometry; the template only draws it.

Hand-made SVG instead of a plotting library: a report is then a few kilobytes that open anywhere, offline.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_nfv.model.verdict import Verdict
from pytest_nfv.records.account import telling
from pytest_nfv.records.headline import headline_of
from pytest_nfv.records.measurement import RATED, Measurement
from pytest_nfv.records.schema import Entry
from pytest_nfv.records.wording import rate

WIDTH, HEIGHT = 760.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 12.0, 26.0, 44.0
# A group of bars leaves this share of its room empty. A label needs so much room across, or along within the bar.
GROUP_GAP = 0.3
LABEL_WIDTH, LABEL_HEIGHT = 62.0, 14.0
SERIES_COLOURS = 6


@dataclass(frozen=True, slots=True)
class Bar:
    """One measurement's bar, in the drawing's coordinates.

    Attributes:
        label: the rate, "" where there is no room; upright: it stands within the bar.
        mark: what is written below the bar where it did not pass; title: what a pointer shows.
        reference_y: height of the reference's mark, None without one.
    """

    x: float
    y: float
    width: float
    height: float
    colour: int
    label: str
    upright: bool
    mark: str
    title: str
    reference_y: float | None


@dataclass(frozen=True, slots=True)
class Tick:
    """A label at a place on an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One drawing: a testbed's link, frame sizes along x, share of line rate up.

    Attributes:
        line_y: where line rate is.
        series: what the colours mean, in order.
        references: sources of the reference marks.
    """

    title: str
    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    line_y: float
    series: tuple[str, ...]
    references: tuple[str, ...]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    bottom: float = HEIGHT - BOTTOM


@dataclass(frozen=True, slots=True)
class _Point:
    one: Measurement
    series: str
    pps: float


def charts(measured: Iterable[tuple[Entry, Measurement]]) -> list[Chart]:
    """Return a chart for each testbed and link that has rates; an invalid measurement has a mark and no bar."""
    groups: dict[tuple[str, str], list[_Point]] = {}
    for test, one in measured:
        point = _point(test, one)
        if point is not None:
            groups.setdefault((one.subject.testbed, one.subject.link), []).append(point)
    return [_chart(f"{testbed}, {link}", points) for (testbed, link), points in groups.items()]


def _point(test: Entry, one: Measurement) -> _Point | None:
    account = telling(one)
    if account is None or one.kind == "latency":
        return None
    pps = (one.rate_pps or 0.0) if one.kind in RATED else account.forwarded_pps
    return _Point(one, _series(test, one), 0.0 if one.verdict is Verdict.INVALID else pps)


def _series(test: Entry, one: Measurement) -> str:
    """Return the test's name with all parameters but the frame size, which is along x."""
    name, _, parameters = test.node_id.rpartition("::")[2].partition("[")
    words = [word for word in parameters.removesuffix("]").split("-") if word != str(one.subject.frame_size)]
    return f"{name}[{'-'.join(words)}]" if words != [""] and words else name


def _chart(title: str, points: list[_Point]) -> Chart:
    series = list(dict.fromkeys(point.series for point in points))
    sizes = sorted({point.one.subject.frame_size for point in points})
    top = max(1.0, *(_share(point.one, pps) for point in points for pps in _rates(point)))
    group = (WIDTH - LEFT - RIGHT) / len(sizes)
    width = group * (1 - GROUP_GAP) / len(series)

    def y(share: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - share / top), 1)

    def bar(point: _Point) -> Bar:
        place, colour = sizes.index(point.one.subject.frame_size), series.index(point.series)
        height = y(0) - y(_share(point.one, point.pps))
        reference = point.one.reference
        verdict = str(point.one.verdict or "measured")
        wide = width >= LABEL_WIDTH
        fits = wide or (width >= LABEL_HEIGHT and height >= LABEL_WIDTH)
        passed = point.one.verdict in (Verdict.PASS, None)
        return Bar(
            x=round(LEFT + group * (place + GROUP_GAP / 2) + width * colour, 1),
            y=y(_share(point.one, point.pps)),
            width=round(width * 0.92, 1),
            height=round(height, 1),
            colour=colour % SERIES_COLOURS,
            label=rate(point.pps) if fits and point.pps else "",
            upright=not wide,
            mark="" if passed else (verdict if wide else verdict[0]),
            title=headline_of(point.one),
            reference_y=y(_share(point.one, reference.value)) if reference else None,
        )

    return Chart(
        title=title,
        bars=tuple(map(bar, points)),
        x_ticks=tuple(Tick(round(LEFT + group * (i + 0.5), 1), f"{size} B") for i, size in enumerate(sizes)),
        y_ticks=tuple(Tick(y(share), f"{share:.0%}") for share in _steps(top)),
        line_y=y(1.0),
        series=tuple(series),
        references=tuple(dict.fromkeys(point.one.reference.source for point in points if point.one.reference)),
    )


def _rates(point: _Point) -> list[float]:
    return [point.pps, *([point.one.reference.value] if point.one.reference else [])]


def _share(one: Measurement, pps: float) -> float:
    return pps / one.line_rate_pps


def _steps(top: float) -> list[float]:
    """Return quarters of line rate, coarser where a reference is far above it."""
    step = 0.25
    while top / step > 8:
        step *= 2
    return [step * i for i in range(int(top / step + 1e-9) + 1)]
