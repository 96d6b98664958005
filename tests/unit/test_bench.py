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
from pytest_nfv.model.testbed import built_in
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
        self.closed = False
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
ports = { p0 = { interface = "eth1" }, p1 = { interface = "eth2" } }
[host.gen1]
ssh = "gen1"
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

    def __init__(self, rig: Rig, ssh_config: Path | None) -> None:
        self.rig = rig

    def hosts(self) -> Mapping[str, object]:
        return self.rig.machines

    def lab(self, name: str) -> str:
        return f"lab on {name}"

    def cores(self) -> Mapping[str, HostCores]:
        return {name: HostCores(tuple(range(8)), dict.fromkeys(range(8), 0)) for name in self.rig.machines}

    def is_here(self, name: str) -> bool:
        return False

    def close(self) -> None: ...


def test_every_host_of_a_rig_is_held_once_before_the_first_deployment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand: type[Stand]
) -> None:
    (tmp_path / "lab.toml").write_text(RIG)
    testbed = load(tmp_path / "lab.toml")["lab"]
    monkeypatch.setattr(module, "RigLabs", NoRig)
    held: list[tuple[dict[str, object], int]] = []

    def places(rig: object, placement: Placement) -> dict[str, object]:
        assert held, "what may be set is set on hosts that are held"
        return {}

    monkeypatch.setattr(rig_care, "places", places)
    monkeypatch.setattr(rig_care, "clocks", places)
    one = Bench(testbed, new_run_id(), Watch(), lambda hosts: held.append((dict(hosts), len(stand.tried))))
    one.system(GOOD)
    one.system(OTHER)
    one.close()
    assert held == [({"dut1": "lab on dut1", "gen1": "lab on gen1"}, 0)]
    assert stand.tried == [GOOD, OTHER]
