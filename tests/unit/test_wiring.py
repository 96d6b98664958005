"""What a topology's VNFs are joined to: every generated chain has its ports, its segments, its addresses."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_nfv.deployment.frames import load_of
from pytest_nfv.deployment.wiring import Chains
from pytest_nfv.model.chain import PVP, Chain, Colocated
from pytest_nfv.model.mix import sizes_of
from pytest_nfv.model.nf import Firewall, Function, L2Fwd, L3Fwd, Own, Signature
from pytest_nfv.model.nf_oracle import Sent, process
from pytest_nfv.model.rules import Rule, RuleSet
from pytest_nfv.model.topology import P2P, Topology, VSwitch
from pytest_nfv.model.trial import Direction
from pytest_nfv.model.vnf import VNF

THERE, BACK = Direction(0, 1), Direction(1, 0)
GENERATOR = ("02:00:00:00:00:00", "02:00:00:00:00:01")
EVERY: list[Function] = [L2Fwd(), L3Fwd(10), L3Fwd(3), Firewall(10), Signature()]
FUNCTIONS = st.sampled_from(EVERY)
TTL_AT = 14 + 8


def generator_of(topology: Topology) -> list[str]:
    return [f"02:00:00:00:00:{port:02x}" for port in range(topology.generator_ports)]


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    both = draw(st.booleans())
    if draw(st.booleans()):
        pairs = draw(st.integers(1, 8))
        return PVP("linux-bridge", VNF(L3Fwd(10), vnics=2 * pairs), bidirectional=both)
    functions = draw(st.lists(FUNCTIONS, min_size=1, max_size=6))
    return Chain("linux-bridge", [VNF(one) for one in functions], bidirectional=both)


@st.composite
def topologies(draw: st.DrawFn) -> Chain | Colocated:
    chain = draw(chains())
    return Colocated(chain, draw(st.integers(1, 4))) if draw(st.booleans()) else chain


def frames_of(topology: Topology) -> list[tuple[Direction, bytes]]:
    load = load_of(topology, generator_of(topology), sizes_of(64), None, 1, 0)
    return [(way, bytes.fromhex(template)) for way, template in load.templates]


@settings(deadline=None)
@given(topologies())
def test_segments_cover_every_port_once(topology: Chain | Colocated) -> None:
    wired = Chains(topology)
    ports = Counter(port for segment in wired.segments() for port in segment)
    assert ports == Counter(range(topology.generator_ports + 2 * len(wired.instances)))


@settings(deadline=None)
@given(topologies())
def test_a_frame_goes_from_segment_to_segment_and_reaches_its_generator_port(topology: Chain | Colocated) -> None:
    wired = Chains(topology)
    of = {port: segment for segment in wired.segments() for port in segment}
    for way in topology.directions:
        for pair in range(wired.pairs(way)):
            at = way.tx
            for instance, nic in wired.way(way, pair):
                assert wired.port(instance, nic) in of[at], "the switch does not join the two"
                at = wired.port(instance, 1 - nic)
            assert way.rx in of[at]


@settings(deadline=None)
@given(topologies())
def test_names_and_addresses_are_nobody_elses(topology: Chain | Colocated) -> None:
    instances = Chains(topology).instances
    addresses = [address for one in instances for address in one.addresses]
    assert len({*addresses, *generator_of(topology)}) == len(addresses) + topology.generator_ports
    assert len({one.name for one in instances}) == len(instances)
    assert [one.number for one in instances] == list(range(len(instances)))
    assert [one.vnf_number for one in instances] == sorted(one.vnf_number for one in instances)


@settings(deadline=None)
@given(topologies())
def test_every_stream_arrives_as_the_oracle_says_hop_by_hop(topology: Chain | Colocated) -> None:
    wired, generator = Chains(topology), generator_of(topology)
    for way, frame in frames_of(topology):
        ends = next(one for one in wired.ends(way, generator) if one.dst == frame[:6].hex(":"))
        pair = wired.ends(way, generator).index(ends)
        routers = sum(one.vnf.routes for one, _ in wired.way(way, pair))
        arrived = frame
        for instance, nic in wired.way(way, pair):
            function = wired.function(instance, generator)
            if isinstance(function, L3Fwd):
                # A kernel takes only what is sent to its own interface, so each router must have been addressed.
                assert arrived[:6].hex(":") == instance.addresses[nic]
            out = process(function, nic, arrived)
            assert isinstance(out, Sent), f"{instance.name}: {out}"
            assert out.nic == 1 - nic
            arrived = out.frame
        assert arrived[:6].hex(":") == generator[way.rx]
        assert arrived[TTL_AT] == frame[TTL_AT] - routers
        assert wired.arriving(way, frame, generator) == arrived


@settings(deadline=None)
@given(st.integers(1, 8), st.booleans(), st.integers(1, 3))
def test_a_split_vnf_has_a_stream_a_pair_each_its_own(pairs: int, both: bool, lanes: int) -> None:
    topology = Colocated(PVP("ovs-dpdk", VNF(L3Fwd(10), vnics=2 * pairs), bidirectional=both), lanes)
    wired, generator = Chains(topology), generator_of(topology)
    assert len(wired.segments()) == 2 * lanes
    crossed: list[tuple[Direction, str]] = []
    for way in topology.directions:
        ends = wired.ends(way, generator)
        assert len(ends) == wired.pairs(way) == pairs
        nic = way.tx % 2
        for pair, end in enumerate(ends):
            ((instance, by),) = wired.way(way, pair)
            assert (by, end.dst, instance.pair) == (nic, instance.addresses[nic], pair)
            crossed.append((way, instance.name))
    assert len(set(crossed)) == len(crossed) == pairs * len(topology.directions)
    assert len(frames_of(topology)) == len(crossed)


def test_a_topology_without_vnfs_has_neither_segments_nor_instances() -> None:
    wired = Chains(P2P(VSwitch("linux-bridge"), pairs=3))
    assert (wired.instances, wired.segments(), wired.pairs(THERE), wired.way(THERE)) == ((), (), 1, [])
    (end,) = wired.ends(BACK, GENERATOR)
    assert (end.src, end.dst, end.swapped) == (GENERATOR[1], GENERATOR[0], False)
    assert wired.arriving(THERE, b"any frame", GENERATOR) == b"any frame"


def test_a_chain_is_laid_out_as_it_is_documented() -> None:
    wired = Chains(Chain("linux-bridge", [VNF(L2Fwd()), VNF(L3Fwd(10)), VNF(Firewall(10))]))
    assert wired.segments() == ((0, 2), (3, 4), (5, 6), (7, 1))
    assert [one.name for one in wired.instances] == ["vnf0", "vnf1", "vnf2"]
    assert [(one.name, nic) for one, nic in wired.way(BACK)] == [("vnf2", 1), ("vnf1", 1), ("vnf0", 1)]
    split = Chains(PVP("linux-bridge", VNF(L3Fwd(10), vnics=4)))
    assert split.segments() == ((0, 2, 4), (3, 5, 1))
    assert [one.name for one in split.instances] == ["vnf0.0", "vnf0.1"]


def test_a_router_is_told_the_next_router_or_the_station_behind_transparent_ones() -> None:
    wired = Chains(Chain("linux-bridge", [VNF(L2Fwd()), VNF(L3Fwd(10)), VNF(Firewall(10)), VNF(L3Fwd(10))]))
    _, first, _, second = wired.instances
    functions = [wired.function(one, GENERATOR) for one in (first, second)]
    assert all(isinstance(one, L3Fwd) for one in functions)
    told = [one.neighbours for one in functions if isinstance(one, L3Fwd)]
    assert told == [(GENERATOR[0], second.addresses[0]), (first.addresses[1], GENERATOR[1])]
    assert wired.ends(THERE, GENERATOR)[0].dst == first.addresses[0]
    assert wired.ends(BACK, GENERATOR)[0].dst == second.addresses[1]


@pytest.mark.parametrize(
    "function",
    [Firewall(RuleSet((Rule.to("drop", protocol="udp"), Rule("allow")))), L3Fwd(10)],
    ids=["dropped", "sent back"],
)
def test_what_no_vnf_lets_through_arrives_nowhere(function: Function) -> None:
    topology = Chain("linux-bridge", [VNF(L3Fwd(10)), VNF(function)])
    wired = Chains(topology)
    ((_, sent),) = frames_of(topology)
    frame = sent
    if isinstance(function, L3Fwd):  # to 198.18/16: the first router puts it out where it came in
        frame = sent[:26] + sent[30:34] + sent[26:30] + sent[34:]
    assert wired.arriving(THERE, frame, GENERATOR) is None


def test_a_function_of_a_users_own_is_passed_over() -> None:
    topology = Chain("linux-bridge", [VNF(Own("shop:f")), VNF(L3Fwd(10))])
    ((way, frame),) = frames_of(topology)
    arrived = Chains(topology).arriving(way, frame, GENERATOR)
    assert arrived is not None
    assert arrived[TTL_AT] == frame[TTL_AT] - 1


def test_frames_on_the_way_back_have_their_ip_addresses_swapped() -> None:
    topology = PVP("linux-bridge", VNF(L3Fwd(10)), bidirectional=True)
    (_, there), (_, back) = frames_of(topology)
    assert (there[26:30], there[30:34]) == (back[30:34], back[26:30])
