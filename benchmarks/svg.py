"""A line plot with logarithmic axes as SVG text: for `docs/`, without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 40, 50
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#7f7f7f")
_INK, _GRID = "#444", "#ddd"

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """A logarithmic axis between two positions in pixels; `low` and `high` are whole powers of `base`."""

    base: int
    low: float
    high: float
    start: float
    end: float

    @classmethod
    def around(cls, base: int, values: Sequence[float], start: float, end: float) -> Axis:
        """Return the axis that holds `values`, which are above 0."""
        low = base ** math.floor(math.log(min(values), base) + 1e-9)
        high = base ** math.ceil(math.log(max(values), base) - 1e-9)
        return cls(base, low, max(high, low * base), start, end)

    def at(self, value: float) -> float:
        """Return where a value lies."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return the powers of the base on it."""
        count = round(math.log(self.high / self.low, self.base))
        return [self.low * self.base**power for power in range(count + 1)]


def plot(title: str, x_name: str, y_name: str, series: Mapping[str, Points]) -> str:
    """Return the plot: x by powers of two, y by powers of ten, one colour a series."""
    points = [point for line in series.values() for point in line]
    across = Axis.around(2, [x for x, _ in points], LEFT, WIDTH - RIGHT)
    upwards = Axis.around(10, [y for _, y in points], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12" fill="{_INK}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 22, title, size=14),
        *(_vertical(across.at(tick), f"{tick:g}") for tick in across.ticks()),
        *(_horizontal(upwards.at(tick), f"{tick:g}") for tick in upwards.ticks()),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_name, anchor="middle"),
        f'<text x="18" y="{HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 18 {HEIGHT / 2})">'
        f"{escape(y_name)}</text>",
    ]
    for number, (name, line) in enumerate(series.items()):
        parts += _series(number, name, [(across.at(x), upwards.at(y)) for x, y in line])
    return "\n".join([*parts, "</svg>", ""])


def _series(number: int, name: str, places: Points) -> list[str]:
    colour = COLOURS[number % len(COLOURS)]
    dash = ' stroke-dasharray="5 3"' if number >= len(COLOURS) else ""
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    y = TOP + 8 + 18 * number
    x = WIDTH - RIGHT + 16
    return [
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.8"{dash}/>',
        f'<line x1="{x}" y1="{y}" x2="{x + 22}" y2="{y}" stroke="{colour}" stroke-width="1.8"{dash}/>',
        _text(x + 28, y + 4, name),
    ]


def _vertical(x: float, label: str) -> str:
    line = f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" stroke="{_GRID}"/>'
    return line + _text(x, HEIGHT - BOTTOM + 16, label, anchor="middle")


def _horizontal(y: float, label: str) -> str:
    line = f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{_GRID}"/>'
    return line + _text(LEFT - 8, y + 4, label, anchor="end")


def _text(x: float, y: float, words: str, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'
