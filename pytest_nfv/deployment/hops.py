"""The way of the frames, hop by hop: counters before and after a trial, as differences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from pytest_nfv.deployment.engines import VnfCounters
from pytest_nfv.deployment.wiring import Chains, Instance
from pytest_nfv.model.offer import Report
from pytest_nfv.model.trial import Direction, Hop
from pytest_nfv.vswitches.protocol import PortCounters

Counters = tuple[Sequence[PortCounters], Mapping[str, VnfCounters]]
"""Of the switch's ports, and of the VNFs by their names."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """One host that frames crossed.

    Attributes:
        chains: its VNFs, and what they are joined to.
        before, after: its counters before and after the trial.
        label: its name, where there are several.
    """

    chains: Chains
    before: Counters
    after: Counters
    label: str = ""


def waterfall(
    report: Report, before: Counters, after: Counters, chains: Chains, *, applications: bool = False
) -> tuple[Hop, ...]:
    """Return the hops of `waterfall_across` where all is on one host."""
    return waterfall_across(report, [Crossing(chains, before, after)], applications=applications)


def waterfall_across(
    report: Report, crossed: Sequence[Crossing], *, applications: bool = False
) -> tuple[Hop, ...]:
    """Return every direction's hops in order: into the switch, through each VNF, out of it, back at the generator.

    A full ring at the switch's entry refuses frames before the switch sees them: they are that hop's drops. Where
    the ends are `applications`, frames that the receiver was too slow to take are drops of the last hop. Where a
    VNF has several pairs of vNICs, each hop of it is the sum over them. Of several hosts, frames that come in at
    the generator's odd ports meet the last first.
    """
    loaded = {flow.direction for flow in report.flows}
    hosts = [_Way(one, loaded) for one in crossed]
    hops: list[Hop] = []
    for number, flow in enumerate(report.flows):
        came, refused = flow.sent, report.refused[number]
        along = hosts if flow.direction.tx % 2 == 0 else hosts[::-1]
        for host in along:
            hops += host.into(flow.direction, came, refused)
            hops += host.through_vnfs(flow.direction)
            hops.append(host.out(flow.direction, "out of the switch" if host is along[-1] else "to the next host"))
            came, refused = hops[-1].frames, 0  # what the next one's ring refuses is counted by no generator
        lost_here = {} if not flow.corrupted else {"corrupted": flow.corrupted}
        if applications and report.health.receive_overruns:
            lost_here["socket buffer full"] = report.health.receive_overruns
        place = f"generator port {flow.direction.rx} rx"
        hops.append(Hop(flow.direction, place, flow.received + flow.duplicated, lost_here))
    return tuple(hops)


class _Way:
    """Counters of one trial on one host."""

    def __init__(self, crossed: Crossing, loaded: Set[Direction]) -> None:
        self._chains, self._loaded = crossed.chains, loaded
        self._label = f"{crossed.label} " if crossed.label else ""
        before, after = crossed.before, crossed.after
        self._then = {port.port: port for port in before[0]}
        self._now = {port.port: port for port in after[0]}
        self._vnf_then, self._vnf_now = before[1], after[1]

    def into(self, way: Direction, came: int, refused: int) -> Iterator[Hop]:
        then, now = self._then[way.tx], self._now[way.tx]
        drops = _difference(then.rx_drops, now.rx_drops)
        if now.refused_as and refused:
            drops[now.refused_as] = drops.get(now.refused_as, 0) + refused
        frames = now.rx_frames - then.rx_frames
        unseen = came - frames - sum(drops.values())
        if now.unseen_as and unseen > 0:
            drops[now.unseen_as] = unseen
        yield Hop(way, f"{self._label}{now.name} rx (into the switch)", frames, drops)

    def out(self, way: Direction, where: str) -> Hop:
        return self._port_tx(way, [way.rx], where)

    def _port_tx(self, way: Direction, ports: Sequence[int], where: str) -> Hop:
        frames = sum(self._now[port].tx_frames - self._then[port].tx_frames for port in ports)
        drops = _sum(_difference(self._then[port].tx_drops, self._now[port].tx_drops) for port in ports)
        return Hop(
            way, f"{self._label}{_names(self._now[port].name for port in ports)} tx ({where})", frames, drops
        )

    def _port_rx(self, way: Direction, ports: Sequence[int], where: str) -> Hop:
        frames = sum(self._now[port].rx_frames - self._then[port].rx_frames for port in ports)
        drops = _sum(_difference(self._then[port].rx_drops, self._now[port].rx_drops) for port in ports)
        return Hop(
            way, f"{self._label}{_names(self._now[port].name for port in ports)} rx ({where})", frames, drops
        )

    def through_vnfs(self, way: Direction) -> Iterator[Hop]:
        lanes = [self._chains.way(way, pair) for pair in range(self._chains.pairs(way))]
        both = Direction(way.rx, way.tx) in self._loaded
        for step in zip(*lanes, strict=True):
            nic = step[0][1]
            instances = list(dict.fromkeys(instance for instance, _ in step))
            name = instances[0].name.partition(".")[0]
            yield self._port_tx(way, [self._chains.port(one, nic) for one in instances], f"to {name}")
            yield self._vnf_rx(way, instances, nic, name)
            yield self._vnf_tx(way, instances, nic, name, both=both)
            yield self._port_rx(way, [self._chains.port(one, 1 - nic) for one in instances], f"from {name}")

    def _vnf_rx(self, way: Direction, instances: Sequence[Instance], nic: int, name: str) -> Hop:
        pairs = [(self._vnf_then[one.name].nics[nic], self._vnf_now[one.name].nics[nic]) for one in instances]
        frames = sum(now.rx_frames - then.rx_frames for then, now in pairs)
        return Hop(way, f"{name} nic{nic} rx", frames, _sum(_difference(a.rx_drops, b.rx_drops) for a, b in pairs))

    def _vnf_tx(self, way: Direction, instances: Sequence[Instance], nic: int, name: str, *, both: bool) -> Hop:
        """What the function drops counts where it would have put it out."""
        drops: list[Mapping[str, int]] = []
        frames = 0
        for one in instances:
            then, now = self._vnf_then[one.name], self._vnf_now[one.name]
            out_then, out_now = then.nics[1 - nic], now.nics[1 - nic]
            frames += out_now.tx_frames - out_then.tx_frames
            drops += [
                _difference(out_then.tx_drops, out_now.tx_drops),
                _difference(then.nics[nic].dropped, now.nics[nic].dropped),
            ]
            whole = _difference(then.dropped, now.dropped)
            drops.append({f"{why} (both ways)": count for why, count in whole.items()} if both else whole)
        return Hop(way, f"{name} nic{1 - nic} tx", frames, _sum(drops))


def _names(names: Iterable[str]) -> str:
    return "+".join(names)


def _sum(drops: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in drops:
        for reason, count in one.items():
            total[reason] = total.get(reason, 0) + count
    return total


def _difference(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    changed = {reason: count - before.get(reason, 0) for reason, count in after.items()}
    return {reason: count for reason, count in changed.items() if count}
