"""Whether a trial can be believed. Pure: counts and accounts in, sentences out.

Architecture decision 4: frames not sent are never counted as lost, and a machine that took the device's core away
is never the device's fault.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from pytest_nfv.model.offer import Report
from pytest_nfv.model.trial import CoreUse, FlowCounts, Hop
from pytest_nfv.units import Frequency

# Interface counters and the generator's are read at slightly different moments, and a kernel may put a frame of
# its own on a link (a neighbour probe of a host's agent): so many frames may differ without meaning anything.
COUNTER_SLACK_FRAMES = 8

HOPS_OF_A_SWITCH = 3

# Reasons whose counters count a frame once, in one direction, after the place before passed it. No other is held
# against a trial: a full veth is counted at both its ends, what is dropped on receipt may have been counted as
# received, and a guest counts what nobody there wanted.
_COUNTED_ONCE = re.compile(
    r"policy|malformed|ttl|no_route|malformed or ttl|tx_full|tx (?:[\w-]+ )?ring full|ovs_tx_failure_drops"
)

# How far the clock of a core may be off from what was asked.
CLOCK_SLACK = 0.02

# The share of a loss from which on the generator's own stalls are held against it. Below, the loss is the device's
# but for that share; at tens of Mpps a ring holds a fraction of a millisecond, and some stall is always longer.
STALL_SHARE = 0.1


def reasons_invalid(
    report: Report, hops: Sequence[Hop], stolen_s: float, *, maximum: bool = False
) -> tuple[str, ...]:
    """Return why the trial teaches nothing about the device; empty where it does.

    Args:
        report: the generator's own account.
        hops: every direction's way, in order.
        stolen_s: how long the machine kept the device off its core.
        maximum: the load is more than can be forwarded: no loss needs an explanation.
    """
    reasons = list(report.trouble)
    health = report.health
    lost = sum(flow.lost for flow in report.flows)
    if not maximum and _stalls_explain(report, lost):
        reasons.append(
            f"the generator stalled for {health.longest_stall_s * 1e3:.1f} ms, buffers hide "
            f"{health.stall_limit_s * 1e3:.1f} ms: the {lost} frames lost may be its own doing"
        )
    reasons += _disagreements(report, hops)
    sent = sum(flow.sent for flow in report.flows)
    if not maximum and lost and lost <= stolen_s * sent / report.offered_for_s:
        reasons.append(
            f"the machine kept the device off its core for {stolen_s * 1e3:.0f} ms, "
            f"which explains the {lost} frames lost"
        )
    return tuple(reasons)


def _stalls_explain(report: Report, lost: int) -> bool:
    """Whether frames were lost, and those that came during stalls are no small part of them.

    A stall alone, however long, is nothing against a trial: what buffers did hide was not lost.
    """
    health = report.health
    if not lost or not health.longest_stall_s > health.stall_limit_s > 0:
        return False
    stalled_s = max(health.stalled_s, health.longest_stall_s)
    sent = sum(flow.sent for flow in report.flows)
    return STALL_SHARE * lost <= stalled_s * sent / report.offered_for_s


def _disagreements(report: Report, hops: Sequence[Hop]) -> list[str]:
    reasons = []
    for flow in report.flows:
        way = [hop for hop in hops if hop.direction == flow.direction]
        if not way:
            continue
        slack = COUNTER_SLACK_FRAMES + flow.foreign
        offered = way[0].frames + sum(way[0].drops.values())
        if abs(offered - flow.sent) > slack:
            reasons.append(
                f"counters disagree on {flow.direction}: the generator sent {flow.sent} frames, "
                f"{way[0].place} counts {offered}"
            )
        reasons += _more_than_came(flow, way, slack)
        arrived = flow.received + flow.duplicated + flow.corrupted + flow.foreign
        leaving = way[-2]
        if arrived > leaving.frames + slack:
            reasons.append(
                f"counters disagree on {flow.direction}: the generator received {arrived} frames, "
                f"{leaving.place} counts {leaving.frames}"
            )
    return reasons


def _more_than_came(flow: FlowCounts, way: Sequence[Hop], slack: int) -> list[str]:
    """Return where a place on the way through VNFs counts more frames than the place before passed."""
    if len(way) <= HOPS_OF_A_SWITCH:
        return []
    reasons = []
    for before, hop in pairwise(way[:-1]):
        dropped = sum(count for reason, count in hop.drops.items() if _COUNTED_ONCE.fullmatch(reason))
        if hop.frames + dropped > before.frames + slack:
            told = f"{hop.frames}" + (f" and {dropped} dropped" if dropped else "")
            reasons.append(
                f"counters disagree on {flow.direction}: {before.place} counts {before.frames} frames, "
                f"{hop.place} {told}"
            )
    return reasons


def reasons_disturbed(cores: Sequence[CoreUse], stolen_s: float) -> tuple[str, ...]:
    """Return what the machine took from the device, where it is worth a word (above 0.2 % of the trial)."""
    device = [core for core in cores if core.role == "device"]
    wall = max((core.wall_s for core in device), default=0.0)
    if not wall or stolen_s < 0.002 * wall:
        return ()
    steal = sum(core.steal_s for core in device)
    numbers = ", ".join(str(core.core) for core in device)
    return (
        f"device core {numbers} was taken away for {stolen_s * 1e3:.0f} ms of {wall * 1e3:.0f} ms "
        f"(steal {steal * 1e3:.0f} ms)",
    )


def reasons_off_clock(cores: Sequence[CoreUse], asked: Frequency | None) -> tuple[str, ...]:
    """Return which of the device's cores were not clocked as asked; empty where nothing was asked."""
    if asked is None:
        return ()
    reasons = []
    for core in cores:
        if core.role != "device":
            continue
        if core.frequency_hz is None:
            reasons.append(f"device core {core.core} was to be clocked at {asked}, and does not tell its clock")
        elif abs(core.frequency_hz - asked.hz) > CLOCK_SLACK * asked.hz:
            was = Frequency(core.frequency_hz)
            reasons.append(f"device core {core.core} was clocked at {was}, not at the {asked} that were asked")
    return tuple(reasons)
