"""What the runner asks of a generator and what it answers; both go over JSON lines unchanged.

The signature: the last 16 octets before the FCS of every frame belong to the generator, two little-endian
64-bit words. Word 0 is `magic << 48 | flow << 32 | sequence` (sequence modulo 2**32, unwrapped by the receiver),
word 1 the time stamp in ns of CLOCK_MONOTONIC. All other octets follow from the sequence number (which template,
which 5-tuple) and are checked on arrival.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pytest_nfv.model.trial import Direction, FlowCounts, GeneratorHealth, Latency, per_direction

SIGNATURE_OCTETS = 16
MAGIC = 0x6E66  # "nf"
LEARNING_FLOW = 0xFFFF
ROLES = ("both", "send", "receive")
TUPLES_MAX = 1_000_000
CYCLE_MAX = 16_384


QUIET_S = 0.05
"""Counters unmoved for this long are at rest, unless more is said."""


@dataclass(frozen=True, slots=True)
class PortSpec:
    """How a generator opens one port.

    Attributes:
        kind: `af_packet` (interface), later `vhost_user`, `memif`, `af_xdp`.
        address: the port's MAC address.
        mtu: largest layer-3 packet; a frame may have mtu + 18 octets with FCS.
        parameters: what the kind needs: `{"interface": "g0"}`.
    """

    kind: str
    address: str
    mtu: int = 1500
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shape:
    """One frame of several that take turns.

    Attributes:
        template: without FCS, as hex; its last 16 octets are overwritten by the signature.
        expected: the same on arrival, where the device rewrites headers; empty where it arrives as it was sent.
    """

    template: str
    expected: str = ""


@dataclass(frozen=True, slots=True)
class FlowOffer:
    """Frames of one direction.

    Frame i has shape `cycle[i % len(cycle)]`, of `template` (0) and `others` (1 and on), and 5-tuple i % `tuples`.

    Attributes:
        flow: number that the frames carry, 0 to 65,534.
        rate_pps: pace; frames: how many, in all.
        template: the frame without FCS, as hex; its last 16 octets are overwritten by the signature.
        expected: the frame on arrival, where the device rewrites headers; empty where it arrives as it was sent.
        tuples: 5-tuples, made from the template's own (`trafgen/tuples.py`), 1 to 1,000,000; 1 is the template's.
        others: further shapes, of other sizes.
        cycle: in which order shapes come, over and over; empty where there is one.
    """

    flow: int
    direction: Direction
    rate_pps: float
    frames: int
    template: str
    expected: str = ""
    tuples: int = 1
    others: tuple[Shape, ...] = ()
    cycle: tuple[int, ...] = ()

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """All that `cycle` speaks of."""
        return (Shape(self.template, self.expected), *self.others)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FlowOffer:
        """Read what `Offer.to_json` wrote."""
        others = tuple(Shape(**one) for one in data.get("others", ()))
        cycle = tuple(data.get("cycle", ()))
        return cls(**{**data, "direction": Direction(**data["direction"]), "others": others, "cycle": cycle})


@dataclass(frozen=True, slots=True)
class Offer:
    """One trial's work for a generator.

    Attributes:
        burst: frames sent back to back at a time (T20's B); 0 lets the generator pace as evenly as it can.
        settle_s: deadline for counters to come to rest after the last frame.
        quiet_s: counters unmoved for this long are at rest.
        latency_every: take the latencies of one batch received of every n frames; 1 is of every frame, 0 of none.
        role: which half of the work is this generator's: `both`, `send`, or `receive` until it is told to finish.
        maximum: the load is a ceiling: offering less, as much as can be, is what is wanted.
        receiver_measured: the receiving end is part of what is measured: frames it has no room for are lost.
        rewrite: write every frame whole before it is sent, as an application does that makes each anew.
    """

    flows: tuple[FlowOffer, ...]
    burst: int = 0
    settle_s: float = 2.0
    quiet_s: float = QUIET_S
    latency_every: int = 1
    role: str = "both"
    maximum: bool = False
    receiver_measured: bool = False
    rewrite: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Offer:
        """Read what `to_json` wrote."""
        return cls(**{**data, "flows": tuple(map(FlowOffer.from_json, data["flows"]))})


def latency_json(one: Latency) -> dict[str, Any]:
    """Return plain JSON values; percentiles become texts, as JSON's keys must be."""
    return {**asdict(one), "percentiles_ns": {f"{p:g}": value for p, value in one.percentiles_ns.items()}}


def latency_of(data: Mapping[str, Any]) -> Latency:
    """Read what `latency_json` wrote."""
    percentiles = {float(p): float(value) for p, value in data["percentiles_ns"].items()}
    return Latency(**{**data, "direction": Direction(**data["direction"]), "percentiles_ns": percentiles})


@dataclass(frozen=True, slots=True)
class Report:
    """What a generator did and counted.

    Attributes:
        refused: per flow, frames offered that the device's own full ring refused; part of `sent`, hence lost.
        catching_up: per flow, what its port refused, what of that while behind, and what it sent faster than the
            load; empty from a generator that did not send.
        offered_for_s, settle_s: as in `TrialResult`.
        trouble: why the generator itself says that the trial is not to be trusted.
    """

    flows: tuple[FlowCounts, ...]
    refused: tuple[int, ...]
    offered_for_s: float
    settle_s: float
    health: GeneratorHealth
    latency: tuple[Latency, ...] = ()
    trouble: tuple[str, ...] = ()
    catching_up: tuple[tuple[int, int, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "latency": [latency_json(one) for one in self.latency]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Report:
        """Read what `to_json` wrote."""

        def directed(one: Mapping[str, Any]) -> dict[str, Any]:
            return {**one, "direction": Direction(**one["direction"])}

        return cls(
            flows=tuple(FlowCounts(**directed(one)) for one in data["flows"]),
            refused=tuple(data["refused"]),
            offered_for_s=data["offered_for_s"],
            settle_s=data["settle_s"],
            health=GeneratorHealth(**data["health"]),
            latency=tuple(latency_of(one) for one in data["latency"]),
            trouble=tuple(data["trouble"]),
            catching_up=tuple((one[0], one[1], one[2]) for one in data["catching_up"]),
        )


def by_direction(report: Report) -> Report:
    """Return the report with the flows of each direction as one."""
    ways = tuple(dict.fromkeys(flow.direction for flow in report.flows))
    if len(ways) == len(report.flows):
        return report
    refused = tuple(
        sum(count for flow, count in zip(report.flows, report.refused, strict=True) if flow.direction == way)
        for way in ways
    )
    return replace(report, flows=per_direction(report.flows), refused=refused)
