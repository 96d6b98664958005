"""VNFs and their topologies as values: what is accepted, what equals what, how it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.chain import CHAIN_MAX, PVP, Chain, Colocated
from pytest_nfv.model.nf import Firewall, L2Fwd, L3Fwd, Own, Signature
from pytest_nfv.model.topology import PAIRS_MAX, VSwitch
from pytest_nfv.model.trial import Direction
from pytest_nfv.model.vnf import ENGINES, HOSTS, VM_MEMORY_MIB, VNF
from pytest_nfv.vnfs.vm_settings import Engine, Machine, VhostUser

ONE = VNF(L2Fwd())
ANY = cast(Any, object())


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: VNF(ANY), "accepted: a network function such as L2Fwd()"),
        (lambda: VNF(cast(Any, L2Fwd)), "L2Fwd'>): accepted: a network function such as L2Fwd()"),
        (lambda: VNF(cast(Any, "l2fwd")), "VNF('l2fwd'): accepted: a network function such as L2Fwd()"),
        (lambda: VNF(L2Fwd(), engine="dpdk"), f"VNF(engine='dpdk'): accepted: {', '.join(ENGINES)}"),
        (lambda: VNF(L2Fwd(), host="docker"), f"VNF(host='docker'): accepted: {', '.join(HOSTS)}"),
        (lambda: VNF(L3Fwd(10), vnics=3), "accepted: 2, and with L3Fwd an even number up to 16"),
        (lambda: VNF(L2Fwd(), vnics=4), "accepted: 2, and with L3Fwd an even number up to 16"),
        (lambda: VNF(L3Fwd(10), vnics=18), "VNF(vnics=18): accepted: 2 to 16"),
        (lambda: VNF(L2Fwd(), queues=0), "VNF(queues=0): accepted: 1 to 16"),
        (lambda: VNF(L2Fwd(), queues=True), "VNF(queues=True): accepted: 1 to 16"),
        (lambda: VNF(L2Fwd(), memory_mib=-1), "VNF(memory_mib=-1): accepted: 0 to "),
        (lambda: VNF(L2Fwd(), memory_mib=cast(Any, 0.5)), "VNF(memory_mib=0.5): accepted: 0 to "),
        (
            lambda: VNF(L2Fwd(), memory_mib=1),
            "VNF(memory_mib=1, engine='auto', host='namespace'): accepted: from 16, or 0 for no limit",
        ),
        (lambda: VNF(L2Fwd(), host="lxc", memory_mib=3), "accepted: from 4, or 0 for no limit"),
        (lambda: VNF(L2Fwd(), host="vm", memory_mib=10), "accepted: from 64, or 0 for 1024 MiB"),
        (
            lambda: VNF(L2Fwd(), host="vm", engine="testpmd", memory_mib=511),
            "VNF(memory_mib=511, engine='testpmd', host='vm'): accepted: from 512, or 0 for 1024 MiB",
        ),
        (
            lambda: VNF(L2Fwd(), host="vm", engine="testpmd", queues=2, vcpus=2),
            "VNF(queues=2, engine='testpmd', host='vm'): accepted: 1, or engine='kernel'",
        ),
        (
            lambda: VNF(L2Fwd(), engine="numpy", host="vm"),
            "VNF(L2Fwd, engine='numpy', host='vm'): accepted: kernel, testpmd",
        ),
        (
            lambda: VNF(Firewall(10), engine="testpmd"),
            "VNF(Firewall(10 rules), engine='testpmd', host='namespace'): accepted: kernel, numpy",
        ),
        (lambda: VNF(L3Fwd(10), engine="testpmd"), "accepted: kernel, numpy, xdp"),
        (lambda: VNF(Firewall(10), engine="xdp"), "engine='xdp', host='namespace'): accepted: kernel, numpy"),
        (
            lambda: VNF(Signature(), engine="kernel"),
            "VNF(Signature, engine='kernel', host='namespace'): accepted: numpy",
        ),
        (lambda: VNF(Own("a:b"), engine="kernel"), "VNF(a:b, engine='kernel', host='namespace'): accepted: numpy"),
        (lambda: VNF(Signature(), host="vm"), "host='vm'): accepted: none in a guest; elsewhere numpy"),
        (lambda: VNF(L2Fwd(), queues=2, host="vm"), "VNF(queues=2, host='vm', vcpus=1): accepted: up to 1"),
        (lambda: VNF(L2Fwd(), vcpus=2), "VNF(vcpus=2, host='namespace'): accepted: 1, or host='vm'"),
        (lambda: Chain("ovs", []), f"Chain of 0 VNFs: accepted: 1 to {CHAIN_MAX}"),
        (lambda: Chain("ovs", [ONE] * (CHAIN_MAX + 1)), f"Chain of {CHAIN_MAX + 1} VNFs"),
        (lambda: Chain("ovs", [cast(Any, L2Fwd())]), "accepted: a VNF, such as VNF(L3Fwd())"),
        (lambda: Chain("ovs", cast(Any, 5)), "Chain(5): accepted: a list of VNFs, such as [VNF(L3Fwd())]"),
        (lambda: Chain("ovs", cast(Any, "vnf")), "Chain('vnf'): accepted: a list of VNFs"),
        (lambda: Chain("ovs", cast(Any, ONE)), "accepted: a list of VNFs, such as [VNF(L3Fwd())]"),
        (lambda: PVP("ovs", cast(Any, L2Fwd())), "PVP(L2Fwd()): accepted: a VNF, such as VNF(L3Fwd())"),
        (lambda: Chain("ovs", [ONE, VNF(L3Fwd(10), vnics=4)]), "accepted in a chain of several: 2 vNICs each"),
        (lambda: Chain("ovs", [ONE], placement="near"), "accepted: same_core, same_socket, cross_socket, spread"),
        (lambda: Chain(ANY, [ONE]), "accepted: a VSwitch or a switch's name"),
        (lambda: PVP("ovs", cast(Any, [ONE])), "accepted: a VNF, such as VNF(L3Fwd())"),
        (lambda: PVP("ovs", ONE, placement=""), "PVP(placement=''): accepted: same_core"),
        (lambda: Colocated(ANY, 2), "accepted: a PVP or a Chain"),
        (lambda: Colocated(PVP("ovs", ONE), 0), f"Colocated(n=0): accepted: 1 to {PAIRS_MAX}"),
        (lambda: Colocated(PVP("ovs", ONE), PAIRS_MAX + 1), f"accepted: 1 to {PAIRS_MAX}"),
        (lambda: Colocated(PVP("ovs", ONE), True), "Colocated(n=True)"),
    ],
)
def test_what_is_not_accepted_is_named(make: Callable[[], object], says: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        make()
    assert says in str(raised.value)


def test_a_chain_takes_a_list_and_a_switchs_name() -> None:
    chain = Chain("ovs", [ONE, ONE])
    assert (chain.vswitch, chain.vnfs, chain.lanes) == (VSwitch("ovs"), (ONE, ONE), ((ONE, ONE),))
    assert PVP("ovs", ONE).lanes == ((ONE,),)


def test_directions_and_ports_of_each() -> None:
    there, back = Direction(0, 1), Direction(1, 0)
    assert PVP("ovs", ONE).directions == (there,)
    both = Chain("ovs", [ONE, ONE], bidirectional=True)
    assert both.directions == (there, back)
    several = Colocated(both, 3)
    assert several.generator_ports == 6
    assert several.directions == (
        there,
        back,
        Direction(2, 3),
        Direction(3, 2),
        Direction(4, 5),
        Direction(5, 4),
    )
    assert several.lanes == ((ONE, ONE),) * 3
    assert (several.vswitch, several.placement) == (VSwitch("ovs"), None)


def test_equal_ones_share_a_deployment_and_others_do_not() -> None:
    base = PVP("ovs", VNF(L3Fwd(10)))
    assert hash(base) == hash(PVP("ovs", VNF(L3Fwd(10))))
    assert base == PVP("ovs", VNF(L3Fwd(10)))
    others = [
        PVP("ovs-dpdk", VNF(L3Fwd(10))),
        PVP("ovs", VNF(L3Fwd(11))),
        PVP("ovs", VNF(L3Fwd(10), host="lxc")),
        PVP("ovs", VNF(L3Fwd(10)), bidirectional=True),
        PVP("ovs", VNF(L3Fwd(10)), placement="spread"),
        Chain("ovs", [VNF(L3Fwd(10))]),
        Colocated(base, 1),
    ]
    assert len({base, *others}) == len(others) + 1


def test_how_they_are_written() -> None:
    assert str(VNF(L3Fwd(10), vnics=4)) == "L3Fwd(10 routes) by auto in namespace, 4 vNICs"
    assert str(VNF(L2Fwd(), host="vm", vcpus=2)) == "L2Fwd by auto in vm, 2 vCPUs"
    more = VNF(L2Fwd(), host="vm", vcpus=2, queues=2, memory_mib=4096)
    assert str(more) == "L2Fwd by auto in vm, 2 queues, 2 vCPUs, 4096 MiB"
    chain = Chain("ovs", [ONE, VNF(Signature(), engine="numpy")], bidirectional=True, placement="same_core")
    assert str(chain) == (
        "Chain(ovs, L2Fwd by auto in namespace > Signature by numpy in namespace, both ways, same_core)"
    )
    assert str(Colocated(PVP("ovs", ONE), 2)) == "2 x PVP(ovs, L2Fwd by auto in namespace)"


@pytest.mark.parametrize(
    ("function", "routes"),
    [(L2Fwd(), False), (L3Fwd(10), True), (Firewall(10), False), (Signature(), False), (Own("a:b"), False)],
)
def test_only_a_router_is_addressed(function: L2Fwd, routes: bool) -> None:
    assert VNF(function).routes is routes


@pytest.mark.parametrize(
    "vnf",
    [
        VNF(L2Fwd(), memory_mib=16),
        VNF(L2Fwd(), host="lxc", memory_mib=4),
        VNF(L2Fwd(), host="vm", memory_mib=64),
        VNF(L2Fwd(), host="vm", engine="testpmd", memory_mib=512),
        VNF(L2Fwd(), host="vm", engine="testpmd"),
        VNF(L2Fwd(), host="vm", queues=2, vcpus=2),
    ],
    ids=str,
)
def test_what_a_vnf_declares_its_machine_takes(vnf: VNF) -> None:
    if vnf.host == "vm":
        nics = (VhostUser("/run/s", "02:6e:00:00:03:00", queues=vnf.queues),)
        engine: Engine = "testpmd" if vnf.engine == "testpmd" else "kernel"
        assert Machine(nics, vnf.vcpus, vnf.memory_mib or VM_MEMORY_MIB, engine=engine)


def test_a_chain_of_other_vnfs_is_otherwise_the_same() -> None:
    two = VNF(L2Fwd(), engine="kernel")
    for made in (PVP, lambda *args, **more: Chain(args[0], [args[1]], **more)):
        before = made("ovs", ONE, bidirectional=True, placement="spread")
        assert before.of([two]) == made("ovs", two, bidirectional=True, placement="spread")
        assert before.vnfs == (ONE,)


def test_an_engine_chosen_changes_nothing_else() -> None:
    vnf = VNF(L3Fwd(10), vnics=4, queues=2, memory_mib=64)
    assert vnf.on("numpy") == VNF(L3Fwd(10), engine="numpy", vnics=4, queues=2, memory_mib=64)
