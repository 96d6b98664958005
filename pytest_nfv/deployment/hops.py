"""The way of the frames, hop by hop: counters before and after a trial, as differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_nfv.model.offer import Report
from pytest_nfv.model.trial import Hop
from pytest_nfv.vswitches.protocol import PortCounters


def waterfall(
    report: Report,
    before: Sequence[PortCounters],
    after: Sequence[PortCounters],
    *,
    applications: bool = False,
) -> tuple[Hop, ...]:
    """Return every direction's hops in order: into the switch, out of it, back at the generator.

    A full ring at the switch's entry refuses frames before the switch sees them: they are that hop's drops. Where
    the ends are `applications`, frames that the receiver was too slow to take are drops of the last hop.
    """
    then = {port.port: port for port in before}
    now = {port.port: port for port in after}
    hops = []
    for number, flow in enumerate(report.flows):
        way, tx, rx = flow.direction, flow.direction.tx, flow.direction.rx
        entry, leave = now[tx], now[rx]
        arrived = flow.received + flow.duplicated
        refused = _difference(then[tx].rx_drops, entry.rx_drops)
        if entry.refused_as and report.refused[number]:
            refused[entry.refused_as] = refused.get(entry.refused_as, 0) + report.refused[number]
        lost_here = {} if not flow.corrupted else {"corrupted": flow.corrupted}
        if applications and report.health.receive_overruns:
            lost_here["socket buffer full"] = report.health.receive_overruns
        hops += [
            Hop(
                way,
                f"{entry.name} rx (into the switch)",
                entry.rx_frames - then[tx].rx_frames,
                refused,
            ),
            Hop(
                way,
                f"{leave.name} tx (out of the switch)",
                leave.tx_frames - then[rx].tx_frames,
                _difference(then[rx].tx_drops, leave.tx_drops),
            ),
            Hop(way, f"generator port {rx} rx", arrived, lost_here),
        ]
    return tuple(hops)


def _difference(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    changed = {reason: count - before.get(reason, 0) for reason, count in after.items()}
    return {reason: count for reason, count in changed.items() if count}
