"""VNFs on real switches: alone, in chains, beside each other; every frame counted at every hop."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_nfv.deployment.deploy import Deployment
from pytest_nfv.deployment.plan import place
from pytest_nfv.deployment.system import DeployedSystem
from pytest_nfv.deployment.traffic import Defaults, Result, Traffic
from pytest_nfv.deployment.validity import COUNTER_SLACK_FRAMES
from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.chain import PVP, Chain, Colocated
from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.measurement import Gate
from pytest_nfv.model.nf import Firewall, Function, L2Fwd, L3Fwd, Own, Signature
from pytest_nfv.model.rules import Rule, RuleSet
from pytest_nfv.model.testbed import built_in
from pytest_nfv.model.topology import Topology, VSwitch
from pytest_nfv.model.trial import TrialResult, TrialSpec
from pytest_nfv.model.verdict import Verdict
from pytest_nfv.model.vnf import FUNCTIONS, VNF
from pytest_nfv.records import explain
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.units import PacketRate
from pytest_nfv.vnfs import vm_kvm

pytestmark = pytest.mark.usefixtures("nothing_left")

EASY = PacketRate(2000.0)
GOAL = SearchGoal(trial_duration_s=0.2, duration_sum_s=0.2)
SWITCHES = ("linux-bridge", "ovs", "ovs-dpdk", "testpmd")
Deploy = Callable[[Topology], Traffic]


class Silent:
    """An observer that shows nothing."""

    def deploying(self, what: str) -> None: ...
    def trial_started(self, spec: TrialSpec) -> None: ...
    def trial_progress(self, spec: TrialSpec, elapsed_s: float, sent: int, received: int) -> None: ...
    def trial_done(self, result: TrialResult) -> None: ...


@pytest.fixture
def lab() -> Iterator[Lab]:
    run = new_run_id()
    made = Lab(LocalHost(run), run)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def deployed(lab: Lab, lacks: Callable[[CapabilityMissing], None]) -> Iterator[Callable[[Topology], Deployment]]:
    """Deploy on the embedded testbed; skip where the machine lacks something, which fails where it is required."""
    standing: list[Deployment] = []

    def deploy(topology: Topology) -> Deployment:
        try:
            placement = place(topology, built_in()["local"], sorted(os.sched_getaffinity(0)))
            standing.append(Deployment(placement, lab))
        except CapabilityMissing as missing:
            lacks(missing)
        return standing[-1]

    try:
        yield deploy
    finally:
        for deployment in reversed(standing):
            deployment.close()


@pytest.fixture
def deploy(deployed: Callable[[Topology], Deployment]) -> Deploy:
    measured: list[Result] = []

    def traffic(topology: Topology) -> Traffic:
        return Traffic(
            DeployedSystem(deployed(topology)), Defaults(goal=GOAL, retry_invalid=20), Silent(), measured.append
        )

    return traffic


def check_every_hop(gate: Gate, places: int) -> None:
    """All frames passed every place, of which there are so many a direction."""
    trial = gate.trials[-1]
    assert gate.ruling.verdict is Verdict.PASS, str(gate)
    for flow in trial.flows:
        way = [hop for hop in trial.hops if hop.direction == flow.direction]
        assert len(way) == places, [hop.place for hop in way]
        assert {hop.frames for hop in way} == {flow.sent}, [(hop.place, hop.frames) for hop in way]


@pytest.mark.parametrize(
    ("engine", "function"),
    [
        (engine, function)
        for engine, done in FUNCTIONS.items()
        for function in (L2Fwd(), L3Fwd(10), Firewall(10), Signature())
        if isinstance(function, done)
    ],
    ids=str,
)
def test_every_engine_on_interfaces(deploy: Deploy, engine: str, function: Function) -> None:
    check_every_hop(deploy(PVP("linux-bridge", VNF(function, engine=engine))).sustains(EASY, frame_size=64), 7)


def test_a_function_that_the_kernel_has_not_is_another_engines(deploy: Deploy) -> None:
    check_every_hop(deploy(PVP("linux-bridge", VNF(Signature()))).sustains(EASY, frame_size=64), 7)


@pytest.mark.parametrize("function", [L2Fwd(), L3Fwd(10), Firewall(10), Signature()], ids=str)
def test_our_engine_on_vhost_user(deploy: Deploy, function: Function) -> None:
    check_every_hop(deploy(PVP("ovs-dpdk", VNF(function))).sustains(EASY, frame_size=64), 7)


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_chain_both_ways_on_every_switch(deploy: Deploy, switch: str) -> None:
    vnfs = [VNF(Firewall(10)), VNF(L3Fwd(10)), VNF(L2Fwd())]
    traffic = deploy(Chain(switch, vnfs, bidirectional=True))
    check_every_hop(traffic.sustains(EASY, frame_size=128), 3 + 3 * 4)


def test_a_chain_on_a_learning_switch_of_vlans(deploy: Deploy) -> None:
    switch = VSwitch("ovs-dpdk", (("rules", "normal"),))
    check_every_hop(deploy(Chain(switch, [VNF(L3Fwd(10)), VNF(L3Fwd(10))])).sustains(EASY, frame_size=64), 11)


def test_testpmd_as_a_vnf_on_vhost_user(deploy: Deploy) -> None:
    check_every_hop(deploy(PVP("ovs-dpdk", VNF(L2Fwd(), engine="testpmd"))).sustains(EASY, frame_size=64), 7)


@pytest.mark.parametrize("switch", ["linux-bridge", "ovs-dpdk"])
def test_three_beside_each_other(deploy: Deploy, switch: str) -> None:
    gate = deploy(Colocated(PVP(switch, VNF(L3Fwd(10))), 3)).sustains(EASY, frame_size=64)
    check_every_hop(gate, 7)
    assert len(gate.trials[-1].flows) == 3


@pytest.mark.parametrize("switch", ["linux-bridge", "ovs-dpdk"])
def test_frames_take_turns_with_pairs_of_vnics(deploy: Deploy, switch: str) -> None:
    gate = deploy(PVP(switch, VNF(L3Fwd(10), vnics=4))).sustains(EASY, frame_size=64)
    assert gate.ruling.verdict is Verdict.PASS
    trial = gate.trials[-1]
    assert len(trial.flows) == 2  # a stream a pair
    into = [hop for hop in trial.hops if hop.place == "vnf0 nic0 rx"]
    assert [hop.frames for hop in into] == [trial.sent]
    assert trial.flows[0].received == trial.flows[1].received


@pytest.mark.parametrize("switch", ["linux-bridge", "ovs-dpdk"])
@pytest.mark.parametrize("engine", ["auto", "testpmd"])
def test_in_a_container(deploy: Deploy, switch: str, engine: str) -> None:
    check_every_hop(deploy(PVP(switch, VNF(L2Fwd(), engine=engine, host="lxc"))).sustains(EASY, frame_size=64), 7)


@pytest.mark.parametrize("switch", ["linux-bridge", "ovs-dpdk"])
def test_in_a_virtual_machine(deploy: Deploy, lab: Lab, switch: str) -> None:
    traffic = deploy(PVP(switch, VNF(L3Fwd(10), host="vm")))
    gate = traffic.sustains(PacketRate(500.0), frame_size=64)
    check_every_hop(gate, 7)
    check_marked(gate, vm_kvm.kvm(lab.host, lab.directory))
    (guest,) = gate.trials[-1].guests
    assert guest.name == "vnf0"
    assert 0 < guest.busy <= 1
    whole_s = guest.user_s + guest.system_s + guest.softirq_s + guest.idle_s + guest.steal_s
    wall_s = max(core.wall_s for core in gate.trials[-1].cores)
    assert 0.5 * wall_s < whole_s < wall_s + 2.0, f"{guest} in a trial of {wall_s:.3f} s"


@pytest.mark.parametrize("switch", ["linux-bridge", "ovs-dpdk"])
def test_frames_take_turns_with_pairs_of_vnics_of_a_virtual_machine(deploy: Deploy, switch: str) -> None:
    traffic = deploy(PVP(switch, VNF(L3Fwd(10), host="vm", vnics=4, vcpus=2)))
    gate = traffic.sustains(PacketRate(500.0), frame_size=64)
    trial = gate.trials[-1]
    assert gate.ruling.verdict is Verdict.PASS, str(gate)
    assert len(trial.flows) == 2  # a stream a pair
    assert {hop.frames for hop in trial.hops} == {trial.sent}, [(hop.place, hop.frames) for hop in trial.hops]
    assert trial.flows[0].received == trial.flows[1].received
    assert [one.name for one in trial.guests] == ["vnf0"]
    processors = [one.name for one in trial.threads if one.name.startswith("vnf0 CPU ")]
    assert [name.split()[2][0] for name in processors] == ["0", "1"]


@pytest.mark.parametrize("switch", ["linux-bridge", "ovs-dpdk"])
def test_dpdk_in_a_virtual_machine(deploy: Deploy, switch: str) -> None:
    traffic = deploy(PVP(switch, VNF(L2Fwd(), host="vm", engine="testpmd")))
    check_every_hop(traffic.sustains(PacketRate(500.0), frame_size=64), 7)


@pytest.mark.parametrize("switch", ["linux-bridge", "ovs-dpdk"])
def test_a_virtual_machine_with_several_queues(deploy: Deploy, switch: str) -> None:
    traffic = deploy(PVP(switch, VNF(L2Fwd(), host="vm", queues=2, vcpus=2)))
    check_every_hop(traffic.sustains(PacketRate(500.0), frame_size=64, flows=64), 7)


def check_marked(gate: Gate, why_no_kvm: str) -> None:
    """Where KVM runs no guests, subject, text and record say that it was TCG, and why; else none of them does."""
    mark = f"vnf0 runs under TCG: QEMU translates its instructions, as {why_no_kvm}"
    kept = Measurement.of(json.loads(json.dumps(Measurement.from_result(gate).to_json())))
    text = " ".join(word for line in explain.lines(kept) for word in line.split())
    if why_no_kvm:
        assert mark in gate.subject.notes
        assert mark in kept.subject.notes
        assert mark in text, text
    else:
        assert "TCG" not in f"{gate.subject.notes} {kept.subject.notes} {text}"


def check_drops_are_frames(measured: Gate) -> None:
    """No place counts more drops than frames lost there: how often a ring was full is no number of frames."""
    for trial in measured.trials:
        for flow in trial.flows:
            before = flow.sent
            for hop in (hop for hop in trial.hops if hop.direction == flow.direction):
                assert sum(hop.drops.values()) <= before - hop.frames + COUNTER_SLACK_FRAMES, hop
                before = hop.frames


def check_said(gate: Gate, what: str) -> None:
    """The failure's own text says what would have to change."""
    text = " ".join(word for line in explain.lines(Measurement.from_result(gate)) for word in line.split())
    assert what in text.partition("what would have to change")[2], text


SLOW = """
import time


def slow(batch):
    until = time.perf_counter_ns() + 100_000 * len(batch.octets)
    while time.perf_counter_ns() < until:
        pass
    return 1 - batch.nic
"""


def test_a_starved_vnf_is_named(deploy: Deploy, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SLOW)
    switch = VSwitch("ovs-dpdk", (("slots", "256"),))
    traffic = deploy(Chain(switch, [VNF(L2Fwd()), VNF(Own("shop:slow", folder=str(tmp_path)))]))
    gate = traffic.sustains(PacketRate(40_000.0), frame_size=64)
    assert not gate
    found = traffic.bottleneck()
    assert found is not None
    assert (found.component, found.cause) == ("vnf1", "no room"), str(found)
    assert found.short_of_time, str(found)
    check_said(gate, "vnf1 is the bottleneck")
    check_drops_are_frames(gate)


def test_a_dropping_rule_is_named(deploy: Deploy) -> None:
    rules = RuleSet((Rule.to("drop", protocol="udp"), Rule("allow")))
    traffic = deploy(Chain("linux-bridge", [VNF(L2Fwd()), VNF(Firewall(rules))]))
    gate = traffic.sustains(EASY, frame_size=64)
    assert not gate
    found = traffic.bottleneck()
    assert found is not None
    assert (found.component, found.cause, found.place) == ("vnf1", "policy", "vnf1 nic1 tx"), str(found)
    check_said(gate, "vnf1 dropped")
    assert found.share == 1.0


def test_a_tiny_ring_is_named(deploy: Deploy) -> None:
    switch = VSwitch("ovs-dpdk", (("slots", "64"),))
    traffic = deploy(PVP(switch, VNF(L2Fwd())))
    gate = traffic.sustains(PacketRate(20_000.0), frame_size=64, burst=512)
    assert not gate
    found = traffic.bottleneck()
    assert found is not None
    assert (found.component, found.cause) == ("switch", "no room"), str(found)
    assert found.place == "v0 rx (into the switch)", str(found)
    assert not found.short_of_time, str(found)
    check_said(gate, "look at v0 rx (into the switch)")


def test_a_slow_link_is_named(
    deployed: Callable[[Topology], Deployment], lacks: Callable[[CapabilityMissing], None]
) -> None:
    """The link from the switch to the second VNF is shaped to 1 Mb/s by the kernel (tc-tbf(8))."""
    if not (shutil.which("tc") and shutil.which("ip")):
        lacks(CapabilityMissing("linux-bridge", "no tc to shape a link with", "apt-get install iproute2"))
    deployment = deployed(Chain("linux-bridge", [VNF(L2Fwd()), VNF(L2Fwd())]))
    port = deployment.chains.port(deployment.chains.instances[1], 0)
    device = deployment.device.switch.device_host
    names = [
        line.split(":")[1].strip().partition("@")[0]
        for line in device.run(["ip", "-o", "link"]).stdout.splitlines()
    ]
    (link,) = [name for name in names if name.startswith(f"s{port}-")]
    device.run(
        ["tc", "qdisc", "add", "dev", link, "root", "tbf", "rate", "1mbit", "burst", "2000", "limit", "4000"]
    )
    traffic = Traffic(
        DeployedSystem(deployment), Defaults(goal=GOAL, retry_invalid=20), Silent(), lambda result: None
    )
    gate = traffic.sustains(PacketRate(10_000.0), frame_size=64)
    assert not gate
    found = traffic.bottleneck()
    assert found is not None
    assert found.place == f"s{port} tx (to vnf1)", str(found)
    assert (found.component, found.cause) == ("switch", "slow link"), str(found)
    check_said(gate, f"The link behind s{port} tx (to vnf1) is slower than the load")
    assert sum(found.drops.values()) > 0.9 * found.lost, str(found)


@pytest.mark.parametrize("switch", ["linux-bridge", "ovs-dpdk"])
def test_a_vnf_that_dies_is_named(deployed: Callable[[Topology], Deployment], switch: str) -> None:
    deployment = deployed(PVP(switch, VNF(L2Fwd(), engine="numpy")))
    traffic = Traffic(DeployedSystem(deployment), Defaults(goal=GOAL), Silent(), lambda result: None)
    assert traffic.sustains(EASY, frame_size=64)
    for tid, name in deployment.device.threads().items():
        if name.startswith("vnf0 python"):
            os.kill(tid, signal.SIGKILL)
    with pytest.raises(DeploymentError, match="vnf0"):
        traffic.sustains(EASY, frame_size=64)
