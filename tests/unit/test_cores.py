"""Which core each VNF has: as its topology asks, as far as the machine has them, and never the generator's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.deployment.cores import CAPABILITY, of_pair, sockets_of, spread
from pytest_nfv.deployment.plan import place
from pytest_nfv.errors import CapabilityMissing
from pytest_nfv.model.chain import PLACEMENTS, PVP, Chain, Colocated
from pytest_nfv.model.nf import L2Fwd, L3Fwd
from pytest_nfv.model.testbed import built_in
from pytest_nfv.model.topology import P2P, VSwitch
from pytest_nfv.model.vnf import VNF

LOCAL = built_in()["local"]
ONE = VNF(L2Fwd())


def chain(length: int, placement: str | None = None) -> Chain:
    return Chain("linux-bridge", [ONE] * length, placement=placement)


def sockets(cores: int, per_socket: int) -> dict[int, int]:
    return {core: core // per_socket for core in range(cores)}


def test_a_topology_without_vnfs_leaves_all_cores_to_the_switch() -> None:
    spent = spread(P2P(VSwitch("linux-bridge")), (2, 5), {2: 0, 5: 0}, oversubscribe=False)
    assert (spent.switch, spent.vnfs, spent.notes, spent.shared) == ((2, 5), (), (), False)


@pytest.mark.parametrize(
    ("device", "switch", "vnfs"),
    [
        ((0,), (0,), ((0,), (0,))),
        ((0, 1), (0,), ((1,), (1,))),
        ((0, 1, 2), (0,), ((1,), (2,))),
        ((0, 1, 2, 3, 4), (0, 1, 2), ((3,), (4,))),
    ],
)
def test_with_nothing_said_vnfs_have_cores_of_their_own_as_far_as_they_go(
    device: tuple[int, ...], switch: tuple[int, ...], vnfs: tuple[tuple[int, ...], ...]
) -> None:
    spent = spread(chain(2), device, sockets(8, 8), oversubscribe=False)
    assert (spent.switch, spent.vnfs) == (switch, vnfs)
    assert spent.shared is (len(device) < 3)
    assert bool(spent.notes) is spent.shared


def test_the_notes_say_who_shares_what() -> None:
    spent = spread(chain(3), (4, 6), {4: 0, 6: 0}, oversubscribe=False)
    assert spent.notes == ("core 6 is shared by vnf0, vnf1, vnf2",)
    spent = spread(chain(1), (4,), {4: 0}, oversubscribe=False)
    assert spent.notes == ("core 4 is shared by linux-bridge, vnf0",)


def test_same_core_is_the_switchs() -> None:
    spent = spread(chain(2, "same_core"), (3, 4, 5), sockets(8, 8), oversubscribe=False)
    assert (spent.switch, spent.vnfs) == ((3,), ((3,), (3,)))
    assert spent.notes == ("core 3 is shared by linux-bridge, vnf0, vnf1",)


@pytest.mark.parametrize(
    ("placement", "vnfs"),
    [("same_socket", ((1,), (2,))), ("cross_socket", ((4,), (5,))), ("spread", ((1,), (2,)))],
)
def test_placements_choose_by_socket(placement: str, vnfs: tuple[tuple[int, ...], ...]) -> None:
    spent = spread(chain(2, placement), range(8), sockets(8, 4), oversubscribe=False)
    assert (spent.switch, spent.vnfs, spent.notes) == ((0,), vnfs, ())


@pytest.mark.parametrize(
    ("placement", "length", "says"),
    [
        ("same_socket", 4, "takes 4 device cores beside core 0, on its socket; there are 3"),
        ("cross_socket", 5, "takes 5 device cores beside core 0, on another socket; there are 4"),
        ("spread", 8, "takes 8 device cores beside core 0, on any socket; there are 7"),
    ],
)
def test_too_few_cores_are_missing_or_shared_and_said(placement: str, length: int, says: str) -> None:
    topology = chain(length, placement)
    with pytest.raises(CapabilityMissing) as raised:
        spread(topology, range(8), sockets(8, 4), oversubscribe=False)
    assert (raised.value.capability, raised.value.missing) == (CAPABILITY, f"{topology} {says}")
    assert "--nfv-oversubscribe" in raised.value.remedy
    spent = spread(topology, range(8), sockets(8, 4), oversubscribe=True)
    assert spent.shared
    assert spent.notes[0] == f"oversubscribed: {topology} {says}"
    assert 0 not in {core for cores in spent.vnfs for core in cores}


def test_without_any_accepted_core_the_switchs_is_shared() -> None:
    spent = spread(chain(2, "cross_socket"), (0, 1), sockets(2, 2), oversubscribe=True)
    assert spent.vnfs == ((0,), (0,))
    assert spent.notes[1] == "core 0 is shared by linux-bridge, vnf0, vnf1"


@pytest.mark.parametrize(
    ("vnf", "wants"),
    [(VNF(L3Fwd(10), vnics=6), 3), (VNF(L2Fwd(), host="vm", vcpus=2), 2), (ONE, 1)],
)
def test_a_vnf_wants_a_core_a_pair_of_vnics_or_vcpu(vnf: VNF, wants: int) -> None:
    spent = spread(PVP("linux-bridge", vnf, placement="spread"), range(8), sockets(8, 8), oversubscribe=False)
    assert spent.vnfs == (tuple(range(1, 1 + wants)),)
    just = spread(
        PVP("linux-bridge", vnf, placement="spread"), range(1 + wants), sockets(8, 8), oversubscribe=False
    )
    assert just == spent
    with pytest.raises(CapabilityMissing, match=f"takes {wants} device cores"):
        spread(PVP("linux-bridge", vnf, placement="spread"), range(wants), sockets(8, 8), oversubscribe=False)


def test_pairs_of_vnics_have_cores_of_their_own_where_there_are_enough() -> None:
    vnf = VNF(L3Fwd(10), vnics=4)
    spent = spread(PVP("linux-bridge", vnf), (0, 1, 2), sockets(3, 3), oversubscribe=False)
    assert (spent.switch, spent.vnfs, spent.notes) == ((0,), ((1, 2),), ())
    assert [of_pair(vnf, spent.vnfs[0], pair) for pair in (0, 1)] == [(1,), (2,)]


@pytest.mark.parametrize("device", [(0, 1), (1,)])
def test_pairs_that_share_a_core_share_it_with_each_other_too(device: tuple[int, ...]) -> None:
    """Both poll there: unless they are told to give way, one has the core while the other's ring runs over."""
    vnf = VNF(L3Fwd(10), vnics=4)
    spent = spread(PVP("linux-bridge", vnf), device, {0: 0, 1: 0}, oversubscribe=False)
    assert spent.shared
    (note,) = spent.notes
    assert note.endswith("vnf0.0, vnf0.1")
    assert [of_pair(vnf, spent.vnfs[0], pair) for pair in (0, 1)] == [(1,), (1,)]


def test_virtual_processors_have_all_of_their_guests_cores() -> None:
    vnf = VNF(L2Fwd(), host="vm", vcpus=3)
    assert of_pair(vnf, (4, 5, 4), 0) == (4, 5)
    spent = spread(PVP("linux-bridge", vnf), (0, 1), {0: 0, 1: 0}, oversubscribe=False)
    assert spent.notes == ("core 1 is shared by vnf0 vCPU 0, vnf0 vCPU 1, vnf0 vCPU 2",)


@given(
    st.integers(1, 10),
    st.lists(st.integers(1, 4), min_size=1, max_size=5),
    st.sampled_from([None, *PLACEMENTS]),
    st.integers(1, 5),
    st.integers(1, 3),
)
def test_every_vnf_has_cores_and_what_is_shared_is_said(
    cores: int, pairs: list[int], placement: str | None, per_socket: int, lanes: int
) -> None:
    if len(pairs) > 1:
        pairs = [1] * len(pairs)
    vnfs = [VNF(L3Fwd(10), vnics=2 * one) for one in pairs]
    topology = Colocated(Chain("linux-bridge", vnfs, placement=placement), lanes)
    device, places = range(cores), sockets(cores, per_socket)
    spent = spread(topology, device, places, oversubscribe=True)
    assert len(spent.vnfs) == len(vnfs) * lanes
    assert len(set(spent.switch)) == len(spent.switch) > 0
    assert [len(one) for one in spent.vnfs] == [vnf.vnics // 2 for vnf in vnfs] * lanes
    assert all(set(one) <= set(device) for one in (spent.switch, *spent.vnfs))
    assert spent.shared is any("is shared by" in note for note in spent.notes)
    try:
        alone = spread(topology, device, places, oversubscribe=False)
    except CapabilityMissing:
        assert placement not in (None, "same_core")
        assert spent.notes[0].startswith("oversubscribed: ")
        return
    assert alone == spent
    assert not any("oversubscribed" in note for note in spent.notes)
    assert not spent.shared or placement in (None, "same_core")
    if placement in ("same_socket", "cross_socket"):
        home = places[spent.switch[0]]
        assert {places[core] == home for one in spent.vnfs for core in one} == {placement == "same_socket"}


def test_sockets_are_the_kernels_or_one(tmp_path: Path) -> None:
    for core, text in ((0, "0\n"), (1, "1\n"), (2, "what\n")):
        folder = tmp_path / f"cpu{core}" / "topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text(text)
    assert sockets_of([0, 1, 2, 3], tmp_path) == {0: 0, 1: 1, 2: 0, 3: 0}


@given(st.integers(2, 12), st.integers(1, 6))
def test_the_generators_core_is_nobody_elses(cores: int, length: int) -> None:
    placement = place(chain(length), LOCAL, range(cores))
    assert placement.generator_core not in placement.device_cores
    assert placement.device_cores[0] == placement.cores.switch[0]
    assert len(set(placement.device_cores)) == len(placement.device_cores)
    assert placement.notes == placement.cores.notes


def test_a_placement_tells_where_each_vnf_is() -> None:
    testbed = replace(LOCAL, oversubscribe=True)
    lines = place(chain(2, "spread"), testbed, [0, 1], {0: 0}).lines()
    assert lines[2:] == [
        "  vnf0 L2Fwd by kernel in namespace on core 0",
        "  vnf1 L2Fwd by kernel in namespace on core 0",
        "  note: oversubscribed: Chain(linux-bridge, L2Fwd by kernel in namespace > L2Fwd by kernel in namespace, "
        "spread) takes 2 device cores beside core 0, on any socket; there are 0",
        "  note: core 0 is shared by linux-bridge, vnf0, vnf1",
    ]
