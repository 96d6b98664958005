"""When a trial is believed, and what is said when it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_nfv.deployment.hops import waterfall
from pytest_nfv.deployment.validity import reasons_disturbed, reasons_invalid, reasons_off_clock
from pytest_nfv.deployment.wiring import Chains
from pytest_nfv.model.accounts import stolen_from_device_s
from pytest_nfv.model.offer import Report
from pytest_nfv.model.topology import P2P, VSwitch
from pytest_nfv.model.trial import CoreUse, Direction, FlowCounts, GeneratorHealth, Hop, ThreadUse
from pytest_nfv.units import GHz
from pytest_nfv.vswitches.protocol import PortCounters

WAY = Direction(0, 1)


def report(sent: int = 1000, received: int = 1000, longest_stall_s: float = 0.0) -> Report:
    flow = FlowCounts(WAY, intended=sent, sent=sent, received=received)
    return Report((flow,), (0,), 1.0, 0.01, GeneratorHealth(longest_stall_s, stall_limit_s=0.01))


def counters(into: int, out: int, refused: int = 0) -> tuple[PortCounters, ...]:
    return (
        PortCounters(0, "s0", rx_frames=100 + into, tx_frames=5, rx_drops={"veth ring full": 7 + refused}),
        PortCounters(1, "s1", rx_frames=3, tx_frames=50 + out),
    )


BEFORE = counters(0, 0)


def core(**seconds: float) -> CoreUse:
    times = {"user_s": 0.0, "system_s": 0.0, "softirq_s": 0.0, "steal_s": 0.0} | seconds
    return CoreUse("device", 0, 1.0, **times)


def thread(cpu_s: float, run_delay_s: float) -> ThreadUse:
    return ThreadUse("device", "napi/s0", cpu_s, run_delay_s)


def test_the_way_is_told_by_differences() -> None:
    entry, leave, back = waterfall(
        report(1000, 900), (BEFORE, {}), (counters(990, 950, refused=10), {}), Chains(P2P(VSwitch("any")))
    )
    assert (entry.frames, dict(entry.drops)) == (990, {"veth ring full": 10})
    assert (leave.frames, dict(leave.drops)) == (950, {})
    assert back.frames == 900


def test_a_clean_trial_is_valid() -> None:
    hops = waterfall(report(), (BEFORE, {}), (counters(1000, 1000), {}), Chains(P2P(VSwitch("any"))))
    assert reasons_invalid(report(), hops, stolen_s=0.0) == ()


def test_loss_alone_is_the_devices_own() -> None:
    lossy = report(1000, 500)
    hops = waterfall(lossy, (BEFORE, {}), (counters(500, 500, refused=500), {}), Chains(P2P(VSwitch("any"))))
    assert reasons_invalid(lossy, hops, stolen_s=0.0) == ()


def test_counters_that_do_not_add_up_make_it_invalid() -> None:
    hops = waterfall(report(), (BEFORE, {}), (counters(900, 1000), {}), Chains(P2P(VSwitch("any"))))
    (reason,) = reasons_invalid(report(), hops, stolen_s=0.0)
    assert "sent 1000 frames" in reason
    assert "counts 900" in reason
    hops = waterfall(report(), (BEFORE, {}), (counters(1000, 900), {}), Chains(P2P(VSwitch("any"))))
    (reason,) = reasons_invalid(report(), hops, stolen_s=0.0)
    assert "received 1000 frames" in reason


def stalled(lost: int, *, stalled_s: float = 0.02, limit_s: float = 0.01) -> Report:
    sent = 100_000
    flow = FlowCounts(WAY, intended=sent, sent=sent, received=sent - lost)
    health = GeneratorHealth(longest_stall_s=0.02, stall_limit_s=limit_s, stalled_s=stalled_s)
    return Report((flow,), (0,), 1.0, 0.01, health)


def test_a_stall_that_lost_nothing_is_nothing_against_a_trial() -> None:
    assert reasons_invalid(stalled(0), (), stolen_s=0.0) == ()
    assert reasons_invalid(stalled(0, stalled_s=0.9, limit_s=0.00028), (), stolen_s=0.0) == ()


def test_a_loss_that_stalls_explain_no_small_part_of_is_not_the_devices() -> None:
    explained = 2_000  # frames that arrive in 20 ms
    for lost in (1, explained, 10 * explained):
        (reason,) = reasons_invalid(stalled(lost), (), stolen_s=0.0)
        assert "the generator stalled for 20.0 ms, buffers hide 10.0 ms" in reason
    assert reasons_invalid(stalled(10 * explained + 1), (), stolen_s=0.0) == ()


def test_all_stalls_count_and_not_only_the_longest() -> None:
    assert reasons_invalid(stalled(30_000, stalled_s=0.05), (), stolen_s=0.0)
    assert reasons_invalid(stalled(30_000, stalled_s=0.029), (), stolen_s=0.0) == ()


def test_more_than_can_be_forwarded_loses_frames_stalls_or_not() -> None:
    assert reasons_invalid(stalled(2_000), (), stolen_s=0.0)
    assert reasons_invalid(stalled(2_000), (), stolen_s=0.0, maximum=True) == ()


def test_a_stall_that_buffers_hide_explains_no_loss() -> None:
    assert reasons_invalid(stalled(500, stalled_s=0.0, limit_s=0.02), (), stolen_s=0.0) == ()


def test_what_the_generator_says_of_itself_counts() -> None:
    troubled = replace(report(), trouble=("offered 5 of 10 frames",))
    assert reasons_invalid(troubled, (), 0.0) == ("offered 5 of 10 frames",)


def test_a_stall_matters_only_with_loss() -> None:
    assert reasons_invalid(report(longest_stall_s=0.5), (), 0.0) == ()
    (reason,) = reasons_invalid(report(received=990, longest_stall_s=0.5), (), 0.0)
    assert "stalled for 500.0 ms" in reason


def test_loss_that_stolen_time_explains_is_not_held_against_the_device() -> None:
    lossy = report(1000, 990)
    (reason,) = reasons_invalid(lossy, (), stolen_s=0.010)
    assert "explains the 10 frames lost" in reason
    assert reasons_invalid(lossy, (), stolen_s=0.009) == ()


def other(cpu_s: float) -> ThreadUse:
    return ThreadUse("other", "kworker/0:1", cpu_s, 0.0)


def test_steal_counts_whole_and_others_time_as_far_as_the_device_waited() -> None:
    assert stolen_from_device_s([core(steal_s=0.02)], []) == 0.02
    assert stolen_from_device_s([core()], [thread(0.5, 0.1), other(0.3)]) == 0.1
    assert stolen_from_device_s([core(steal_s=0.01)], [thread(0.5, 0.1), other(0.02)]) == 0.03
    assert stolen_from_device_s([core()], [thread(0.5, 0.1)]) == 0.0


def test_devices_own_threads_waiting_for_each_other_is_not_theft() -> None:
    pair = [thread(0.5, 0.4), ThreadUse("device", "ksoftirqd/0", 0.5, 0.4)]
    assert stolen_from_device_s([core(softirq_s=1.0)], pair) == 0.0


def test_others_on_the_generators_core_are_not_the_devices_matter() -> None:
    waiting = ThreadUse("generator", "generator", 0.5, 0.4)
    assert stolen_from_device_s([core()], [thread(0.5, 0.0), waiting, other(0.3)]) == 0.0


def test_disturbance_is_told_from_a_fifth_of_a_percent_on() -> None:
    cores = [core(steal_s=0.004)]
    assert reasons_disturbed(cores, 0.001) == ()
    (reason,) = reasons_disturbed(cores, 0.004)
    assert "4 ms of 1000 ms" in reason


def test_a_place_behind_a_vnf_that_counts_more_than_came_makes_it_invalid() -> None:
    way = [Hop(WAY, place, frames) for place, frames in THROUGH_A_VNF]
    lossy = report(1000, 900)
    assert reasons_invalid(lossy, way, 0.0) == ()
    way[3] = replace(way[3], frames=1009)
    (reason,) = reasons_invalid(lossy, way, 0.0)
    assert reason == "counters disagree on 0>1: vnf0 nic0 rx counts 1000 frames, vnf0 nic1 tx 1009"


@pytest.mark.parametrize("reason", ["policy", "tx ring full", "tx vhost ring full", "ovs_tx_failure_drops"])
def test_more_frames_passed_and_dropped_than_came_make_it_invalid(reason: str) -> None:
    way = [Hop(WAY, place, frames) for place, frames in THROUGH_A_VNF]
    lossy = report(1000, 900)
    way[3] = replace(way[3], drops={reason: 108})
    assert reasons_invalid(lossy, way, 0.0) == ()
    way[3] = replace(way[3], drops={reason: 109})
    (why,) = reasons_invalid(lossy, way, 0.0)
    assert why == "counters disagree on 0>1: vnf0 nic0 rx counts 1000 frames, vnf0 nic1 tx 900 and 109 dropped"


@pytest.mark.parametrize(
    "reason",
    ["ttl (both ways)", "veth ring full", "backlog full", "dropped on receipt", "guest drops", "no mbuf", "other"],
)
def test_what_may_be_of_another_way_or_counted_twice_is_not_held_against_a_trial(reason: str) -> None:
    way = [Hop(WAY, place, frames) for place, frames in THROUGH_A_VNF]
    way[3] = replace(way[3], drops={reason: 900})
    assert reasons_invalid(report(1000, 900), way, 0.0) == ()


THROUGH_A_VNF = (
    ("s0 rx (into the switch)", 1000),
    ("s2 tx (to vnf0)", 1000),
    ("vnf0 nic0 rx", 1000),
    ("vnf0 nic1 tx", 900),
    ("s3 rx (from vnf0)", 900),
    ("s1 tx (out of the switch)", 900),
    ("generator port 1 rx", 900),
)


def clocked(*hz: float | None) -> list[CoreUse]:
    return [replace(core(), core=number, frequency_hz=one) for number, one in enumerate(hz)]


def test_a_device_that_was_clocked_as_asked_is_valid() -> None:
    assert reasons_off_clock(clocked(1.2e9, 1.2e9 * 1.019, 1.2e9 * 0.981), 1.2 * GHz) == ()
    assert reasons_off_clock(clocked(3e9, None), None) == ()


def test_a_device_that_was_clocked_otherwise_is_not() -> None:
    found = reasons_off_clock(clocked(1.2e9, 1.6e9, 1.17e9, None), 1.2 * GHz)
    assert found == (
        "device core 1 was clocked at 1.6 GHz, not at the 1.2 GHz that were asked",
        "device core 2 was clocked at 1.17 GHz, not at the 1.2 GHz that were asked",
        "device core 3 was to be clocked at 1.2 GHz, and does not tell its clock",
    )


def test_the_generators_clock_is_its_own() -> None:
    assert reasons_off_clock([replace(core(), role="generator", frequency_hz=3e9)], 1.2 * GHz) == ()
