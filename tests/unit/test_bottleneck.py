"""Where frames are lost and whose doing it is: from counters of trials, and from nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv import P2P, VSwitch
from pytest_nfv.deployment.system import SimulatedSystem
from pytest_nfv.deployment.traffic import Defaults, Result, Traffic
from pytest_nfv.errors import InvalidMeasurement
from pytest_nfv.model.bottleneck import behind, bottleneck, component_of, component_of_thread
from pytest_nfv.model.measurer import Measurer
from pytest_nfv.model.simulation import Simulation
from pytest_nfv.model.testbed import built_in
from pytest_nfv.model.trial import CoreUse, Direction, FlowCounts, Hop, ThreadUse, TrialResult, TrialSpec
from pytest_nfv.model.verdict import Verdict

WAY, BACK = Direction(0, 1), Direction(1, 0)
# A frame's way through a PVP, and whose doing it is where a full queue drops it there, or a rule.
PLACES = {
    "s0 rx (into the switch)": ("switch", "switch"),
    "s2 tx (to vnf0)": ("vnf0", "switch"),
    "vnf0 nic0 rx": ("vnf0", "vnf0"),
    "vnf0 nic1 tx": ("switch", "vnf0"),
    "s3 rx (from vnf0)": ("switch", "switch"),
    "s1 tx (out of the switch)": ("generator", "switch"),
    "generator port 1 rx": ("generator", "generator"),
}


def trial(
    losses: dict[str, tuple[int, dict[str, int]]],
    sent: int = 1000,
    way: Direction = WAY,
    threads: tuple[ThreadUse, ...] = (),
    rate_pps: float = 1000.0,
) -> TrialResult:
    left, hops = sent, []
    for place in PLACES:
        lost, drops = losses.get(place, (0, {}))
        left -= lost
        hops.append(Hop(way, place, left, drops))
    core = CoreUse("device", 0, 1.0, 1.0, 0.0, 0.0, 0.0)
    return TrialResult(
        TrialSpec(64, rate_pps, 1.0, (way,)),
        (FlowCounts(way, sent, sent, left),),
        1.0,
        hops=tuple(hops),
        cores=(core,) if threads else (),
        threads=threads,
    )


def full(place: str, lost: int = 100) -> dict[str, tuple[int, dict[str, int]]]:
    return {place: (lost, {"ring full": lost})}


def test_nothing_lost_is_no_bottleneck() -> None:
    assert bottleneck([trial({})]) is None
    assert bottleneck([]) is None
    assert bottleneck([replace(trial(full("vnf0 nic0 rx")), hops=())]) is None


@pytest.mark.parametrize(("place", "whose"), PLACES.items())
def test_each_place_has_somebody_whose_doing_it_is(place: str, whose: tuple[str, str]) -> None:
    crowded, strict = bottleneck([trial(full(place))]), bottleneck([trial({place: (100, {"policy": 100})})])
    assert crowded is not None
    assert strict is not None
    assert (crowded.place, crowded.component, crowded.cause) == (place, whose[0], "no room")
    assert (strict.place, strict.component, strict.cause) == (place, whose[1], "policy")
    assert (crowded.offered, crowded.lost, crowded.share) == (1000, 100, 0.1)


def test_what_no_counter_saw_is_at_the_place_behind() -> None:
    found = bottleneck([trial({"vnf0 nic1 tx": (7, {})})])
    assert found is not None
    assert (found.place, found.component, found.cause, found.busy) == ("vnf0 nic1 tx", "vnf0", "unseen", None)
    assert str(found) == "vnf0: 7 of 1,000 frames lost at vnf0 nic1 tx (seen by no counter)"


@given(st.dictionaries(st.sampled_from(list(PLACES)), st.integers(1, 90), min_size=1))
def test_it_is_the_place_of_the_greatest_loss(lost: dict[str, int]) -> None:
    found = bottleneck([trial({place: (count, {"ring full": count}) for place, count in lost.items()})])
    assert found is not None
    assert found.lost == max(lost.values()) == lost[found.place]


def test_trials_are_summed_and_the_worst_direction_counts() -> None:
    one, other = trial(full("vnf0 nic0 rx", 30)), trial(full("s0 rx (into the switch)", 50))
    again = trial(full("vnf0 nic0 rx", 30))
    found = bottleneck([one, other, again])
    assert found is not None
    assert (found.place, found.lost, found.offered) == ("vnf0 nic0 rx", 60, 3000)
    assert found.drops == {"ring full": 60}
    back = bottleneck([one, trial(full("s2 tx (to vnf0)", 31), way=BACK)])
    assert back is not None
    assert back.direction == BACK


def test_of_several_reasons_the_greatest_says_the_cause() -> None:
    mixed = {"policy": 10, "tx ring full": 90}
    found = bottleneck([trial({"vnf0 nic1 tx": (100, mixed)})])
    assert found is not None
    assert (found.cause, found.component) == ("no room", "switch")


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("veth ring full", "no room"),
        ("ring full", "no room"),
        ("tx ring full", "no room"),
        ("missed", "no room"),
        ("no mbuf", "no room"),
        ("tap queue full", "no room"),
        ("backlog full", "no room"),
        ("socket buffer full", "no room"),
        ("malformed or ttl", "policy"),
        ("no_route", "policy"),
        ("ttl", "policy"),
        ("policy", "policy"),
        ("policy (both ways)", "policy"),
        ("corrupted", "counted"),
        ("guest drops", "no room"),
        ("not taken by the far end", "no room"),
        ("rx errors", "counted"),
        ("dropped on receipt", "counted"),
        ("ovs_rx_qos_drops", "policy"),
        ("ovs_tx_qos_drops", "policy"),
        ("ovs_tx_mtu_exceeded_drops", "policy"),
        ("ovs_tx_failure_drops", "no room"),
        ("on the wire, or in the network card", "unseen"),
    ],
)
def test_counters_words_and_their_cause(reason: str, cause: str) -> None:
    found = bottleneck([trial({"vnf0 nic1 tx": (5, {reason: 5})})])
    assert found is not None
    assert found.cause == cause


def test_a_queue_before_a_slow_link_is_the_links_doing_not_of_whoever_is_behind_it() -> None:
    found = bottleneck([trial({"s2 tx (to vnf0)": (90, {"backlog full": 4, "link queue full": 86})})])
    assert found is not None
    assert (found.component, found.cause, found.short_of_time) == ("switch", "slow link", False)


def use(
    name: str, cpu_s: float, delay_s: float = 0.0, worked_s: float | None = None, role: str = "device"
) -> ThreadUse:
    return ThreadUse(role, name, cpu_s, delay_s, worked_s)


@pytest.mark.parametrize(
    ("threads", "busy"),
    [
        ((use("vnf0 napi", 0.3),), 0.3),
        ((use("vnf0 napi", 0.3, 0.65),), 0.95),  # a wait for its core is time that it lacked
        ((use("vnf0 python", 1.0, worked_s=0.25),), 0.25),  # it polls: idle turns are not work
        ((use("vnf0 python", 0.4, worked_s=0.3),), 0.3),  # it sleeps where it has none: that is no work either
        ((use("vnf0 python", 0.5, 0.5, worked_s=0.1),), 0.2),  # it waited with frames for a part of its waits only
        ((use("vnf0 napi", 0.3), use("vnf0 napi2", 0.7)), 0.7),  # the busiest counts, not the sum
        ((use("s0 napi", 0.9), use("vnf1 napi", 0.9)), None),  # others' threads
        ((use("vnf0 kworker", 0.9, role="other"),), None),
        ((use("vnf0 napi", 0.9, 0.9),), 1.0),
    ],
)
def test_how_busy_the_component_was(threads: tuple[ThreadUse, ...], busy: float | None) -> None:
    found = bottleneck([trial(full("s2 tx (to vnf0)"), threads=threads)])
    assert found is not None
    assert found.component == "vnf0"
    assert found.busy == (pytest.approx(busy) if busy is not None else None)
    assert found.short_of_time is (busy is not None and busy >= 0.9)
    if busy is not None:
        assert str(found).endswith(f"{found.waited:.0%}")
        assert f"it was busy {busy:.0%} of its time" in str(found)


def test_what_a_thread_says_itself_of_its_waits_counts_before_what_its_share_lets_expect() -> None:
    """It waited while it had frames, and looked in vain when it had the core to itself."""
    thread = replace(use("vnf0 python", 0.3, 0.5, worked_s=0.1), held_s=0.6)
    found = bottleneck([trial(full("s2 tx (to vnf0)"), threads=(thread,))])
    assert found is not None
    assert found.busy == pytest.approx(0.6)


def test_time_after_the_last_frame_is_no_time_to_work_in() -> None:
    """Accounts go on until counters are at rest: twice as long here as frames were offered."""
    for thread in (use("vnf0 napi", 0.6, 0.3), use("vnf0 python", 1.6, 0.4, worked_s=0.72)):
        one = trial(full("s2 tx (to vnf0)"), threads=(thread,))
        longer = replace(one, cores=(replace(one.cores[0], wall_s=2.0),))
        found = bottleneck([longer])
        assert found is not None
        assert found.busy == pytest.approx(0.9)
        assert found.waited == pytest.approx(thread.run_delay_s)


def test_a_rule_is_not_for_want_of_time() -> None:
    threads = (use("vnf0 napi", 1.0),)
    found = bottleneck([trial({"vnf0 nic1 tx": (5, {"policy": 5})}, threads=threads)])
    assert found is not None
    assert found.busy == 1.0
    assert not found.short_of_time


@pytest.mark.parametrize(
    ("place", "here", "empties"),
    [
        ("generator port 0 tx", "generator", "generator"),
        ("vnf12 nic0 rx", "vnf12", "vnf12"),
        ("s2+s4 tx (to vnf0)", "switch", "vnf0"),
        ("s3+s5 rx (from vnf0)", "switch", "switch"),
        ("s1 tx (out of the switch)", "switch", "generator"),
        ("dut1 s1 tx (to the next host)", "switch", "switch"),
        ("dut2 s1 tx (out of the switch)", "switch", "generator"),
        ("vnf1host s0 rx (into the switch)", "switch", "switch"),
        ("vnf1 s2 tx (to vnf0)", "switch", "vnf0"),
        ("generator-x s3 rx (from vnf0)", "switch", "switch"),
        ("generator-x s1 tx (to the next host)", "switch", "switch"),
    ],
)
def test_places_are_read(place: str, here: str, empties: str) -> None:
    assert component_of(place) == here
    if " tx" not in place or here != "generator":
        assert behind(place) == empties


def test_threads_are_somebodys() -> None:
    assert component_of_thread(use("vnf3 lcore-worker-1", 0.0)) == "vnf3"
    assert component_of_thread(use("vnf3.1 napi", 0.0)) == "vnf3"
    assert component_of_thread(use("napi/s0-8", 0.0)) == "switch"
    assert component_of_thread(use("vnf3host", 0.0)) == "switch"
    assert component_of_thread(use("python", 0.0, role="generator")) == "generator"
    assert component_of_thread(use("vnf3 x", 0.0, role="other")) == "other"


class Silent:
    def deploying(self, what: str) -> None: ...

    def trial_started(self, spec: TrialSpec) -> None: ...

    def trial_progress(self, spec: TrialSpec, elapsed_s: float, sent: int, received: int) -> None: ...

    def trial_done(self, result: TrialResult) -> None: ...


class Recorded:
    """A system whose trials are made up: above 500 pps a VNF's ring is full, and far above another place."""

    def __init__(self, *invalid: str) -> None:
        self._inner = SimulatedSystem(
            built_in()["sim"].with_simulation(Simulation(capacity_pps=1e9)), P2P(VSwitch("ovs"))
        )
        self._invalid = invalid

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def measurer(self, *_: object) -> Measurer:
        return self

    def measure(self, rate_pps: float, duration_s: float) -> TrialResult:
        sent = round(rate_pps)
        place = "vnf0 nic0 rx" if rate_pps < 5e5 else "s0 rx (into the switch)"
        losses = full(place, sent // 2) if rate_pps > 500 else {}
        return replace(trial(losses, sent, rate_pps=rate_pps), invalid=self._invalid)


def traffic(*invalid: str) -> Traffic:
    kept: list[Result] = []
    return Traffic(Recorded(*invalid), Defaults(retry_invalid=0), Silent(), kept.append)  # type: ignore[arg-type]


def test_a_gate_that_failed_is_told_though_it_is_falsy() -> None:
    one = traffic()
    assert one.bottleneck() is None
    gate = one.sustains("1kpps", frame_size=64)
    assert not gate
    assert gate.ruling.verdict is Verdict.FAIL
    found = one.bottleneck()
    assert found is not None
    assert (found.component, found.place, found.share) == ("vnf0", "vnf0 nic0 rx", 0.5)


def test_only_the_last_measurement_counts() -> None:
    one = traffic()
    assert not one.sustains("1kpps", frame_size=64)
    assert one.sustains("400pps", frame_size=64)
    assert one.bottleneck() is None


def test_of_a_search_it_is_the_lowest_load_that_lost() -> None:
    one = traffic()
    found = one.throughput(frame_size=64, at_most="10Mpps")
    assert max(trial.spec.rate_pps for trial in found.trials) > 5e5, "the other place was not met"
    told = one.bottleneck()
    assert told is not None
    assert told.place == "vnf0 nic0 rx" or found.rate.pps >= 5e5


def test_invalid_trials_teach_nothing() -> None:
    one = traffic("the generator stalled")
    with pytest.raises(InvalidMeasurement):
        one.sustains("1kpps", frame_size=64)
    assert one.bottleneck() is None
