"""A measurement as JUnit properties: names carry kind and unit, values are plain numbers and words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_nfv.model.verdict import Verdict
from pytest_nfv.records.account import telling
from pytest_nfv.records.facts import beside
from pytest_nfv.records.headline import headline_of
from pytest_nfv.records.measurement import Measurement


def properties(measurement: Measurement | Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (name, value) pairs; what was not measured is left out."""
    one = Measurement.of(measurement)
    subject = one.subject
    values: dict[str, float | int | str | bool | None] = {
        "verdict": str(one.verdict or "measured"),
        "headline": headline_of(one),
        "topology": subject.topology,
        "testbed": subject.testbed,
        "link": subject.link,
        "frame_size_octets": subject.frame_size,
        "mix": subject.mix.name if subject.mix else None,
        "flows": subject.flows if subject.flows > 1 else None,
        "simulated": one.simulated,
        "trials_count": len(one.trials),
        "invalid_trials_count": sum(not trial.valid for trial in one.trials),
        "target_pps": one.target_pps,
        "threshold_pps": one.threshold_pps,
        "throughput_pps" if one.kind == "throughput" else "median_pps": one.rate_pps,
        "reference_pps": one.reference.value if one.reference else None,
        "reference": one.reference.source if one.reference else None,
        "references": "; ".join(map(beside, one.references)) or None,
        "line_rate_pps": one.line_rate_pps,
        **_counted(one),
    }
    for percentile in sorted({p for way in one.latency for p in way.percentiles_ns}):
        worst_ns = max(way.percentiles_ns.get(percentile, 0.0) for way in one.latency)
        values[f"latency_p{percentile:g}_ns"] = worst_ns
    floors = [(way.floor_ns, way.resolution_ns) for way in one.latency if way.floor_ns is not None]
    if floors:
        values["latency_floor_ns"], values["latency_resolution_ns"] = max(floors)
    return [(f"nfv_{one.kind}_{name}", _text(value)) for name, value in values.items() if value is not None]


def _counted(one: Measurement) -> dict[str, float | int | str | bool | None]:
    """Return what the telling trials counted; of invalid ones only what the generator did."""
    account = telling(one)
    if account is None:
        return {}
    offered: dict[str, float | int | str | bool | None] = {
        "offered_pps": account.offered_pps,
        "sent_frames": account.sent,
    }
    if one.verdict is Verdict.INVALID:
        return offered
    return offered | {
        "forwarded_pps": account.forwarded_pps,
        "lost_frames": account.lost,
        "loss_ratio": account.loss_ratio,
    }


def _text(value: float | int | str | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.10g}" if isinstance(value, float) else str(value)
