"""Which threads carry VNFs out: on which cores, in whose turns, in whose account, and how much of their time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from pytest_nfv.deployment.cores import Cores
from pytest_nfv.deployment.deploy import Deployment
from pytest_nfv.deployment.frames import load_of
from pytest_nfv.deployment.plan import Placement, place
from pytest_nfv.deployment.proof import prove
from pytest_nfv.deployment.runner import TrialRunner
from pytest_nfv.errors import CapabilityMissing
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.bottleneck import component_of_thread
from pytest_nfv.model.chain import PVP
from pytest_nfv.model.nf import L2Fwd, L3Fwd
from pytest_nfv.model.testbed import built_in
from pytest_nfv.model.trial import TrialResult
from pytest_nfv.model.vnf import VNF
from pytest_nfv.units import FrameSize
from tests.functional.conftest import Suite
from tests.functional.test_vnf_topologies import Silent

pytestmark = pytest.mark.usefixtures("nothing_left")

Deploy = Callable[[Placement], Deployment]


@pytest.fixture
def deploy(lacks: Callable[[CapabilityMissing], None]) -> Iterator[Deploy]:
    run = new_run_id()
    with closing(Lab(LocalHost(run), run)) as lab:
        standing: list[Deployment] = []

        def deployed(placement: Placement) -> Deployment:
            try:
                standing.append(Deployment(placement, lab))
            except CapabilityMissing as missing:
                lacks(missing)
            return standing[-1]

        try:
            yield deployed
        finally:
            for one in standing:
                one.close()


def placed(topology: PVP) -> Placement:
    return place(topology, built_in()["local"], sorted(os.sched_getaffinity(0)))


def trial(deployment: Deployment, rate_pps: float) -> TrialResult:
    prove(deployment)
    load = load_of(deployment.placement.topology, deployment.addresses, FrameSize(64), None, 1, 0)
    return TrialRunner(deployment, load, Silent()).measure(rate_pps, 0.3)


@pytest.mark.parametrize(("switch", "engine"), [("linux-bridge", "kernel"), ("ovs-dpdk", "numpy")])
def test_each_pair_of_vnics_has_a_core_of_its_own(deploy: Deploy, switch: str, engine: str) -> None:
    cores = sorted(os.sched_getaffinity(0))[:2]
    placement = placed(PVP(switch, VNF(L3Fwd(10), engine=engine, vnics=4)))
    deployment = deploy(replace(placement, cores=Cores((cores[0],), (tuple(cores),))))
    where = {name: os.sched_getaffinity(tid) for tid, name in deployment.device.threads().items()}
    for pair, core in enumerate(cores):
        own = {name: allowed for name, allowed in where.items() if name.startswith(f"vnf0.{pair} ")}
        assert own, where
        assert set(map(frozenset, own.values())) == {frozenset({core})}, own


def test_a_vnfs_own_thread_of_the_kernel_is_in_the_accounts(deploy: Deploy) -> None:
    deployment = deploy(placed(PVP("linux-bridge", VNF(L3Fwd(10)))))
    own = [one for one in trial(deployment, 20_000.0).threads if component_of_thread(one) == "vnf0"]
    assert [one.name for one in own if one.name.startswith("vnf0 napi/") and one.cpu_s > 1e-3], own


@pytest.mark.parametrize(("switch", "engine"), [("ovs-dpdk", "testpmd"), ("ovs-dpdk", "numpy")])
def test_a_vnf_that_polls_is_not_busy_because_it_polls(deploy: Deploy, switch: str, engine: str) -> None:
    """At 2 kpps an engine has frames for a few microseconds of each 500."""
    measured = trial(deploy(placed(PVP(switch, VNF(L2Fwd(), engine=engine)))), 2000.0)
    (polls,) = [one for one in measured.threads if component_of_thread(one) == "vnf0" and one.worked_s is not None]
    assert polls.worked_s is not None
    assert 0 < polls.worked_s < 0.5 * measured.cores[0].wall_s, polls
    # Work on 600 frames, of 2 to 100 us each with what comes with a frame that comes alone.
    assert 600 * 1e-6 < polls.worked_s < 600 * 100e-6, polls
    assert (polls.worked_cycles is not None) is (engine == "testpmd"), "numpy counts ns"
    (pmd,) = [one for one in measured.threads if one.name.startswith("pmd-")]
    assert pmd.worked_cycles is not None
    assert 600 * 100 < pmd.worked_cycles < 600 * 1_000_000, pmd


TURNS = """
from pytest_nfv import PVP, VNF, L2Fwd, kpps

def test_turns(deploy):
    traffic = deploy(PVP("linux-bridge", VNF(L2Fwd(), engine="numpy"), placement="same_core"))
    notes = traffic.forwarding_rate(2 * kpps, frame_size=64).subject.notes
    (refused,) = [note for note in notes if note.startswith("turns of the kernel's own length: ")]
    assert "vnf0 python" in refused, notes
    assert "napi/s0-" in refused, notes
"""


def test_threads_that_may_not_take_short_turns_are_told(suite: Suite) -> None:
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.geteuid() != 0:
        pytest.skip("taking one right away takes root and setpriv (package util-linux)")
    suite.write(TURNS)
    status, text = suite.run(prefix=(setpriv, "--bounding-set=-sys_nice", "--inh-caps=-sys_nice"))
    assert status == 0, text
