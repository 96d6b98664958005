"""The markers: what they are called, what they take, and what that means for a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_nfv.deployment.traffic import Defaults
    from pytest_nfv.plugin.settings import Settings

MARKERS = (
    (
        "line_rate(loss_ratio=, exceed_ratio=, duration=, duration_sum=)",
        "the test asserts that line rate, or a share of it, is sustained; the arguments set its goal",
    ),
    (
        "throughput(at_least=, loss_ratio=, exceed_ratio=, duration=, duration_sum=, method=)",
        "the test finds a throughput or a forwarding rate; below `at_least` (such as '400kpps') it fails",
    ),
    (
        "latency(p50=, p90=, p99=, p99_9=, p99_99=, p99_999=, duration=)",
        "the test measures latency; a percentile above its limit (such as p99='200us') fails it",
    ),
)

_GOAL_KEYS = frozenset({"loss_ratio", "exceed_ratio", "duration", "duration_sum"})
_PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99_9": 99.9, "p99_99": 99.99, "p99_999": 99.999}
_KEYS: dict[str, frozenset[str]] = {
    "line_rate": _GOAL_KEYS,
    "throughput": _GOAL_KEYS | {"at_least", "method"},
    "latency": frozenset(_PERCENTILES) | {"duration"},
}


def register(config: pytest.Config) -> None:
    """Make the markers known to pytest."""
    for form, meaning in MARKERS:
        config.addinivalue_line("markers", f"{form}: {meaning}")


def defaults(item: pytest.Item, settings: Settings) -> Defaults:
    """Return what options and this test's markers say together; markers win.

    Raises:
        ConfigurationError: an argument that the marker does not take, or a malformed value; names the test.
    """
    from pytest_nfv.errors import ConfigurationError

    try:
        return _defaults(item, settings)
    except ConfigurationError as error:
        raise ConfigurationError(f"{item.nodeid}: {error}") from error


def _defaults(item: pytest.Item, settings: Settings) -> Defaults:
    from dataclasses import replace

    from pytest_nfv.deployment.traffic import Defaults, Requirements
    from pytest_nfv.model.mix import sizes_of
    from pytest_nfv.search.table import search
    from pytest_nfv.units import Duration, PacketRate, ratio

    found = {name: _arguments(item, name) for name in _KEYS}
    told: dict[str, Any] = {key: value for each in found.values() for key, value in each.items()}
    goal = settings.goal
    if "duration" in told:
        length = _read("duration", told, Duration.of)
        scale = goal.duration_sum_s / goal.trial_duration_s
        goal = replace(goal, trial_duration_s=length.s, duration_sum_s=length.s * scale)
    if "duration_sum" in told:
        goal = replace(goal, duration_sum_s=_read("duration_sum", told, Duration.of).s)
    for key in ("loss_ratio", "exceed_ratio"):
        if key in told:
            goal = replace(goal, **{key: _read(key, told, ratio)})
    method = told.get("method", settings.method)
    _read("method", {"method": method}, search)
    least = _read("at_least", told, PacketRate.of) if "at_least" in told else None
    limits = {
        percentile: _read(key, told, Duration.of).s * 1e6
        for key, percentile in _PERCENTILES.items()
        if key in told
    }
    callspec = getattr(item, "callspec", None)
    size = callspec.params.get("frame_size") if callspec is not None else None
    return Defaults(
        goal=goal,
        retry_invalid=settings.retry_invalid,
        method=method,
        frame_size=None if size is None else sizes_of(size),
        requirements=Requirements(least, limits),
    )


def _arguments(item: pytest.Item, name: str) -> dict[str, Any]:
    from pytest_nfv.errors import ConfigurationError

    told: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers(name))):
        unknown = sorted(set(marker.kwargs) - _KEYS[name])
        if marker.args or unknown:
            what = f"positional {marker.args[0]!r}" if marker.args else f"{unknown[0]}="
            raise ConfigurationError(
                f"marker {name} does not take {what}; accepted: {', '.join(sorted(_KEYS[name]))}"
            )
        told |= marker.kwargs
    return told


def _read(key: str, told: dict[str, Any], parse: Callable[[Any], Any]) -> Any:
    from pytest_nfv.errors import ConfigurationError

    try:
        return parse(told[key])
    except ConfigurationError as error:
        raise ConfigurationError(f"marker argument {key}={told[key]!r}: {error}") from error


def thresholds(item: pytest.Item) -> list[str]:
    """Return which kinds of measurement this test's markers declare a threshold for."""
    throughput = any("at_least" in marker.kwargs for marker in item.iter_markers("throughput"))
    latency = any(_PERCENTILES.keys() & marker.kwargs.keys() for marker in item.iter_markers("latency"))
    return ["throughput"] * throughput + ["latency"] * latency
