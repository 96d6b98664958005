"""Figures as people read them: four digits, a unit, no exponent, and never "100 %" for a little less."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_SPANS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


def digits(value: float, significant: int = 4) -> str:
    """Return `value` with so many significant digits, without exponent and without trailing zeros."""
    if not value:
        return "0"
    places = max(0, significant - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rate(pps: float) -> str:
    """Return a packet rate: `844.6 kpps`."""
    return _prefixed(pps, "pps")


def bit_rate(bps: float) -> str:
    """Return a bit rate: `9.34 Gb/s`."""
    return _prefixed(bps, "b/s")


def _prefixed(value: float, unit: str) -> str:
    for factor, prefix in _PREFIXES:
        if value >= factor * 0.99995:
            return f"{digits(value / factor)} {prefix}{unit}"
    return f"{digits(value)} {unit}"


def figure(value: float, unit: str) -> str:
    """Return a figure in one of the units that references have."""
    return _FIGURES[unit](value)


def span(seconds: float) -> str:
    """Return a span of time: `12.3 ms`."""
    if not seconds:
        return "0 s"
    for factor, unit in _SPANS:
        if abs(seconds) >= factor * 0.9995:
            return f"{digits(seconds / factor, 3)} {unit}"
    return f"{digits(seconds / 1e-9, 3)} ns"


def percent(share: float) -> str:
    """Return a share as percent with three digits; more of them where fewer would claim all."""
    for significant in range(3, 9):
        text = digits(share * 100, significant)
        if text != "100" or share == 1:
            break
    return f"{text} %"


def frames(count: int) -> str:
    """Return a count of frames: `2,533,782`."""
    return f"{count:,}"


def numbered(numbers: Sequence[int]) -> str:
    """Return `trial 2`, `trials 1-3`, `trials 1, 3, 5`; numbers ascend."""
    if len(numbers) == 1:
        return f"trial {numbers[0]}"
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"trials {numbers[0]}-{numbers[-1]}"
    return "trials " + ", ".join(map(str, numbers))


def times(factor: float) -> str:
    """Return a factor rounded up to two digits after the point: what is asked for must suffice."""
    return f"{math.ceil(factor * 100 - 1e-9) / 100:g}x"


_FIGURES: dict[str, Callable[[float], str]] = {
    "pps": rate,
    "s": span,
    "share": percent,
    "times": lambda factor: f"{digits(factor, 3)}x",
}
