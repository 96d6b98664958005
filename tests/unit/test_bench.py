"""A testbed in use: what did not come up is not tried again, what was asked for stands, what broke stays so."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_nfv.deployment import bench as module
from pytest_nfv.deployment import rig_care
from pytest_nfv.deployment.bench import Bench
from pytest_nfv.deployment.plan import Placement
from pytest_nfv.deployment.rig_plan import HostCores
from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.hosts.hold import Lockable
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.chain import PVP, Chain
from pytest_nfv.model.machine import Rig
from pytest_nfv.model.nf import L2Fwd
from pytest_nfv.model.testbed import Testbed, built_in
from pytest_nfv.model.testbed_file import load
from pytest_nfv.model.topology import Topology
from pytest_nfv.model.trial import TrialResult, TrialSpec
from pytest_nfv.model.vnf import VNF

ONE, TWO = VNF(L2Fwd(), engine="kernel"), VNF(L2Fwd(), engine="numpy")
GOOD, OTHER, BAD = PVP("linux-bridge", ONE), Chain("linux-bridge", [ONE, ONE]), PVP("linux-bridge", TWO)


class Watch:
    def __init__(self) -> None:
        self.deploying_told: list[str] = []

    def deploying(self, what: str) -> None:
        self.deploying_told.append(what)

    def trial_started(self, spec: TrialSpec) -> None: ...

    def trial_progress(self, spec: TrialSpec, elapsed_s: float, sent: int, received: int) -> None: ...

    def trial_done(self, result: TrialResult) -> None: ...


class Stand:
    """In the place of a deployment: what it is told to, and no machine."""

    tried: list[Topology]
    closed: list[Topology]
    fails: dict[Topology, Exception]
    close_fails: dict[Topology, Exception]

    def __init__(self, placement: Placement, lab: object) -> None:
        self.placement, self.broken = placement, False
        self.tried.append(placement.topology)
        if placement.topology in self.fails:
            raise self.fails[placement.topology]

    def close(self) -> None:
        self.closed.append(self.placement.topology)
        if self.placement.topology in self.close_fails:
            raise self.close_fails[self.placement.topology]


class System:
    """In the place of a deployed system."""

    def __init__(self, deployment: Stand, limits: object) -> None:
        self.deployment = deployment


class NoLab:
    made: list[NoLab]

    def __init__(self, *_: object) -> None:
        self.closed, self.broken = False, ""
        self.made.append(self)

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def stand(monkeypatch: pytest.MonkeyPatch) -> type[Stand]:
    kind = type("Stand", (Stand,), {"tried": [], "closed": [], "fails": {}, "close_fails": {}})
    monkeypatch.setattr(module, "Deployment", kind)
    monkeypatch.setattr(module, "DeployedSystem", System)
    monkeypatch.setattr(module, "Lab", NoLab)
    monkeypatch.setattr(NoLab, "made", [], raising=False)
    monkeypatch.setattr(module, "reap", lambda: None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None)
    return kind


@pytest.fixture
def bench() -> Iterator[Bench]:
    one = Bench(built_in()["local"], new_run_id(), Watch(), lambda _: None)
    yield one
    one.close()


def test_what_did_not_come_up_is_told_again_without_another_attempt(bench: Bench, stand: type[Stand]) -> None:
    stand.fails[BAD] = DeploymentError("vnf0 ended: no such engine")
    with pytest.raises(DeploymentError, match=r"^vnf0 ended"):
        bench.system(BAD)
    with pytest.raises(DeploymentError) as again:
        bench.system(BAD)
    assert str(again.value) == f"{BAD} did not come up before: vnf0 ended: no such engine"
    assert stand.tried == [BAD]


def test_an_engine_that_was_chosen_fails_by_its_name_and_as_if_it_were_named(
    bench: Bench, stand: type[Stand]
) -> None:
    stand.fails[GOOD] = DeploymentError("no")
    with pytest.raises(DeploymentError, match=r"^no$"):
        bench.system(PVP("linux-bridge", VNF(L2Fwd())))
    for again in (GOOD, PVP("linux-bridge", VNF(L2Fwd()))):
        with pytest.raises(DeploymentError, match=r"L2Fwd by kernel in namespace.* did not come up before: no"):
            bench.system(again)
    assert stand.tried == [GOOD]


def test_another_topology_is_tried(bench: Bench, stand: type[Stand]) -> None:
    stand.fails[BAD] = DeploymentError("no")
    with pytest.raises(DeploymentError):
        bench.system(BAD)
    bench.system(GOOD)
    with pytest.raises(DeploymentError, match="did not come up before"):
        bench.system(BAD)
    bench.system(GOOD)
    assert stand.tried == [BAD, GOOD]
    assert stand.closed == []


def test_a_missing_capability_is_asked_for_again(bench: Bench, stand: type[Stand]) -> None:
    stand.fails[BAD] = CapabilityMissing("vm", "no QEMU", "install it")
    for _ in range(2):
        with pytest.raises(CapabilityMissing, match="no QEMU"):
            bench.system(BAD)
    assert stand.tried == [BAD, BAD]
    bench.system(GOOD)


def test_equal_ones_share_a_deployment_and_another_takes_its_place(bench: Bench, stand: type[Stand]) -> None:
    first: Any = bench.system(GOOD)
    second: Any = bench.system(PVP("linux-bridge", VNF(L2Fwd())))
    assert first.deployment is second.deployment
    bench.system(OTHER)
    assert (stand.tried, stand.closed) == ([GOOD, OTHER], [GOOD])


def test_one_that_broke_is_deployed_anew(bench: Bench, stand: type[Stand]) -> None:
    first: Any = bench.system(GOOD)
    first.deployment.broken = True
    bench.system(GOOD)
    assert (stand.tried, stand.closed) == ([GOOD, GOOD], [GOOD])


def test_a_testbed_that_could_not_be_put_back_stays_broken(bench: Bench, stand: type[Stand]) -> None:
    stand.close_fails[GOOD] = DeploymentError("a namespace stays")
    bench.system(GOOD)
    for topology in (OTHER, GOOD, OTHER):
        with pytest.raises(DeploymentError, match="a namespace stays"):
            bench.system(topology)
    assert stand.tried == [GOOD]


def test_another_is_placed_although_we_keep_off_the_devices_cores(
    bench: Bench, stand: type[Stand], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.system(GOOD)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    bench.system(OTHER)
    assert stand.tried == [GOOD, OTHER]


def test_what_cannot_be_placed_touches_nothing(bench: Bench, stand: type[Stand]) -> None:
    bench.system(GOOD)
    with pytest.raises(CapabilityMissing) as raised:
        bench.system(Chain("linux-bridge", [ONE] * 5, placement="spread"))
    assert raised.value.capability == "cores"
    assert (stand.tried, stand.closed) == ([GOOD], [])


def test_with_oversubscription_it_is_placed(stand: type[Stand]) -> None:
    watch = Watch()
    one = Bench(replace(built_in()["local"], oversubscribe=True), new_run_id(), watch, lambda _: None)
    topology = Chain("linux-bridge", [ONE] * 5, placement="spread")
    system: Any = one.system(topology)
    assert system.deployment.placement.notes[0].startswith("oversubscribed: ")
    assert watch.deploying_told == [str(topology)]
    one.close()
    one.close()
    assert stand.closed == [topology]


def test_a_host_that_is_not_to_be_had_breaks_the_testbed_and_leaves_no_lab(stand: type[Stand]) -> None:
    asked: list[str] = []

    def held(hosts: Mapping[str, Lockable]) -> None:
        asked.extend(hosts)
        raise DeploymentError("host local is held by alice@ci3")

    one = Bench(built_in()["local"], new_run_id(), Watch(), held)
    with pytest.raises(DeploymentError, match=r"^host local is held by alice@ci3"):
        one.system(GOOD)
    with pytest.raises(DeploymentError, match=r"^testbed local broke earlier: host local is held by alice@ci3"):
        one.system(OTHER)
    one.close()
    assert asked == ["local"]
    assert stand.tried == []
    assert [lab.closed for lab in NoLab.made] == [True]


def test_what_dead_runs_left_is_removed_once_the_host_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(module, "reap", lambda: done.append("reaped"))
    one = Bench(built_in()["local"], new_run_id(), Watch(), lambda _: done.append("held"))
    one.system(GOOD)
    one.system(OTHER)
    one.close()
    assert done == ["held", "reaped"]


RIG = """
[host.dut1]
ssh = "dut1"
device_cores = [1, 2]
ports = { p0 = { interface = "eth1" }, p1 = { interface = "eth2" } }
[host.gen1]
ssh = "gen1"
generator_cores = [7]
ports = { p0 = { interface = "eth1" }, p1 = { interface = "eth2" } }
[[link]]
ends = ["gen1.p0", "dut1.p0"]
speed = "10GbE"
[[link]]
ends = ["gen1.p1", "dut1.p1"]
speed = "10GbE"
[testbed.lab]
kind = "lab"
device = "dut1"
generator = "gen1"
"""


class NoRig:
    """In the place of the hosts of a rig."""

    made: list[NoRig]
    here: frozenset[str] = frozenset()

    def __init__(self, rig: Rig, ssh_config: Path | None) -> None:
        self.rig = rig
        self.broken = self.unreached = ""
        self.asked = 0
        self.made.append(self)

    def hosts(self) -> Mapping[str, object]:
        return self.rig.machines

    def lab(self, name: str) -> str:
        return f"lab on {name}"

    def cores(self) -> Mapping[str, HostCores]:
        self.asked += 1
        if self.unreached:
            raise DeploymentError(self.unreached)
        return {name: HostCores(tuple(range(8)), dict.fromkeys(range(8), 0)) for name in self.rig.machines}

    def is_here(self, name: str) -> bool:
        return name in self.here

    def close(self) -> None: ...


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Testbed:
    """A testbed with a rig, whose hosts nobody asks for anything."""
    (tmp_path / "lab.toml").write_text(RIG)
    monkeypatch.setattr(module, "RigLabs", NoRig)
    monkeypatch.setattr(NoRig, "made", [], raising=False)
    monkeypatch.setattr(rig_care, "places", lambda *_: {})
    monkeypatch.setattr(rig_care, "clocks", lambda *_: [])
    return load(tmp_path / "lab.toml")["lab"]


@pytest.fixture
def on_rig(lab: Testbed) -> Iterator[Bench]:
    one = Bench(lab, new_run_id(), Watch(), lambda _: None)
    yield one
    one.close()


def test_every_host_of_a_rig_is_held_once_before_the_first_deployment(
    lab: Testbed, monkeypatch: pytest.MonkeyPatch, stand: type[Stand]
) -> None:
    held: list[tuple[dict[str, object], int]] = []

    def places(rig: object, placement: Placement) -> dict[str, object]:
        assert held, "what may be set is set on hosts that are held"
        return {}

    monkeypatch.setattr(rig_care, "places", places)
    one = Bench(lab, new_run_id(), Watch(), lambda hosts: held.append((dict(hosts), len(stand.tried))))
    one.system(GOOD)
    one.system(OTHER)
    one.close()
    assert held == [({"dut1": "lab on dut1", "gen1": "lab on gen1"}, 0)]
    assert stand.tried == [GOOD, OTHER]


def test_a_rig_that_lost_a_host_is_not_measured_on_any_more(on_rig: Bench, stand: type[Stand]) -> None:
    on_rig.system(GOOD)
    NoRig.made[0].broken = "the run's agent on dut1 is gone: the connection was lost: timed out"
    for topology in (GOOD, OTHER):
        with pytest.raises(
            DeploymentError, match=r"^testbed lab broke earlier: .* on dut1 .*lost.* nothing is held"
        ):
            on_rig.system(topology)
    NoRig.made[0].broken = ""
    with pytest.raises(DeploymentError, match="broke earlier"):
        on_rig.system(GOOD)
    assert stand.tried == [GOOD]


def test_a_run_whose_agent_here_ended_does_not_go_on_without_the_lock(bench: Bench, stand: type[Stand]) -> None:
    bench.system(GOOD)
    NoLab.made[0].broken = "the run's agent is gone: exit status -9"
    with pytest.raises(DeploymentError, match="exit status -9; without it nothing is held"):
        bench.system(GOOD)


def test_a_host_that_is_not_reached_is_not_tried_by_every_test(on_rig: Bench, stand: type[Stand]) -> None:
    NoRig.made[0].unreached = "on gen1: no route to host"
    with pytest.raises(DeploymentError, match=r"^on gen1: no route to host"):
        on_rig.system(GOOD)
    with pytest.raises(DeploymentError, match=r"^testbed lab broke earlier: on gen1: no route to host"):
        on_rig.system(OTHER)
    assert (NoRig.made[0].asked, stand.tried) == (1, [])


def test_a_port_that_is_not_there_is_told_once(on_rig: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Placement] = []

    def places(_: object, placement: Placement) -> dict[str, object]:
        asked.append(placement)
        raise DeploymentError("host dut1: port eth1: there is no such interface")

    monkeypatch.setattr(rig_care, "places", places)
    for _ in range(3):
        with pytest.raises(DeploymentError, match="no such interface"):
            on_rig.system(GOOD)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("here", "allowed", "left"),
    [
        ((), {0, 1, 2, 3}, {0, 1, 2, 3}),
        (("gen1",), {0, 7}, {0}),
        (("dut1",), {0, 1, 2, 7}, {0, 7}),
        (("dut1", "gen1"), {0, 1, 2, 7}, {0}),
        (("dut1", "gen1"), {1, 7}, {7}),  # the device's come first
        (("gen1",), {7}, {7}),
    ],
)
def test_pytest_keeps_off_the_cores_in_use_here(
    on_rig: Bench,
    monkeypatch: pytest.MonkeyPatch,
    here: tuple[str, ...],
    allowed: set[int],
    left: set[int],
) -> None:
    kept: list[set[int]] = []
    monkeypatch.setattr(NoRig, "here", frozenset(here))
    monkeypatch.setattr(on_rig, "_allowed", allowed)
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cores: kept.append(set(cores)))
    on_rig.system(GOOD)
    assert kept == [left]


def test_what_was_set_is_put_back_where_the_clock_cannot_be(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def lost() -> list[str]:
        raise DeploymentError("the clock's agent is gone")

    monkeypatch.setattr(bench.clock, "done", lost)
    monkeypatch.setattr(bench.care, "release", lambda: done.append("released"))
    with pytest.raises(DeploymentError, match="the clock's agent is gone"):
        bench.close()
    assert done == ["released"]
    monkeypatch.undo()
