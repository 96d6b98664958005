"""The waterfall through VNFs: made-up counters in, every frame at every hop out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_nfv.deployment.engines import VnfCounters
from pytest_nfv.deployment.hops import Counters, Crossing, waterfall, waterfall_across
from pytest_nfv.deployment.wiring import Chains
from pytest_nfv.model.bottleneck import behind, component_of
from pytest_nfv.model.chain import PVP, Chain, Colocated
from pytest_nfv.model.nf import L2Fwd, L3Fwd
from pytest_nfv.model.offer import Report
from pytest_nfv.model.topology import P2P, Topology, VSwitch
from pytest_nfv.model.trial import Direction, FlowCounts, GeneratorHealth, Hop
from pytest_nfv.model.vnf import VNF
from pytest_nfv.vnfs.protocol import VnicCounters
from pytest_nfv.vswitches.protocol import PortCounters

WAY, BACK = Direction(0, 1), Direction(1, 0)
Lose = Callable[[str], int]
"""How many frames are lost before a place counts them."""


class Machine:
    """Counts frames as a switch and VNFs do, from any start."""

    def __init__(self, topology: Topology, start: int = 0) -> None:
        self.topology, self.chains, self._start = topology, Chains(topology), start
        self.count: Counter[str] = Counter()
        self.drops: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def read(self) -> Counters:
        def port(number: int) -> PortCounters:
            rx, tx = f"s{number} rx", f"s{number} tx"
            return PortCounters(
                number,
                f"s{number}",
                self._start + self.count[rx],
                self._start + self.count[tx],
                self._dropped(rx),
                self._dropped(tx),
                "",
            )

        def nic(name: str, number: int) -> VnicCounters:
            rx, tx = f"{name} nic{number} rx", f"{name} nic{number} tx"
            frames = self._start + self.count[rx], self._start + self.count[tx]
            return VnicCounters(*frames, self._dropped(rx), self._dropped(tx))

        ports = self.topology.generator_ports + 2 * len(self.chains.instances)
        vnfs = {one.name: VnfCounters((nic(one.name, 0), nic(one.name, 1))) for one in self.chains.instances}
        return tuple(map(port, range(ports))), vnfs

    def _dropped(self, place: str) -> dict[str, int]:
        return {"ring full": self._start + self.drops[place]["ring full"]}

    def send(self, way: Direction, pair: int, frames: int, lose: Lose) -> int:
        """Let the frames of a stream go their way; return how many arrive."""
        places = [f"s{way.tx} rx"]
        for one, nic in self.chains.way(way, pair):
            near, far = self.chains.port(one, nic), self.chains.port(one, 1 - nic)
            places += [f"s{near} tx", f"{one.name} nic{nic} rx", f"{one.name} nic{1 - nic} tx", f"s{far} rx"]
        for place in (*places, f"s{way.rx} tx"):
            lost = min(frames, lose(place))
            self.drops[place]["ring full"] += lost
            frames -= lost
            self.count[place] += frames
        return frames


def run(topology: Topology, frames: int, lose: Lose, start: int = 0) -> tuple[tuple[Hop, ...], Report]:
    machine = Machine(topology, start)
    before = machine.read()
    flows = []
    for way in topology.directions:
        arrived = sum(machine.send(way, pair, frames, lose) for pair in range(machine.chains.pairs(way)))
        sent = frames * machine.chains.pairs(way)
        flows.append(FlowCounts(way, sent, sent, arrived))
    report = Report(tuple(flows), (0,) * len(flows), 1.0, 0.0, GeneratorHealth())
    return waterfall(report, before, machine.read(), machine.chains), report


def nothing(_: str) -> int:
    return 0


@st.composite
def topologies(draw: st.DrawFn) -> Chain | Colocated:
    both = draw(st.booleans())
    chain: Chain = Chain("linux-bridge", [VNF(L2Fwd())] * draw(st.integers(1, 5)), bidirectional=both)
    if draw(st.booleans()):
        chain = PVP("linux-bridge", VNF(L3Fwd(10), vnics=2 * draw(st.integers(1, 4))), bidirectional=both)
    return Colocated(chain, draw(st.integers(1, 3))) if draw(st.booleans()) else chain


@settings(deadline=None)
@given(topologies(), st.data(), st.integers(0, 1 << 40))
def test_what_is_lost_between_two_hops_is_the_second_ones_drops(
    topology: Chain | Colocated, data: st.DataObject, start: int
) -> None:
    hops, report = run(topology, 1000, lambda _: data.draw(st.sampled_from([0, 0, 0, 1, 7])), start)
    for flow in report.flows:
        before = flow.sent
        for hop in (one for one in hops if one.direction == flow.direction):
            assert before - hop.frames == sum(hop.drops.values()), hop.place
            before = hop.frames
        assert before == flow.received


@settings(deadline=None)
@given(topologies())
def test_every_direction_has_four_hops_a_vnf_and_three_around(topology: Chain | Colocated) -> None:
    hops, _ = run(topology, 10, nothing)
    chains = Chains(topology)
    for way in topology.directions:
        places = [hop.place for hop in hops if hop.direction == way]
        length = len(chains.way(way))
        assert len(places) == len(set(places)) == 3 + 4 * length
        vnfs = [f"vnf{one.vnf_number}" for one, _ in chains.way(way)]
        assert [component_of(place) for place in places] == [
            "switch",
            *(who for vnf in vnfs for who in ("switch", vnf, vnf, "switch")),
            "switch",
            "generator",
        ]
        assert places[-1] == f"generator port {way.rx} rx"
    assert all(hop.frames == 10 * chains.pairs(hop.direction) for hop in hops)


def test_the_places_of_a_pvp_both_ways() -> None:
    hops, _ = run(PVP("linux-bridge", VNF(L2Fwd()), bidirectional=True), 5, nothing)
    assert [hop.place for hop in hops if hop.direction == BACK] == [
        "s1 rx (into the switch)",
        "s3 tx (to vnf0)",
        "vnf0 nic1 rx",
        "vnf0 nic0 tx",
        "s2 rx (from vnf0)",
        "s0 tx (out of the switch)",
        "generator port 0 rx",
    ]


def test_several_pairs_of_vnics_are_summed() -> None:
    hops, _ = run(PVP("linux-bridge", VNF(L3Fwd(10), vnics=4)), 5, lambda place: place == "vnf0.1 nic0 rx")
    told = {hop.place: (hop.frames, dict(hop.drops)) for hop in hops}
    assert told["s2+s4 tx (to vnf0)"] == (10, {})
    assert told["vnf0 nic0 rx"] == (9, {"ring full": 1})
    assert told["s3+s5 rx (from vnf0)"] == (9, {})


def test_a_switch_without_vnfs_has_three_hops() -> None:
    hops, _ = run(P2P(VSwitch("linux-bridge")), 5, nothing)
    assert [hop.place for hop in hops] == [
        "s0 rx (into the switch)",
        "s1 tx (out of the switch)",
        "generator port 1 rx",
    ]


def counted(whole: dict[str, int], nic0: dict[str, int], *, sent: int) -> dict[str, VnfCounters]:
    nics = (VnicCounters(sent, 0, dropped=nic0), VnicCounters(0, sent - sum(whole.values()) - sum(nic0.values())))
    return {"vnf0": VnfCounters(nics, whole)}


@pytest.mark.parametrize("both", [False, True])
def test_what_the_function_drops_counts_where_it_would_have_come_out(both: bool) -> None:
    topology = PVP("linux-bridge", VNF(L2Fwd()), bidirectional=both)
    machine = Machine(topology)
    ports, _ = machine.read()
    before, after = counted({"ttl": 0}, {}, sent=0), counted({"ttl": 3}, {"policy": 4, "malformed": 0}, sent=10)
    flows = tuple(FlowCounts(way, 10, 10, 3) for way in topology.directions)
    report = Report(flows, (0,) * len(flows), 1.0, 0.0, GeneratorHealth())
    hops = waterfall(report, (ports, before), (ports, after), machine.chains)
    (out,) = [hop for hop in hops if hop.place == "vnf0 nic1 tx"]
    # Where both ways are loaded, a drop that names no vNIC may be of either.
    assert out.drops == {"policy": 4, "ttl (both ways)" if both else "ttl": 3}
    assert out.frames == 3
    back = [hop for hop in hops if hop.place == "vnf0 nic0 tx"]
    assert [dict(hop.drops) for hop in back] == ([{"ttl (both ways)": 3}] if both else [])


@pytest.mark.parametrize("way", [WAY, BACK])
def test_of_several_hosts_only_the_last_on_the_way_puts_frames_out_to_the_generator(way: Direction) -> None:
    chains = Chains(P2P(VSwitch("linux-bridge"), bidirectional=True))
    then, now = (tuple(PortCounters(port, f"s{port}", n, n) for port in range(2)) for n in (0, 10))
    crossed = [Crossing(chains, (then, {}), (now, {}), label) for label in ("vnf1", "generator-x")]
    report = Report((FlowCounts(way, 10, 10, 10),), (0,), 1.0, 0.0, GeneratorHealth())
    hops = waterfall_across(report, crossed)
    first, last = ("vnf1", "generator-x") if way == WAY else ("generator-x", "vnf1")
    assert [(hop.place, component_of(hop.place), behind(hop.place)) for hop in hops] == [
        (f"{first} s{way.tx} rx (into the switch)", "switch", "switch"),
        (f"{first} s{way.rx} tx (to the next host)", "switch", "switch"),
        (f"{last} s{way.tx} rx (into the switch)", "switch", "switch"),
        (f"{last} s{way.rx} tx (out of the switch)", "switch", "generator"),
        (f"generator port {way.rx} rx", "generator", "generator"),
    ]


def test_frames_that_the_full_ring_refused_are_the_entrys_drops() -> None:
    chains = Chains(P2P(VSwitch("linux-bridge")))
    then = tuple(PortCounters(port, f"s{port}", 0, 0, refused_as="vhost ring full") for port in range(2))
    now = tuple(PortCounters(port, f"s{port}", 6, 6, {"x": 1}, refused_as="vhost ring full") for port in range(2))
    report = Report((FlowCounts(WAY, 10, 10, 5, 1, corrupted=2),), (3,), 1.0, 0.0, GeneratorHealth())
    first, _, last = waterfall(report, (then, {}), (now, {}), chains)
    assert first.drops == {"x": 1, "vhost ring full": 3}
    assert (last.frames, last.drops) == (6, {"corrupted": 2})


def test_an_application_that_was_too_slow_is_the_last_hops_drop() -> None:
    chains = Chains(P2P(VSwitch("linux-bridge")))
    ports = tuple(PortCounters(port, f"s{port}", 0, 0) for port in range(2))
    report = Report((FlowCounts(WAY, 9, 9, 5),), (0,), 1.0, 0.0, GeneratorHealth(receive_overruns=4))
    assert waterfall(report, (ports, {}), (ports, {}), chains)[-1].drops == {}
    told = waterfall(report, (ports, {}), (ports, {}), chains, applications=True)
    assert told[-1].drops == {"socket buffer full": 4}
