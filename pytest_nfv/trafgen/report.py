"""From what lanes and inboxes counted to the report, with everything that speaks against believing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from resource import struct_rusage

from pytest_nfv.model.catching_up import pushed
from pytest_nfv.model.offer import Offer, Report
from pytest_nfv.model.trial import FlowCounts, GeneratorHealth
from pytest_nfv.trafgen.inbox import FlowInbox, Inbox
from pytest_nfv.trafgen.lane import Lane

OFFERED_MIN = 0.999  # share of the load that must have been offered


@dataclass(slots=True)
class Span:
    """What only the loop itself knows.

    Attributes:
        longest_stall_ns: longest span between two looks at the ports.
        stalled_ns: all spans between two looks that were longer than buffers hide, summed.
        settle_ns: how long after the last frame counters moved; unsettled: they still did at the deadline.
    """

    longest_stall_ns: int = 0
    stalled_ns: int = 0
    settle_ns: int = 0
    unsettled: bool = False


def build_report(
    offer: Offer,
    lanes: Mapping[int, Lane],
    inboxes: Mapping[int, Inbox],
    flows: Sequence[FlowInbox],
    span: Span,
    usage: tuple[struct_rusage, struct_rusage],
) -> Report:
    """Put it together. Foreign frames of a port are told with the first flow that arrives there.

    Of a trial with one half of the work, what the other half counts is 0, and so is what was sent.
    """
    foreign = {flow.offer.direction.rx: index for index, flow in reversed(list(enumerate(flows)))}
    counts, refused = [], []
    for index, flow in enumerate(flows):
        direction = flow.offer.direction
        peers = [one for one in offer.flows if one.direction.tx == direction.tx]
        counts.append(
            FlowCounts(
                direction=direction,
                intended=flow.offer.frames,
                sent=flow.sent() if lanes else 0,
                received=flow.tracker.received,
                duplicated=flow.tracker.duplicated,
                reordered=flow.tracker.reordered,
                corrupted=flow.corrupted,
                foreign=inboxes[direction.rx].foreign if inboxes and foreign[direction.rx] == index else 0,
            )
        )
        refused.append(lanes[direction.tx].refused_of(peers.index(flow.offer)) if lanes else 0)
    health = _health(inboxes, flows, span, usage)
    summaries = [flow.latency.summary(flow.offer.direction) for flow in flows]
    return Report(
        flows=tuple(counts),
        refused=tuple(refused),
        offered_for_s=max((lane.offered_for_s for lane in lanes.values()), default=0.0),
        settle_s=span.settle_ns / 1e9,
        health=health,
        latency=tuple(one for one in summaries if one is not None),
        trouble=tuple(_trouble(offer, lanes, inboxes, flows, counts, span)),
        catching_up=tuple(_catching_up(lanes[flow.offer.direction.tx]) for flow in flows) if lanes else (),
    )


def _catching_up(lane: Lane) -> tuple[int, int, int]:
    return lane.refused, lane.refused_behind, lane.pacer.caught_up


def stall_limit_s(inboxes: Mapping[int, Inbox], flows: Sequence[FlowInbox]) -> float:
    """Return the span that receive rings hide at the load; 0 where nothing is received.

    A ring of 4,096 frames holds 0.28 ms of 14.88 Mpps. A longer stall loses nothing by itself: it only may have.
    """
    arriving: dict[int, float] = {}
    for flow in flows:
        rx = flow.offer.direction.rx
        arriving[rx] = arriving.get(rx, 0.0) + flow.offer.rate_pps
    return min((inboxes[rx].slots / rate for rx, rate in arriving.items() if inboxes), default=0.0)


def _health(
    inboxes: Mapping[int, Inbox],
    flows: Sequence[FlowInbox],
    span: Span,
    usage: tuple[struct_rusage, struct_rusage],
) -> GeneratorHealth:
    before, after = usage
    return GeneratorHealth(
        longest_stall_s=span.longest_stall_ns / 1e9,
        stall_limit_s=stall_limit_s(inboxes, flows),
        receive_overruns=sum(inbox.overruns() for inbox in inboxes.values()),
        cpu_s=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        involuntary_switches=after.ru_nivcsw - before.ru_nivcsw,
        stalled_s=span.stalled_ns / 1e9,
    )


def _trouble(
    offer: Offer,
    lanes: Mapping[int, Lane],
    inboxes: Mapping[int, Inbox],
    flows: Sequence[FlowInbox],
    counts: Sequence[FlowCounts],
    span: Span,
) -> list[str]:
    found = []
    for flow, count in zip(flows, counts, strict=True):
        if lanes and not offer.maximum:
            found += _short(flow, count, lanes[count.direction.tx])
            said = pushed(count, *_catching_up(lanes[count.direction.tx])) if inboxes else ""
            found += [said] if said else []
        if flow.latency.negative:
            found.append(
                f"{count.direction}: {flow.latency.negative:,} frames seemed to arrive before they were sent: "
                "the system's clock was set during the trial"
            )
    for port, inbox in inboxes.items():
        if (overruns := inbox.overruns()) and not offer.receiver_measured:
            found.append(f"the generator's receive ring of port {port} had no room {overruns:,} times")
    if span.unsettled:
        found.append("frames were still arriving at the end of the settling time")
    return found


def _short(flow: FlowInbox, count: FlowCounts, lane: Lane) -> list[str]:
    offered_pps = count.sent / lane.offered_for_s if count.sent else 0.0
    found = []
    if count.not_sent:
        found.append(
            f"{count.direction}: the generator offered {count.sent:,} of {count.intended:,} frames in time "
            f"({count.sent / count.intended:.2%}); {count.not_sent:,} were not sent"
        )
    elif offered_pps < OFFERED_MIN * flow.offer.rate_pps:
        found.append(
            f"{count.direction}: the generator offered {offered_pps:,.0f} "
            f"of {flow.offer.rate_pps:,.0f} frames a second"
        )
    return found
