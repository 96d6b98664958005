"""Frames over several queues of a VNF's vNICs: each 5-tuple has one, and all of them are used."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from pytest_nfv.deployment.deploy import Deployment
from pytest_nfv.deployment.frames import load_of
from pytest_nfv.deployment.plan import place
from pytest_nfv.deployment.proof import prove
from pytest_nfv.deployment.runner import TrialRunner
from pytest_nfv.errors import CapabilityMissing, ConfigurationError
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.chain import PVP
from pytest_nfv.model.nf import L2Fwd, L3Fwd
from pytest_nfv.model.testbed import built_in
from pytest_nfv.model.topology import VSwitch
from pytest_nfv.model.trial import TrialResult
from pytest_nfv.model.vnf import VNF
from pytest_nfv.units import FrameSize
from pytest_nfv.vswitches.ovs_dpdk import OvsDpdk
from tests.functional.test_vnf_topologies import Silent

pytestmark = pytest.mark.usefixtures("nothing_left")

QUEUES, FLOWS = 2, 64
Deploy = Callable[[PVP], Deployment]


@pytest.fixture
def deploy(lacks: Callable[[CapabilityMissing], None]) -> Iterator[Deploy]:
    run = new_run_id()
    with closing(Lab(LocalHost(run), run)) as lab, ExitStack() as standing:

        def deployed(topology: PVP) -> Deployment:
            try:
                placement = place(topology, built_in()["local"], sorted(os.sched_getaffinity(0)))
                made = Deployment(placement, lab)
            except CapabilityMissing as missing:
                lacks(missing)
            standing.callback(made.close)
            return made

        yield deployed


def trial(deployment: Deployment) -> TrialResult:
    """Send frames of `FLOWS` 5-tuples; all pass every place. A trial that the machine spoilt is repeated."""
    prove(deployment)
    load = load_of(deployment.placement.topology, deployment.addresses, FrameSize(64), None, FLOWS, 0)
    runner = TrialRunner(deployment, load, Silent())
    measured = next(one for one in (runner.measure(4000.0, 0.3) for _ in range(10)) if one.valid and not one.lost)
    assert {hop.frames for hop in measured.hops} == {measured.sent}, measured.hops
    return measured


def by_queue(deployment: Deployment, port: int, way: str) -> dict[int, int]:
    """Return what OVS counts of a port, queue by queue."""
    assert isinstance(deployment.device.switch, OvsDpdk)
    counted = deployment.device.switch._stats()[port].custom
    found = ((re.fullmatch(rf"{way}_q(\d+)_good_packets", name), frames) for name, frames in counted.items())
    return {int(match[1]): frames for match, frames in found if match}


@pytest.mark.parametrize(
    "vnf",
    [
        VNF(L2Fwd(), engine="numpy", queues=QUEUES),
        VNF(L3Fwd(10), engine="numpy", queues=QUEUES),
        VNF(L2Fwd(), engine="testpmd", queues=QUEUES),
    ],
    ids=str,
)
def test_all_queues_of_a_vnf_carry_frames(deploy: Deploy, vnf: VNF) -> None:
    deployment = deploy(PVP("ovs-dpdk", vnf))
    sent = trial(deployment).sent
    for port, way in ((2, "tx"), (3, "rx")):  # to the VNF's vNIC 0, from its vNIC 1
        found = by_queue(deployment, port, way)
        assert found.keys() == set(range(QUEUES)), (port, found)
        assert min(found.values()) > sent / QUEUES / 4, (port, found)


@pytest.mark.parametrize("engine", ["numpy", "testpmd"])
def test_several_queues_between_two_testpmds_or_ours(deploy: Deploy, engine: str) -> None:
    switch = VSwitch("testpmd", {"queues": str(QUEUES)})
    trial(deploy(PVP(switch, VNF(L2Fwd(), engine=engine, queues=QUEUES))))


def test_more_queues_than_a_switch_gives_are_refused(deploy: Deploy) -> None:
    with pytest.raises(ConfigurationError, match="vNICs of 2 queues: accepted: 1"):
        deploy(PVP("testpmd", VNF(L2Fwd(), queues=QUEUES)))
