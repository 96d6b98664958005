"""Placement on a rig: who has which part of a topology, at which ports, between which stations."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.deployment.plan import Placement
from pytest_nfv.deployment.rig_plan import HostCores, place_on_rig, station
from pytest_nfv.deployment.wiring import Chains
from pytest_nfv.errors import CapabilityMissing, ConfigurationError
from pytest_nfv.model.chain import PVP, Chain, Colocated
from pytest_nfv.model.machine import Cable, Machine, NicPort, Rig
from pytest_nfv.model.nf import Firewall, Function, L2Fwd, L3Fwd
from pytest_nfv.model.testbed import Testbed
from pytest_nfv.model.topology import P2P, SocketPair, Topology, VSwitch
from pytest_nfv.model.vnf import VNF
from pytest_nfv.units import Link

LINK = Link.of("10GbE")
FUNCTIONS: list[Function] = [L2Fwd(), L3Fwd(10), Firewall(10)]


def machine(
    name: str, ports: int = 2, *, device: tuple[int, ...] = (), generator: tuple[int, ...] = ()
) -> Machine:
    nics = tuple(NicPort(f"p{number}", interface=f"eth{number}") for number in range(ports))
    return Machine(name, address=name, ports=nics, device_cores=device, generator_cores=generator)


def rig(devices: Sequence[Machine], generator: Machine, cables: Sequence[tuple[str, str]]) -> Rig:
    made = []
    for one, other in cables:
        (a, p), (b, q) = one.split("."), other.split(".")
        made.append(Cable((a, p), (b, q), LINK))
    machines = {each.name: each for each in (*devices, generator)}
    return Rig(tuple(each.name for each in devices), generator.name, tuple(made), machines)


def back_to_back(ports: int = 2, **cores: tuple[int, ...]) -> Rig:
    cables = [(f"gen.p{number}", f"dut.p{number}") for number in range(ports)]
    return rig([machine("dut", ports, **cores)], machine("gen", ports), cables)


def in_a_row(hosts: int) -> Rig:
    """Generator port 0, then each host's p0 and p1, then generator port 1."""
    devices = [machine(f"dut{number}") for number in range(hosts)]
    ends = ["gen.p0", *(f"dut{number}.{port}" for number in range(hosts) for port in ("p0", "p1")), "gen.p1"]
    return rig(devices, machine("gen"), list(zip(ends[::2], ends[1::2], strict=True)))


def placed(topology: Topology, of: Rig, cores: int = 8, *, oversubscribe: bool = False) -> Placement:
    testbed = Testbed("lab", "lab", LINK, rig=of, oversubscribe=oversubscribe)
    hosts = {name: HostCores(tuple(range(cores)), dict.fromkeys(range(cores), 0)) for name in of.machines}
    return place_on_rig(topology, testbed, hosts)


def test_a_switch_between_two_ports_of_the_generator() -> None:
    found = placed(P2P(VSwitch("ovs")), back_to_back())
    (split,) = found.splits
    assert (split.host, split.topology) == ("dut", P2P(VSwitch("ovs")))
    assert [port.interface for port in split.ports] == ["eth0", "eth1"]
    assert [port.interface for port in found.far] == ["eth0", "eth1"]
    assert split.stations == (station(0), station(1))
    assert split.cores.switch == (1,)  # core 0 is left to interrupts
    assert found.generator_core == 7


def test_the_testbeds_cores_are_taken() -> None:
    found = placed(P2P(VSwitch("ovs")), back_to_back(device=(3, 4)))
    assert found.device_cores == (3, 4)


def test_a_core_that_a_host_has_not_is_named() -> None:
    with pytest.raises(ConfigurationError, match="host dut: device_cores names core 9; accepted: 0, 1"):
        placed(P2P(VSwitch("ovs")), back_to_back(device=(9,)), cores=2)


def test_too_few_cables_are_a_skip_that_says_so() -> None:
    with pytest.raises(CapabilityMissing, match=r"cables: 4 cables from gen to dut are needed, .* has 2"):
        placed(P2P(VSwitch("ovs"), pairs=2), back_to_back())


def test_several_chains_take_their_own_cables() -> None:
    found = placed(Colocated(PVP("ovs", VNF(L3Fwd(10))), 2), back_to_back(4))
    assert [port.name for port in found.splits[0].ports] == ["p0", "p1", "p2", "p3"]


def test_applications_stay_on_one_machine() -> None:
    with pytest.raises(CapabilityMissing, match="applications on one machine"):
        placed(SocketPair(VSwitch("linux-bridge")), back_to_back())


def test_a_device_on_the_generators_host_leaves_it_its_core() -> None:
    one = machine("one", 4)
    cables = [("one.p0", "one.p2"), ("one.p1", "one.p3")]
    of = Rig(("one",), "one", rig([one], one, cables).cables, {"one": one})
    found = placed(Chain("ovs", [VNF(L2Fwd()), VNF(L2Fwd())]), of, cores=4)
    assert found.generator_core not in found.device_cores
    assert [port.name for port in found.far] == ["p0", "p1"]
    assert [port.name for port in found.splits[0].ports] == ["p2", "p3"]


@given(functions=st.lists(st.sampled_from(FUNCTIONS), min_size=1, max_size=7), hosts=st.integers(2, 4))
def test_a_chain_goes_on_from_host_to_host(functions: list[Function], hosts: int) -> None:
    """Every VNF is on one host, in order; what each function is told is what the whole chain's would be."""
    whole = Chain("ovs", [VNF(one, engine="kernel") for one in functions])
    found = placed(whole, in_a_row(hosts))
    assert [vnf for split in found.splits for lane in split.topology.lanes for vnf in lane] == list(whole.vnfs)
    assert [[port.name for port in split.ports] for split in found.splits] == [["p0", "p1"]] * hosts
    generator = (station(0), station(1))
    everywhere = Chains(whole)
    wanted = {one.name: everywhere.function(one, generator) for one in everywhere.instances}
    told = {}
    for split in found.splits:
        part = Chains(split.topology, split.first_vnf, split.first_vnf)
        for one in part.instances:
            told[one.name] = part.function(one, split.stations)
            assert one.addresses == next(each.addresses for each in everywhere.instances if each.name == one.name)
            assert part.port(one, 0) in range(2, 2 + 2 * len(part.instances))
    assert told == wanted


def test_both_cores_of_the_generator_are_left_to_it() -> None:
    one = machine("one", 4, generator=(2, 3))
    of = Rig(("one",), "one", rig([one], one, [("one.p0", "one.p2"), ("one.p1", "one.p3")]).cables, {"one": one})
    found = placed(PVP("ovs", VNF(L3Fwd(10))), of, cores=6)
    assert (found.generator_core, found.receiver_core) == (2, 3)
    assert not {2, 3} & set(found.device_cores)


def test_a_generator_among_several_devices_is_refused() -> None:
    one, other = machine("one", 4), machine("other")
    with pytest.raises(ConfigurationError, match="one is one of several devices; accepted: a host of its own"):
        rig([one, other], one, [("one.p0", "one.p1"), ("one.p2", "other.p0"), ("other.p1", "one.p3")])


def test_what_cannot_go_across_hosts_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="across 2 hosts: accepted: Chain, PVP, or P2P of one pair"):
        placed(Colocated(PVP("ovs", VNF(L2Fwd())), 2), in_a_row(2))


def test_the_plan_says_what_goes_where() -> None:
    lines = placed(Chain("ovs", [VNF(L3Fwd(10)), VNF(L2Fwd())]), in_a_row(2)).lines()
    assert lines[1].endswith(" on dut0, core 1, 2, 3, 4, 5, 6, ports p0 (eth0), p1 (eth1)")
    assert "    vnf0 L3Fwd(10 routes) by kernel in namespace on core 7" in lines
    assert "    vnf1 L2Fwd by kernel in namespace on core 7" in lines
    assert lines[-1] == "  generator on gen, core 7, ports p0 (eth0), p1 (eth1)"
