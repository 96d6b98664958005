"""A generator of two processes, one that sends and one that receives, on rings that a switch serves."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_nfv.deployment.deploy import Deployment
from pytest_nfv.deployment.plan import place
from pytest_nfv.deployment.system import DeployedSystem
from pytest_nfv.deployment.traffic import Defaults, Traffic
from pytest_nfv.generators.pair import Pair
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.polling import take_turns
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.testbed import built_in
from pytest_nfv.model.topology import P2P, VSwitch
from pytest_nfv.model.trial import TrialResult, TrialSpec
from pytest_nfv.units import PacketRate

pytestmark = pytest.mark.usefixtures("nothing_left")


class Silent:
    """An observer that shows nothing."""

    def deploying(self, what: str) -> None: ...
    def trial_started(self, spec: TrialSpec) -> None: ...
    def trial_progress(self, spec: TrialSpec, elapsed_s: float, sent: int, received: int) -> None: ...
    def trial_done(self, result: TrialResult) -> None: ...


def share_alike(deployment: Deployment) -> None:
    """Let both halves take turns of 0.1 ms on the core that they share here: in turns of 3 ms frames are late."""
    assert isinstance(deployment.generator, Pair)
    take_turns({pid: str(pid) for pid in deployment.generator.pids()})


@pytest.mark.parametrize(
    ("switch", "settings"),
    [("linux-bridge", ()), ("testpmd", ()), ("testpmd", (("ports", "memif"),)), ("ovs-dpdk", ())],
)
@pytest.mark.parametrize("pairs", [1, 2])
def test_a_sender_and_a_receiver(
    needs: Callable[[str], None], switch: str, settings: tuple[tuple[str, str], ...], pairs: int
) -> None:
    needs("two-cores")
    needs(switch)
    topology = P2P(VSwitch(switch, settings), pairs=pairs)
    cores = sorted(os.sched_getaffinity(0))
    # Of two cores the generator's halves share one; with more each has its own, as `generator_cores` says.
    placement = replace(place(topology, built_in()["local"], cores), receiver_core=cores[-1])
    run = new_run_id()
    lab = Lab(LocalHost(run), run)
    try:
        deployment = Deployment(placement, lab)
        try:
            share_alike(deployment)
            measured: list[object] = []
            goal = SearchGoal(trial_duration_s=0.3, duration_sum_s=0.3)
            traffic = Traffic(
                DeployedSystem(deployment), Defaults(goal=goal, retry_invalid=20), Silent(), measured.append
            )
            gate = traffic.sustains(PacketRate(5000.0), frame_size=128)
            assert gate
            trial = gate.trials[-1]
            assert len(trial.flows) == pairs
            assert all(flow.received == flow.sent > 0 for flow in trial.flows)
            assert {one.name for one in trial.threads if one.role == "generator"} == {"sender", "receiver"}
            assert all(way.percentiles_ns[50.0] > 0 for way in trial.latency)
        finally:
            deployment.close()
    finally:
        lab.close()


def test_both_ways_stay_with_one_process() -> None:
    testbed = replace(built_in()["local"], generator_cores=(1, 2), device_cores=(0,))
    assert place(P2P(VSwitch("linux-bridge")), testbed, [0, 1, 2]).receiver_core == 2
    assert place(P2P(VSwitch("linux-bridge"), bidirectional=True), testbed, [0, 1, 2]).receiver_core is None
    assert "1 (sends), 2 (receives)" in place(P2P(VSwitch("linux-bridge")), testbed, [0, 1, 2]).lines()[1]
