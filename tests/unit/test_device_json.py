"""What goes over the lines to a device on another host comes out as it went in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.deployment.device import Part, Spent
from pytest_nfv.deployment.device_json import part_json, part_of, spent_json, spent_of
from pytest_nfv.deployment.engines import VnfCounters
from pytest_nfv.errors import ConfigurationError
from pytest_nfv.hosts.nic import Nic
from pytest_nfv.model import topology_json
from pytest_nfv.model.chain import PVP, Chain, Colocated
from pytest_nfv.model.nf import Firewall, L2Fwd, L3Fwd, Own, Signature
from pytest_nfv.model.topology import P2P, SocketPair, Topology, VSwitch
from pytest_nfv.model.trial import CoreUse, GuestUse, ThreadUse
from pytest_nfv.model.vnf import VNF
from pytest_nfv.vnfs.protocol import VnicCounters
from pytest_nfv.vswitches.protocol import PortCounters

COUNTS = st.integers(0, 2**40)
DROPS = st.dictionaries(st.text(min_size=1), COUNTS, max_size=3)
SECONDS = st.floats(0, 1e6)
SWITCHES = st.sampled_from([VSwitch("linux-bridge"), VSwitch("ovs-dpdk", {"queues": "2", "rules": "normal"})])
VNFS = st.sampled_from(
    [
        VNF(L2Fwd(), engine="numpy", host="lxc"),
        VNF(L3Fwd(3), vnics=4),
        VNF(Firewall(5), memory_mib=64),
        VNF(Signature()),
        VNF(Own("a.b:c"), queues=2),
        VNF(L3Fwd(10), host="vm", vcpus=2),
    ]
)
ALONE = st.lists(VNFS.filter(lambda vnf: vnf.vnics == 2), min_size=1, max_size=4)
CHAINS = st.one_of(
    st.builds(PVP, SWITCHES, VNFS, bidirectional=st.booleans()),
    st.builds(Chain, SWITCHES, ALONE, placement=st.sampled_from([None, "same_core", "spread"])),
)
TOPOLOGIES = st.one_of(
    st.builds(P2P, SWITCHES, bidirectional=st.booleans(), pairs=st.integers(1, 4)),
    CHAINS,
    st.builds(Colocated, CHAINS, st.integers(1, 4)),
)


@given(TOPOLOGIES)
def test_a_topology(topology: Topology) -> None:
    read = topology_json.from_json(json.loads(json.dumps(topology_json.to_json(topology))))
    assert read == topology
    assert type(read) is type(topology)


def test_applications_are_not_told_to_another_host() -> None:
    with pytest.raises(ConfigurationError, match=r"1vs1.*: accepted on a testbed of several hosts: P2P, PVP"):
        topology_json.to_json(SocketPair(VSwitch("linux-bridge")))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="topology 'Ring': accepted: P2P, PVP, Chain, Colocated"):
        topology_json.from_json(
            {"kind": "Ring", "vswitch": ["ovs", []], "vnfs": [], "bidirectional": False, "placement": None}
        )


@given(TOPOLOGIES, st.booleans(), st.integers(0, 9))
def test_a_part(topology: Topology, shared: bool, first: int) -> None:
    uplinks = (Nic("eth1", "0000:3b:00.0"), Nic("", "0000:3b:00.1"))
    part = Part(topology, 1500, (1, 2), ((3,), (4, 5)), shared, uplinks, ("02:00:00:00:00:01", ""), first, first)
    assert part_of(json.loads(json.dumps(part_json(part)))) == part


PORTS = st.builds(PortCounters, st.integers(0, 9), st.text(), COUNTS, COUNTS, DROPS, DROPS, st.text(), st.text())
VNICS = st.builds(VnicCounters, COUNTS, COUNTS, DROPS, DROPS, DROPS)
VNF_COUNTERS = st.builds(VnfCounters, st.tuples(VNICS, VNICS), DROPS)
COUNTERS = st.tuples(
    st.lists(PORTS, max_size=3).map(tuple), st.dictionaries(st.text(min_size=1), VNF_COUNTERS, max_size=2)
)
CORES = st.builds(CoreUse, st.just("device"), st.integers(0, 99), SECONDS, SECONDS, SECONDS, SECONDS, SECONDS)
THREADS = st.builds(ThreadUse, st.just("device"), st.text(), SECONDS, SECONDS, st.none() | SECONDS)


GUESTS = st.builds(GuestUse, st.text(), SECONDS, SECONDS, SECONDS, SECONDS, SECONDS)


@given(
    COUNTERS,
    COUNTERS,
    st.lists(CORES, max_size=2).map(tuple),
    st.lists(THREADS, max_size=3).map(tuple),
    st.lists(GUESTS, max_size=2).map(tuple),
)
def test_what_a_trial_cost(before: object, after: object, cores: object, threads: object, guests: object) -> None:
    spent = Spent(before, after, cores, threads, guests)  # type: ignore[arg-type]  # hypothesis' tuples are of no type
    assert spent_of(json.loads(json.dumps(spent_json(spent)))) == spent
