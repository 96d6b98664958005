"""What the generator can offer: kept, believed with care, and said before a trial is spent."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_nfv import P2P, VSwitch
from pytest_nfv.__main__ import main
from pytest_nfv.deployment.limits import KEPT_FOR_S, Limits, cache_file
from pytest_nfv.deployment.observer import Observer
from pytest_nfv.deployment.plan import place
from pytest_nfv.deployment.reach import CERTAIN, PROBE_S, PROBES, Measured, Reach, Unlimited
from pytest_nfv.deployment.runner import Load
from pytest_nfv.deployment.system import SimulatedSystem, identity
from pytest_nfv.deployment.traffic import Defaults, Result, Traffic
from pytest_nfv.errors import InvalidMeasurement
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.model.measurement import Gate
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.simulation import Simulation
from pytest_nfv.model.testbed import built_in
from pytest_nfv.model.trial import Direction, FlowCounts, GeneratorHealth, TrialResult, TrialSpec
from pytest_nfv.model.verdict import Ruling, Verdict
from pytest_nfv.records import explain, junit, summary
from pytest_nfv.records.measurement import Measurement

KEY = {"testbed": "local", "port": "vhost_user", "core": "1", "load": "64 B"}
OTHER = {**KEY, "load": "1518 B"}
SHORT = Ruling(Verdict.INVALID, ("4 of 4 trials invalid",))
PASSED = Ruling(Verdict.PASS)

HERE = LocalHost()


class Now:
    def __init__(self) -> None:
        self.s = 1.79e9

    def __call__(self) -> float:
        return self.s


def trial(rate_pps: float, offered_pps: float, seconds: float = 1.0, core_share: float = 1.0) -> TrialResult:
    offered_pps = min(rate_pps, offered_pps)
    flow = FlowCounts(Direction(0, 1), round(rate_pps * seconds), round(offered_pps * seconds), 0)
    health = GeneratorHealth(cpu_s=core_share * seconds)
    return TrialResult(TrialSpec(64, rate_pps, seconds), (flow,), seconds, generator=health)


class Machine:
    """Offers at most the next of its rates, or the last one for ever."""

    def __init__(self, *most_pps: float, core_share: float = 1.0) -> None:
        self._most = list(most_pps)
        self._core_share = core_share
        self.asked: list[tuple[float, float]] = []

    def __call__(self, rate_pps: float, seconds: float) -> TrialResult:
        self.asked.append((rate_pps, seconds))
        most = self._most.pop(0) if len(self._most) > 1 else self._most[0]
        return trial(rate_pps, most, seconds, self._core_share)


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "limits.json"


@pytest.fixture
def limits(path: Path, now: Now) -> Limits:
    return Limits(path, now)


def later(path: Path, now: Now) -> Limits:
    """Return the limits as a later run sees them."""
    return Limits(path, now)


def test_what_is_kept_is_known_to_later_runs_by_its_own_key(path: Path, limits: Limits, now: Now) -> None:
    assert limits.of(KEY) is None
    kept = limits.keep(KEY, 12e6)
    assert (limits.of(KEY), limits.fresh(KEY), limits.of(OTHER)) == (kept, True, None)
    other = later(path, now)
    assert (other.of(KEY), other.fresh(KEY)) == (kept, False)
    other.keep(OTHER, 5e6)
    assert {key["load"]: limit.pps for key, limit in later(path, now).all()} == {"64 B": 12e6, "1518 B": 5e6}
    other.drop(KEY)
    assert later(path, now).of(KEY) is None
    assert later(path, now).forget() == 1
    assert later(path, now).all() == []


@pytest.mark.parametrize(("aged_s", "known"), [(KEPT_FOR_S, True), (KEPT_FOR_S + 1, False), (-1.0, False)])
def test_a_limit_is_known_for_a_week(path: Path, limits: Limits, now: Now, aged_s: float, known: bool) -> None:
    limits.keep(KEY, 12e6)
    now.s += aged_s
    assert (later(path, now).of(KEY) is not None) is known


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "[]",
        "[" * 100_000,
        '{"schema": 2, "limits": []}',
        '{"schema": 1, "limits": 7}',
        '{"schema": 1, "limits": [{"of": [], "offered_pps": 1, "measured_at_epoch_s": 1}]}',
        '{"schema": 1, "limits": [{"of": {}, "offered_pps": NaN, "measured_at_epoch_s": 1.79e9}]}',
        '{"schema": 1, "limits": [{"of": {}, "offered_pps": -1, "measured_at_epoch_s": 1.79e9}]}',
    ],
)
def test_a_file_that_cannot_be_read_is_measured_anew(path: Path, limits: Limits, now: Now, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    assert limits.of(KEY) is None
    limits.keep(KEY, 12e6)
    assert later(path, now).of(KEY) is not None


def test_a_place_that_cannot_be_written_is_done_without(tmp_path: Path, now: Now) -> None:
    (tmp_path / "file").write_text("")
    blocked = Limits(tmp_path / "file" / "limits.json", now)
    blocked.keep(KEY, 12e6)
    assert blocked.of(KEY) is not None
    (tmp_path / "taken.json").mkdir()
    taken = Limits(tmp_path / "taken.json", now)
    taken.keep(KEY, 12e6)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "taken.json"]
    assert Limits(None, now).keep(KEY, 1.0).pps == 1.0


def test_the_cache_is_where_xdg_has_it() -> None:
    assert cache_file({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == Path("/c/pytest-nfv/limits.json")
    assert cache_file({"XDG_CACHE_HOME": "relative", "HOME": "/h"}) == Path("/h/.cache/pytest-nfv/limits.json")
    assert cache_file({}) is None


def test_a_gate_that_fell_short_teaches_the_limit(path: Path, limits: Limits, now: Now) -> None:
    machine = Machine(11e6, 12e6, 10e6)
    ruling = Measured(limits, KEY, machine).learnt(20e6, SHORT, [trial(20e6, 9e6)])
    assert machine.asked == [(20e6, PROBE_S)] * PROBES
    assert ruling.verdict is Verdict.INVALID
    assert "12 Mpps" in ruling.reasons[-1]
    assert "pytest-nfv limits --forget" in ruling.reasons[-1]
    known = later(path, now).of(KEY)
    assert known is not None
    assert known.pps == pytest.approx(12e6)


def test_the_gates_own_trials_count_too(limits: Limits) -> None:
    Measured(limits, KEY, Machine(9e6)).learnt(20e6, SHORT, [trial(20e6, 13e6)])
    known = limits.of(KEY)
    assert known is not None
    assert known.pps == pytest.approx(13e6)


@pytest.mark.parametrize(
    ("ruling", "trials"),
    [
        (PASSED, [trial(20e6, 9e6)]),
        (SHORT, []),
        (SHORT, [trial(20e6, 9e6), trial(20e6, 20e6)]),  # it can, at times: the machine spoils the others
    ],
)
def test_no_other_gate_does(limits: Limits, ruling: Ruling, trials: list[TrialResult]) -> None:
    machine = Machine(9e6)
    assert Measured(limits, KEY, machine).learnt(20e6, ruling, trials) is ruling
    assert (machine.asked, limits.of(KEY)) == ([], None)


@pytest.mark.parametrize("machine", [Machine(9e6, core_share=0.9), Machine(9e6, 20e6)])
def test_a_disturbed_generator_or_one_that_can_teaches_nothing(limits: Limits, machine: Machine) -> None:
    assert Measured(limits, KEY, machine).learnt(20e6, SHORT, [trial(20e6, 9e6)]) is SHORT
    assert limits.of(KEY) is None


def test_in_the_same_run_what_is_clearly_above_is_refused_at_once(limits: Limits) -> None:
    limits.keep(KEY, 10e6)
    machine = Machine(10e6)
    reach = Measured(limits, KEY, machine)
    assert reach.refusal(10.2e6) is None
    refused = reach.refusal(10.21e6)
    assert refused is not None
    assert refused.verdict is Verdict.INVALID
    assert refused.reasons[0] == "10.21 Mpps is beyond what the generator can offer"
    assert "on vhost_user ports from core 1 is 10 Mpps" in refused.reasons[1]
    assert machine.asked == []


def test_an_old_limit_is_tried_again_unless_the_load_is_far_above(path: Path, limits: Limits, now: Now) -> None:
    limits.keep(KEY, 10e6)
    machine = Machine(9.5e6)
    reach = Measured(later(path, now), KEY, machine)
    assert reach.refusal(CERTAIN * 10e6 + 1) is not None
    assert machine.asked == []
    assert reach.refusal(14e6) is not None
    assert machine.asked == [(14e6, PROBE_S)] * PROBES
    assert reach.refusal(14e6) is not None  # and now it is known in this run
    assert len(machine.asked) == PROBES
    known = later(path, now).of(KEY)
    assert known is not None
    assert known.pps == 10e6  # the better of both


def test_a_limit_that_a_noisy_run_left_behind_refuses_nothing_that_can_be_offered(
    path: Path, limits: Limits, now: Now
) -> None:
    limits.keep(KEY, 10e6)
    machine = Machine(13e6, 14.88e6)
    assert Measured(later(path, now), KEY, machine).refusal(14.88e6) is None
    assert len(machine.asked) == 2  # it stops at the first that reaches the load
    assert later(path, now).of(KEY) is None


def test_a_disturbed_second_try_refuses_nothing(path: Path, limits: Limits, now: Now) -> None:
    limits.keep(KEY, 10e6)
    assert Measured(later(path, now), KEY, Machine(9e6, core_share=0.5)).refusal(14e6) is None
    assert later(path, now).of(KEY) is not None


def test_a_generator_that_offers_more_than_its_limit_has_none(limits: Limits) -> None:
    limits.keep(KEY, 10e6)
    reach = Measured(limits, KEY, Machine(10e6))
    reach.learnt(9.9e6, PASSED, [trial(9.9e6, 9.9e6)])
    assert limits.of(KEY) is not None
    reach.learnt(10.1e6, PASSED, [trial(10.1e6, 10.1e6)])
    assert limits.of(KEY) is None


def test_simulated_ones_know_no_limit() -> None:
    assert Unlimited().refusal(1e12) is None
    assert Unlimited().learnt(1e6, SHORT, []) is SHORT


def test_the_identity_changes_with_what_the_limit_depends_on() -> None:
    placement = place(P2P(VSwitch("linux-bridge")), built_in()["local"], [0, 1])
    ports = (PortSpec("af_packet", "02:00:00:00:00:01"),) * 2
    load = Load(64, ((Direction(0, 1), "00" * 60),))
    base = identity(placement, HERE, ports, load)
    assert identity(placement, HERE, ports, replace(load, templates=((Direction(0, 1), "ff" * 60),))) == base
    assert identity(placement, HERE, ports, replace(load, maximum=True)) == base
    both = (*load.templates, (Direction(1, 0), "00" * 60))
    for changed in (replace(load, burst=32), replace(load, templates=both), replace(load, frame_size=128)):
        assert identity(placement, HERE, ports, changed) != base
    memif = (PortSpec("memif", "02:00:00:00:00:01"),) * 2
    assert identity(placement, HERE, memif, load)["port"] == "memif"
    assert identity(replace(placement, generator_core=0), HERE, ports, load) != base


class Silent:
    def deploying(self, what: str) -> None: ...

    def trial_started(self, spec: TrialSpec) -> None: ...

    def trial_progress(self, spec: TrialSpec, elapsed_s: float, sent: int, received: int) -> None: ...

    def trial_done(self, result: TrialResult) -> None: ...


class Limited(SimulatedSystem):
    """The simulated device, with a generator whose limit is learnt as a real one's is."""

    limits: Limits

    def reach(self, load: Load, observer: Observer) -> Reach:
        return Measured(self.limits, KEY, Machine(6e5))


def test_a_goal_above_it_is_invalid_before_a_trial_is_spent(limits: Limits) -> None:
    simulation = Simulation.parse("capacity=400kpps,generator=600kpps")
    system = Limited(built_in()["sim"].with_simulation(simulation), P2P(VSwitch("linux-bridge")))
    system.limits = limits
    kept: list[Result] = []
    traffic = Traffic(system, Defaults(retry_invalid=1), Silent(), kept.append)
    with pytest.raises(InvalidMeasurement, match=r"2 of 2 trials invalid.*the most that it offers"):
        traffic.sustains("1Mpps", frame_size=64)
    with pytest.raises(InvalidMeasurement, match=r"1 Mpps is beyond what the generator can offer"):
        traffic.sustains("1Mpps", frame_size=64)
    first, second = kept
    assert isinstance(first, Gate)
    assert isinstance(second, Gate)
    assert (len(first.trials), len(second.trials)) == (2, 0)
    assert not traffic.sustains("500kpps", frame_size=64)  # within reach: measured, and too much for the device
    one = Measurement.of(Measurement.from_result(second).to_json())
    assert one.verdict is Verdict.INVALID
    assert "is beyond what the generator can offer" in explain.headline(one)
    assert any("No trial was run." in line for line in explain.lines(one))
    assert summary.row("t", one).result == "-"
    assert dict(junit.properties(one))["nfv_gate_trials_count"] == "0"


def test_the_command_shows_and_forgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = cache_file()
    Limits(path).keep(KEY, 12e6)
    assert main(["limits"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("12 Mpps, measured 20")
    assert "vhost_user" in shown
    assert main(["limits", "--forget"]) == 0
    assert capsys.readouterr().out == "forgot 1\n"
    assert path is not None
    assert json.loads(path.read_text())["limits"] == []
