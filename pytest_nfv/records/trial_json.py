"""A trial as JSON and back: raw counts and spans, the unit in every key, nothing derived."""

from __future__ import annotations

from typing import Any

from pytest_nfv.model.trial import (
    CoreUse,
    Direction,
    FlowCounts,
    GeneratorHealth,
    GuestUse,
    Hop,
    Latency,
    ThreadUse,
    TrialResult,
    TrialSpec,
)
from pytest_nfv.records.reading import Node

_FLOW_COUNTS = ("intended", "sent", "received", "duplicated", "reordered", "corrupted", "foreign")
_GUEST_SPANS = ("user_s", "system_s", "softirq_s", "idle_s", "steal_s")
_CORE_SPANS = ("wall_s", "user_s", "system_s", "softirq_s", "steal_s")


def encode_trial(trial: TrialResult) -> dict[str, Any]:
    """Return a trial as plain JSON values."""
    spec = trial.spec
    return {
        "frame_size_octets": spec.frame_size,
        "rate_pps": spec.rate_pps,
        "duration_s": spec.duration_s,
        "directions": [str(way) for way in spec.directions],
        "started_at_epoch_s": trial.started_at,
        "offered_for_s": trial.offered_for_s,
        "settle_s": trial.settle_s,
        "flows": [_encode_flow(flow) for flow in trial.flows],
        "hops": [
            {
                "direction": str(hop.direction),
                "place": hop.place,
                "passed_frames": hop.frames,
                "drops_frames": dict(hop.drops),
            }
            for hop in trial.hops
        ],
        "latency": [encode_latency(one) for one in trial.latency],
        "cores": [
            {
                "role": core.role,
                "core": core.core,
                **{key: getattr(core, key) for key in _CORE_SPANS},
                "frequency_hz": core.frequency_hz,
            }
            for core in trial.cores
        ],
        "threads": [
            {
                "role": one.role,
                "name": one.name,
                "cpu_s": one.cpu_s,
                "run_delay_s": one.run_delay_s,
                "worked_s": one.worked_s,
                "system_s": one.system_s,
                "worked_cycles": one.worked_cycles,
                "held_s": one.held_s,
            }
            for one in trial.threads
        ],
        "guests": [{"name": one.name, **{key: getattr(one, key) for key in _GUEST_SPANS}} for one in trial.guests],
        "generator": {
            "longest_stall_s": trial.generator.longest_stall_s,
            "stall_limit_s": trial.generator.stall_limit_s,
            "stalled_s": trial.generator.stalled_s,
            "receive_overruns_frames": trial.generator.receive_overruns,
            "cpu_s": trial.generator.cpu_s,
            "involuntary_switches_count": trial.generator.involuntary_switches,
        },
        "invalid": list(trial.invalid),
        "disturbed": list(trial.disturbed),
        "simulated": trial.simulated,
    }


def decode_trial(node: Node) -> TrialResult:
    """Read what `encode_trial` wrote.

    Raises:
        RecordError: a key is missing, or a value is not of its kind or out of range.
    """
    ways = tuple(_direction(one) for one in node.key("directions").items())
    frame_size, rate = node.key("frame_size_octets").count(), node.key("rate_pps").number()
    duration = node.key("duration_s").number()
    spec = node.made(lambda: TrialSpec(frame_size, rate, duration, ways))
    offered_for = node.key("offered_for_s")
    if offered_for.number() < 0:
        offered_for.fail("seconds, 0 or more")
    flows = tuple(_decode_flow(one) for one in node.key("flows").items())
    if not flows:
        node.key("flows").fail("at least one flow")
    return TrialResult(
        spec=spec,
        flows=flows,
        offered_for_s=offered_for.number(),
        settle_s=node.key("settle_s").number(),
        started_at=node.key("started_at_epoch_s").number(),
        hops=tuple(_decode_hop(one) for one in node.key("hops").items()),
        latency=tuple(decode_latency(one) for one in node.key("latency").items()),
        cores=tuple(_decode_core(one) for one in node.key("cores").items()),
        threads=tuple(_decode_thread(one) for one in node.key("threads").items()),
        generator=_decode_health(node.key("generator")),
        invalid=node.key("invalid").texts(),
        disturbed=node.key("disturbed").texts(),
        simulated=node.key("simulated").flag(),
        guests=tuple(_decode_guest(one) for one in (node.later_key("guests").maybe(Node.items) or ())),
    )


def encode_latency(one: Latency) -> dict[str, Any]:
    """Return one direction's latency as plain JSON values; percentiles are texts, as JSON's keys must be."""
    return {
        "direction": str(one.direction),
        "samples_frames": one.samples,
        "min_ns": one.min_ns,
        "mean_ns": one.mean_ns,
        "max_ns": one.max_ns,
        "percentiles_ns": {f"{p:g}": value for p, value in sorted(one.percentiles_ns.items())},
        "jitter_ns": one.jitter_ns,
        "floor_ns": one.floor_ns,
        "resolution_ns": one.resolution_ns,
    }


def decode_latency(node: Node) -> Latency:
    """Read what `encode_latency` wrote."""
    return Latency(
        direction=_direction(node.key("direction")),
        samples=node.key("samples_frames").count(),
        min_ns=node.key("min_ns").number(),
        mean_ns=node.key("mean_ns").number(),
        max_ns=node.key("max_ns").number(),
        percentiles_ns=node.key("percentiles_ns").percentiles(),
        jitter_ns=node.key("jitter_ns").number(),
        floor_ns=node.key("floor_ns").maybe(Node.number),
        resolution_ns=node.later_key("resolution_ns").maybe(Node.number),
    )


def _encode_flow(flow: FlowCounts) -> dict[str, Any]:
    return {"direction": str(flow.direction), **{f"{key}_frames": getattr(flow, key) for key in _FLOW_COUNTS}}


def _decode_flow(node: Node) -> FlowCounts:
    counts = {key: node.key(f"{key}_frames").count() for key in _FLOW_COUNTS}
    return FlowCounts(_direction(node.key("direction")), **counts)


def _decode_hop(node: Node) -> Hop:
    return Hop(
        _direction(node.key("direction")),
        node.key("place").text(),
        node.key("passed_frames").count(),
        node.key("drops_frames").counts(),
    )


def _decode_core(node: Node) -> CoreUse:
    if not node.key("wall_s").number() > 0:
        node.key("wall_s").fail("seconds, above 0")
    spans = {key: node.key(key).number() for key in _CORE_SPANS}
    frequency_hz = node.later_key("frequency_hz").maybe(Node.number)
    return CoreUse(node.key("role").text(), node.key("core").count(), **spans, frequency_hz=frequency_hz)


def _decode_thread(node: Node) -> ThreadUse:
    return ThreadUse(
        node.key("role").text(),
        node.key("name").text(),
        node.key("cpu_s").number(),
        node.key("run_delay_s").number(),
        node.later_key("worked_s").maybe(Node.number),
        node.later_key("system_s").maybe(Node.number),
        node.later_key("worked_cycles").maybe(Node.count),
        node.later_key("held_s").maybe(Node.number),
    )


def _decode_guest(node: Node) -> GuestUse:
    return GuestUse(node.key("name").text(), **{key: node.key(key).number() for key in _GUEST_SPANS})


def _decode_health(node: Node) -> GeneratorHealth:
    return GeneratorHealth(
        longest_stall_s=node.key("longest_stall_s").number(),
        stall_limit_s=node.key("stall_limit_s").number(),
        receive_overruns=node.key("receive_overruns_frames").count(),
        cpu_s=node.key("cpu_s").number(),
        involuntary_switches=node.key("involuntary_switches_count").count(),
        stalled_s=node.later_key("stalled_s").maybe(Node.number) or 0.0,
    )


def _direction(node: Node) -> Direction:
    tx, sign, rx = node.text().partition(">")
    if not (sign and tx.isdecimal() and rx.isdecimal()):
        node.fail("a direction between generator ports, such as 0>1")
    return Direction(int(tx), int(rx))
