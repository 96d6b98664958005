"""What a failure says of a VNF: what it dropped itself, what it was too slow for, what nobody counted."""

from __future__ import annotations

from dataclasses import replace

from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.measurement import Gate, Subject
from pytest_nfv.model.trial import (
    CoreUse,
    Direction,
    FlowCounts,
    GuestUse,
    Hop,
    ThreadUse,
    TrialResult,
    TrialSpec,
)
from pytest_nfv.model.verdict import Ruling, Verdict
from pytest_nfv.records import explain
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.units import PacketRate

WAY = Direction(0, 1)
PLACES = (
    "s0 rx (into the switch)",
    "s2 tx (to vnf0)",
    "vnf0 nic0 rx",
    "vnf0 nic1 tx",
    "s1 tx (out of the switch)",
)


def failed(place: str, drops: dict[str, int], busy: float | None = None) -> Measurement:
    """A gate of one trial that lost a tenth at one place, its VNF's thread so busy."""
    at = PLACES.index(place)
    hops = tuple(
        Hop(WAY, name, 1000 if number < at else 900, drops if number == at else {})
        for number, name in enumerate(PLACES)
    )
    use = ThreadUse("device", "vnf0 napi", busy or 0.0, 0.0)
    trial = TrialResult(
        TrialSpec(64, 1000.0, 1.0),
        (FlowCounts(WAY, 1000, 1000, 900),),
        1.0,
        hops=(*hops, Hop(WAY, "generator port 1 rx", 900)),
        cores=() if busy is None else (CoreUse("device", 0, 1.0, 0.0, 0.4, 0.0, 0.0),),
        threads=() if busy is None else (use,),
    )
    subject = Subject("local", "PVP(ovs, L2Fwd)", "ovs", "1GbE", 64)
    ruling = Ruling(Verdict.FAIL, ("1 of 1 trials lost more than 0 % of the frames",))
    return Measurement.from_result(Gate(subject, SearchGoal(), PacketRate(1000.0), ruling, (trial,)))


def change(one: Measurement) -> str:
    return " ".join("\n".join(explain.lines(one)).partition("what would have to change")[2].split())


def test_a_function_that_drops_does_what_it_is_told() -> None:
    said = change(failed("vnf0 nic1 tx", {"policy": 100}))
    assert said == "vnf0 dropped 100 of 1,000 frames itself (policy): it does what it is told."


def test_every_reason_is_named() -> None:
    assert "itself (ttl and no_route)" in change(failed("vnf0 nic1 tx", {"ttl": 60, "no_route": 40}))


def test_a_vnf_without_processor_time_left_needs_more() -> None:
    said = change(failed("s2 tx (to vnf0)", {"tx ring full": 100}, busy=0.97))
    assert said == (
        "vnf0 is the bottleneck: 100 of 1,000 frames found no room before it (s2 tx (to vnf0)). "
        "It was busy 97 % of its time: it needs more of a core, or less to do."
    )


def test_one_that_had_time_has_too_short_a_queue() -> None:
    said = change(failed("vnf0 nic0 rx", {"ring full": 100}, busy=0.4))
    assert "100 of 1,000 frames found no room before it (vnf0 nic0 rx)" in said
    assert said.endswith("It was busy 40 % of its time only: its queue is shorter than the load's bursts.")


def test_where_no_time_was_accounted_nothing_is_said_of_it() -> None:
    said = change(failed("s2 tx (to vnf0)", {"tx ring full": 100}))
    assert said.endswith("found no room before it (s2 tx (to vnf0)).")


def test_a_loss_that_no_counter_saw_says_so() -> None:
    said = change(failed("vnf0 nic1 tx", {}))
    assert said == "vnf0 is where 100 of 1,000 frames were lost, vnf0 nic1 tx; no counter saw them."


def test_a_counter_without_a_cause_is_told_as_that() -> None:
    said = change(failed("vnf0 nic0 rx", {"dropped on receipt": 100}))
    assert said == (
        "vnf0 is where 100 of 1,000 frames were lost, vnf0 nic0 rx (dropped on receipt); it has no one cause."
    )


def test_a_far_end_that_takes_no_frames_had_no_room() -> None:
    said = change(failed("vnf0 nic1 tx", {"not taken by the far end": 100}))
    assert "no counter" not in said


def test_what_the_switch_lost_is_not_a_vnfs() -> None:
    for place in ("s0 rx (into the switch)", "s1 tx (out of the switch)"):
        said = change(failed(place, {"ring full": 100}, busy=0.99))
        assert "vnf0" not in said
        assert "found no room before it" not in said


def test_a_slow_link_is_named_wherever_it_is() -> None:
    said = change(failed("s2 tx (to vnf0)", {"link queue full": 100}, busy=0.2))
    assert said == (
        "The link behind s2 tx (to vnf0) is slower than the load: 100 of 1,000 frames found no room in the queue "
        "before it."
    )


def test_a_record_says_the_same() -> None:
    one = failed("s2 tx (to vnf0)", {"tx ring full": 100}, busy=0.97)
    assert explain.lines(one.to_json()) == explain.lines(one)
    assert max(map(len, explain.lines(one))) <= 100


def test_a_guests_own_account_stands_below_qemus_threads() -> None:
    whole = failed("vnf0 nic1 tx", {"guest drops": 100}, busy=0.97)
    once = replace(whole.trials[0], guests=(GuestUse("vnf0", 0.01, 0.04, 0.25, 0.65, 0.05),))
    lines = explain.lines(replace(whole, trials=(once, once)))
    (at,) = (number for number, line in enumerate(lines) if "guest vnf0" in line)
    said = " ".join(" ".join(lines[at : at + 2]).split())
    assert said == (
        "guest vnf0 30 % busy by its own account "
        "user 20 ms, system 80 ms, softirq 500 ms, idle 1.3 s, steal 100 ms"
    )
    assert "device thread vnf0 napi" in lines[at - 1]
