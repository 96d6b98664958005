"""Which engine carries a VNF out, by what the switch's ports are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_nfv.deployment.choice import ACCEPTED, chosen
from pytest_nfv.deployment.plan import place
from pytest_nfv.deployment.system import SimulatedSystem
from pytest_nfv.deployment.vnfs import unlimited
from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.chain import PVP, Colocated
from pytest_nfv.model.nf import Firewall, Function, L2Fwd, L3Fwd, Own, Signature
from pytest_nfv.model.simulation import Simulation
from pytest_nfv.model.testbed import built_in
from pytest_nfv.model.topology import P2P, Topology, VSwitch
from pytest_nfv.model.vnf import ENGINES, FUNCTIONS, HOSTS, VNF
from pytest_nfv.nfproc.work import work_of

# What a switch's ports are, where the VNF runs, what is asked for: what carries it out, or None where nothing can.
CHOICES = [
    ("veth", "namespace", "auto", "kernel"),
    ("veth", "lxc", "auto", "kernel"),
    ("veth", "namespace", "xdp", "xdp"),
    ("veth", "lxc", "testpmd", "testpmd"),
    ("veth", "vm", "auto", "kernel"),
    ("veth", "vm", "kernel", "kernel"),
    ("vhost_user", "namespace", "auto", "numpy"),
    ("vhost_user", "lxc", "testpmd", "testpmd"),
    ("vhost_user", "vm", "auto", "kernel"),
    ("vhost_user", "namespace", "kernel", None),
    ("vhost_user", "lxc", "xdp", None),
    ("memif", "namespace", "auto", "numpy"),
    ("memif", "namespace", "testpmd", None),
    ("memif", "vm", "auto", None),
    ("memif", "vm", "kernel", None),
]


@pytest.mark.parametrize(("joins", "host", "asked", "engine"), CHOICES)
def test_the_engine_is_chosen_for_what_the_ports_are(
    joins: str, host: str, asked: str, engine: str | None
) -> None:
    vnf = VNF(L2Fwd(), engine=asked, host=host)
    if engine is None:
        with pytest.raises(ConfigurationError) as raised:
            chosen(vnf, joins, "the switch")
        assert f"VNF(L2Fwd, engine={asked!r}, host={host!r}) on the switch, whose ports are {joins}" in str(
            raised.value
        )
        return
    assert chosen(vnf, joins, "the switch") == VNF(L2Fwd(), engine=engine, host=host)


@pytest.mark.parametrize("joins", ACCEPTED)
@pytest.mark.parametrize("engine", [one for one in ENGINES if one != "auto"])
@pytest.mark.parametrize("host", [one for one in HOSTS if one != "vm"])
def test_what_the_message_accepts_is_accepted_and_nothing_else(joins: str, engine: str, host: str) -> None:
    vnf = VNF(L2Fwd(), engine=engine, host=host)
    if engine in ACCEPTED[joins]:
        assert chosen(vnf, joins, "s") == vnf
        return
    with pytest.raises(ConfigurationError, match=f"accepted: {', '.join(ACCEPTED[joins])}$"):
        chosen(vnf, joins, "s")


def test_every_kind_of_port_has_an_engine_by_default() -> None:
    assert all(set(engines) <= set(ENGINES) for engines in ACCEPTED.values())
    assert {joins: chosen(VNF(L2Fwd()), joins, "s").engine for joins in ACCEPTED} == {
        "veth": "kernel",
        "vhost_user": "numpy",
        "memif": "numpy",
    }


@pytest.mark.parametrize(
    ("function", "joins", "engine"),
    [
        (L3Fwd(10), "veth", "kernel"),
        (Firewall(10), "veth", "kernel"),
        (Signature(), "veth", "numpy"),
        (Own("shop:mine"), "veth", "numpy"),
        (Signature(), "vhost_user", "numpy"),
        (Own("shop:mine"), "memif", "numpy"),
    ],
)
def test_the_engine_that_is_chosen_has_the_function(function: Function, joins: str, engine: str) -> None:
    assert chosen(VNF(function), joins, "s").engine == engine


@pytest.mark.parametrize("function", [L2Fwd(), L3Fwd(10), Firewall(10), Signature(), Own("os.path:join")], ids=str)
def test_every_function_has_an_engine_at_every_switch(function: Function) -> None:
    for joins in ACCEPTED:
        assert isinstance(function, FUNCTIONS[chosen(VNF(function), joins, "s").engine])
    assert work_of(function)


@pytest.mark.parametrize(
    "make", [lambda switch, vnf: PVP(switch, vnf), lambda switch, vnf: Colocated(PVP(switch, vnf), 2)]
)
def test_what_is_placed_says_its_engine_and_is_the_same_as_if_it_were_named(
    make: Callable[[str, VNF], Topology],
) -> None:
    local = built_in()["local"]
    for switch, engine in (("linux-bridge", "kernel"), ("ovs-dpdk", "numpy")):
        placed = place(make(switch, VNF(L2Fwd())), local, [0, 1])
        assert placed == place(make(switch, VNF(L2Fwd(), engine=engine)), local, [0, 1])
        assert f"L2Fwd by {engine} in namespace" in str(placed.topology)
    simulated = SimulatedSystem(
        built_in()["sim"].with_simulation(Simulation(capacity_pps=1e6)), make("ovs", VNF(L2Fwd()))
    )
    assert "by kernel" in str(simulated.topology)
    assert place(P2P(VSwitch("ovs")), local, [0, 1]).topology == P2P(VSwitch("ovs"))


def test_memory_that_limits_nothing_is_noted() -> None:
    vnfs = {
        0: VNF(L2Fwd(), engine="kernel", memory_mib=64),
        1: VNF(L2Fwd(), engine="kernel"),
        2: VNF(L2Fwd(), engine="numpy", memory_mib=64),
        3: VNF(L2Fwd(), engine="kernel", host="vm", memory_mib=64),
        4: VNF(L2Fwd(), engine="kernel", host="lxc", memory_mib=64),
    }
    assert [note.partition(":")[0] for note in unlimited(vnfs)] == ["vnf0", "vnf4"]
    assert unlimited(vnfs)[0] == "vnf0: memory_mib=64 limits nothing: the kernel of the host forwards for it"


UNDONE = [
    PVP("ovs-dpdk", VNF(L3Fwd(10), engine="xdp")),
    PVP("ovs-dpdk", VNF(L2Fwd(), engine="kernel")),
    PVP(VSwitch("testpmd", {"ports": "memif"}), VNF(L2Fwd(), engine="testpmd")),
    PVP(VSwitch("testpmd", {"ports": "memif"}), VNF(L2Fwd(), host="vm")),
    PVP("linux-bridge", VNF(L2Fwd(), engine="numpy", queues=2)),
]


@pytest.mark.parametrize("topology", UNDONE, ids=str)
def test_what_no_engine_does_is_refused_before_anything_is_deployed(topology: PVP) -> None:
    (vnf,) = topology.vnfs
    with pytest.raises(ConfigurationError, match=r"^VNF\(.* on .*: accepted: "):
        place(topology, built_in()["local"], [0, 1])
    simulated = built_in()["sim"].with_simulation(Simulation(capacity_pps=1e6))
    with pytest.raises(ConfigurationError, match=r"^VNF\(.* on .*: accepted: "):
        SimulatedSystem(simulated, topology)
    assert place(PVP("ovs-dpdk", VNF(vnf.function)), built_in()["local"], [0, 1])
