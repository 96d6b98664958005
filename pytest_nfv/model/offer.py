"""What the runner asks of a generator and what it answers; both go over JSON lines unchanged.

The signature: the last 16 octets before the FCS of every frame belong to the generator, two little-endian
64-bit words. Word 0 is `magic << 48 | flow << 32 | sequence` (sequence modulo 2**32, unwrapped by the receiver),
word 1 the time stamp in ns of CLOCK_MONOTONIC. All other octets are the template's and are checked on arrival.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pytest_nfv.model.trial import Direction, FlowCounts, GeneratorHealth, Latency

SIGNATURE_OCTETS = 16
MAGIC = 0x6E66  # "nf"
LEARNING_FLOW = 0xFFFF
ROLES = ("both", "send", "receive")


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
class FlowOffer:
    """Frames of one direction.

    Attributes:
        flow: number that the frames carry, 0 to 65,534.
        rate_pps: pace; frames: how many, in all.
        template: the frame without FCS, as hex; its last 16 octets are overwritten by the signature.
    """

    flow: int
    direction: Direction
    rate_pps: float
    frames: int
    template: str


@dataclass(frozen=True, slots=True)
class Offer:
    """One trial's work for a generator.

    Attributes:
        burst: frames sent back to back at a time (T20's B); 0 lets the generator pace as evenly as it can.
        settle_s: deadline for counters to come to rest after the last frame.
        quiet_s: counters unmoved for this long are at rest.
        latency_every: take latencies from one batch received of every n frames; 1 is from all, 0 is from none.
        role: which half of the work is this generator's: `both`, `send`, or `receive` until it is told to finish.
        maximum: the load is a ceiling: offering less, as much as can be, is what is wanted.
        receiver_measured: the receiving end is part of what is measured: frames it has no room for are lost.
    """

    flows: tuple[FlowOffer, ...]
    burst: int = 0
    settle_s: float = 2.0
    quiet_s: float = 0.05
    latency_every: int = 1
    role: str = "both"
    maximum: bool = False
    receiver_measured: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Offer:
        """Read what `to_json` wrote."""
        flows = tuple(FlowOffer(**{**f, "direction": Direction(**f["direction"])}) for f in data["flows"])
        return cls(**{**data, "flows": flows})


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
