"""What a person reads: golden texts, and what follows from which figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.trial import CoreUse, Direction, FlowCounts, GeneratorHealth, Hop, ThreadUse, TrialResult
from pytest_nfv.model.verdict import Verdict
from pytest_nfv.records import explain, wording
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.records.text import WIDTH, paragraph, shortened, table
from pytest_nfv.units import line_rate

if TYPE_CHECKING:
    from tests.unit.records.conftest import Samples

GOLDEN = Path(__file__).parent / "golden"
WAY, BACK = Direction(0, 1), Direction(1, 0)


def told(one: Measurement) -> str:
    return "\n".join([explain.headline(one), *explain.lines(one)])


def unwrapped(one: Measurement) -> str:
    return " ".join(told(one).split())


def with_cores(trial: TrialResult, *busy: float, steal: float = 0.0) -> TrialResult:
    cores = tuple(CoreUse("device", i, 1.0, 0.0, 0.0, share, steal) for i, share in enumerate(busy))
    return replace(trial, cores=cores, threads=())


@pytest.mark.parametrize("kind", ["invalid", "failed", "passed", "throughput", "latency"])
def test_golden(samples: Samples, kind: str) -> None:
    one: Measurement = getattr(samples, kind)()
    assert told(one) + "\n" == (GOLDEN / f"{kind}.txt").read_text()


@pytest.mark.parametrize("kind", ["invalid", "failed", "passed", "throughput", "latency", "simulated"])
def test_file_and_memory_explain_alike_in_100_columns(samples: Samples, kind: str) -> None:
    one: Measurement = getattr(samples, kind)()
    assert explain.lines(one.to_json()) == explain.lines(one)
    assert explain.headline(one.to_json()) == explain.headline(one)
    assert max(map(len, explain.lines(one))) <= WIDTH
    assert "\x1b" not in told(one)


def test_headlines(samples: Samples) -> None:
    assert explain.headline(samples.failed()) == (
        "FAIL: forwarded 760 kpps of 844.6 kpps (1GbE line rate, 128 B): 10 % lost at s0 rx (veth ring full)"
    )
    assert explain.headline(samples.passed()) == (
        "PASS: forwarded 452.9 kpps (1GbE line rate, 256 B): nothing lost in 2 trials"
    )
    assert explain.headline(samples.throughput().required(at_least_pps=4e5)) == (
        "PASS: throughput 755 kpps >= 400 kpps (50.7 % of 1GbE line rate, 64 B): "
        "above it loss at s0 rx (veth ring full)"
    )
    assert explain.headline(samples.latency().required(limits_us={99.9: 50})) == (
        "FAIL: latency p50 12.4 us, p99 31.5 us, p99.9 96 us at 100 kpps (11.8 % of 1GbE line rate, 128 B); "
        "generator's floor 6.9 us; required p99.9 < 50 us"
    )
    assert explain.headline(samples.simulated()).startswith("PASS (simulated): ")


def spread_over(trial: TrialResult, lost: dict[str, tuple[int, dict[str, int]]]) -> TrialResult:
    """Return the trial with its first direction's loss at places of our choice, in their order."""
    way, left = trial.flows[0].direction, trial.flows[0].sent
    hops = [hop for hop in trial.hops if hop.direction != way]
    for place, (count, drops) in lost.items():
        left -= count
        hops.append(Hop(way, place, left, drops))
    return replace(trial, hops=tuple(hops))


def test_a_headline_says_which_part_of_the_loss_the_worst_place_had(samples: Samples) -> None:
    places = {
        "v0 rx (into the switch)": (20_000, {"vhost ring full": 20_000}),
        "v2 tx (to vnf0)": (159_000, {"ovs_tx_failure_drops": 158_000, "missed": 1_000}),
        "generator port 1 rx": (8_000, {}),
    }
    trial = spread_over(samples.trial(64, 1e6, lost=187_000), places)
    assert explain.headline(samples.gate(Verdict.FAIL, (trial,))).endswith(
        ": 18.7 % lost, 15.9 % at v2 tx (ovs_tx_failure_drops), 2.8 % elsewhere"
    )
    whole = spread_over(samples.trial(64, 1e6, lost=187_000), {"v2 tx (to vnf0)": (187_000, {})})
    assert explain.headline(samples.gate(Verdict.FAIL, (whole,))).endswith(": 18.7 % lost at v2 tx")


def test_a_headline_names_the_place_of_the_direction_whose_loss_it_tells(samples: Samples) -> None:
    """Of 0>1 many frames were offered and most lost at one place; of 1>0 few, and a greater part."""
    both = samples.trial(64, 1e6, lost=100_000, ways=(WAY, BACK))
    few = FlowCounts(BACK, 1_000_000, 100_000, 80_000)
    hops = (*both.hops[:3], Hop(BACK, "s1 rx (into the switch)", 80_000, {"backlog full": 20_000}))
    one = replace(both, flows=(both.flows[0], few), hops=hops)
    assert explain.headline(samples.gate(Verdict.FAIL, (one,))).endswith(": 20 % lost at s1 rx (backlog full)")


def test_an_invalid_headline_says_what_the_last_trial_said(samples: Samples) -> None:
    trials = (samples.trial(64, 5e5, invalid=("the generator stalled for 9 ms",)),)
    one = samples.gate(Verdict.INVALID, trials, ("nothing was learnt: 1 of 1 trial invalid",))
    assert explain.headline(one) == (
        "INVALID: at 500 kpps (33.6 % of 1GbE line rate, 64 B): the generator stalled for 9 ms"
    )


def test_the_device_core_is_the_limit(samples: Samples) -> None:
    load = line_rate("1GbE", 128).pps
    trial = with_cores(samples.trial(128, load, lost=444_594), 1.0)  # 400,000 forwarded in 1 s of one core
    text = unwrapped(samples.gate(Verdict.FAIL, (trial,)))
    assert "2.5 us for each frame forwarded, where 844.6 kpps leaves 1.18 us." in text
    assert "It takes 2.12x faster per frame, or frames of at least 512 B" in text
    assert "or 3 such cores (if the load spreads over them), or a goal of at most 400 kpps." in text


def test_a_core_that_had_nothing_left_while_frames_came_is_the_limit(samples: Samples) -> None:
    """Its accounts are longer than that, and it idles before and after."""
    text = unwrapped(samples.failed())
    assert "Device core 0 had nothing left" in text
    assert "not for want of processor time" not in text
    half = replace(samples.trial(128, 8e5, lost=9_000), cores=(samples.core("device", 0, 0.5, 0.0, 1.0),))
    assert "was busy for 50 % of the time only" in unwrapped(samples.gate(Verdict.FAIL, (half,)))
    assert "Device core 0 was busy for 62 % at" in unwrapped(samples.passed())


def test_no_frame_size_is_advised_where_none_suffices(samples: Samples) -> None:
    trial = with_cores(samples.trial(1024, line_rate("1GbE", 1024).pps, lost=100_000), 1.0)
    assert "frames of at least" not in unwrapped(samples.gate(Verdict.FAIL, (trial,)))


def test_both_directions_share_the_device(samples: Samples) -> None:
    trial = with_cores(samples.trial(256, 400_000, lost=150_000, ways=(WAY, BACK)), 1.0)
    text = unwrapped(samples.gate(Verdict.FAIL, (trial,)))
    assert "2 us for each frame forwarded, where 400 kpps leaves 1.25 us" in text
    assert "250 kpps per direction" in text
    assert "port 0 to port 1" in text
    assert "port 1 to port 0" in text


def test_one_full_core_of_several_is_named(samples: Samples) -> None:
    trial = with_cores(samples.trial(128, 800_000, lost=9_000), 1.0, 0.1)
    text = unwrapped(samples.gate(Verdict.FAIL, (trial,)))
    assert "Device core 0 had nothing left while others of device cores 0, 1 did: spread the load" in text


def test_a_machine_that_took_the_core_is_blamed(samples: Samples) -> None:
    trial = with_cores(samples.trial(128, 800_000, lost=9_000), 0.4, steal=0.02)
    text = unwrapped(samples.gate(Verdict.FAIL, (trial,)))
    assert "The machine kept the device from its core for 20 ms (steal 20 ms, others on its core 0 s)" in text
    assert "16,000 frames of this load came meanwhile, 9,000 were lost" in text
    assert "queue" not in text


def test_loss_on_an_idle_core_points_at_the_queue(samples: Samples) -> None:
    trial = with_cores(samples.trial(128, 800_000, lost=9_000), 0.4)
    text = unwrapped(samples.gate(Verdict.FAIL, (trial,)))
    assert "was busy for 40 % of the time only" in text
    assert "look at s0 rx (into the switch): veth ring full. A queue shorter than the load's bursts" in text


def test_without_accounts_only_the_ratio_is_said(samples: Samples) -> None:
    trial = replace(samples.trial(128, 800_000, lost=400_000), cores=(), threads=())
    text = unwrapped(samples.gate(Verdict.FAIL, (trial,)))
    assert "forwarded 400 kpps and needs 800 kpps: 2x as much. Its processor time was not accounted" in text


def test_nothing_back_at_all(samples: Samples) -> None:
    text = unwrapped(samples.gate(Verdict.FAIL, (samples.trial(128, 800_000, lost=800_000),)))
    assert "Nothing came back" in text


def test_steady_and_uneven_loss_are_told_apart(samples: Samples) -> None:
    steady = samples.gate(Verdict.FAIL, tuple(samples.trial(128, 8e5, lost=lost) for lost in (8_000, 9_600)))
    assert "The loss is steady: 1 % to 1.2 % in each of 2 trials." in unwrapped(steady)
    uneven = samples.gate(Verdict.FAIL, tuple(samples.trial(128, 8e5, lost=lost) for lost in (0, 8_000, 0)))
    assert "The loss is uneven: 1 of 3 trials lost frames, 1 %; what was lost is 10 ms of the load" in unwrapped(
        uneven
    )


def test_a_stalled_generator_and_full_receive_rings_are_named(samples: Samples) -> None:
    trial = samples.trial(128, 800_000, lost=9, invalid=("the generator stalled",))
    trial = replace(trial, generator=GeneratorHealth(0.012, 0.002, 77, 1.0, 5))
    text = unwrapped(samples.gate(Verdict.INVALID, (trial,)))
    assert "stood still for up to 12 ms where buffers hide 2 ms; it was pushed off its core 5 times" in text
    assert "receive rings had no room 77 times" in text


def test_a_search_says_what_limited_it(samples: Samples) -> None:
    found = samples.throughput()
    for limit, says in (("generator", "A faster kind of port finds more"), ("link", "The link was the limit")):
        text = unwrapped(replace(found, limited_by=limit, upper_pps=None))
        assert says in text
        assert f"limited by the {limit}" in text


def test_a_polling_device_has_no_room_told(samples: Samples) -> None:
    one = samples.gate(Verdict.PASS, (with_cores(samples.trial(128, 4e5), 1.0),))
    assert "room" not in unwrapped(one)
    half = samples.gate(Verdict.PASS, (with_cores(samples.trial(128, 4e5), 0.5),))
    assert "there is room for 2 times this load" in unwrapped(half)


def test_loss_that_no_counter_saw_is_told(samples: Samples) -> None:
    trial = samples.trial(128, 8e5, lost=900, drops="")
    assert "seen by no counter" in unwrapped(samples.gate(Verdict.FAIL, (trial,)))
    hops = tuple(replace(hop, drops={"ring full": 600}) if "s0" in hop.place else hop for hop in trial.hops)
    partly = replace(trial, hops=hops)
    assert "ring full 600; 300 seen by no counter" in unwrapped(samples.gate(Verdict.FAIL, (partly,)))


def test_a_place_that_saw_more_frames_says_so(samples: Samples) -> None:
    trial = samples.trial(128, 8e5)
    more = Hop(WAY, "s1 tx (out of the switch)", trial.received + 12)
    text = unwrapped(samples.gate(Verdict.PASS, (replace(trial, hops=(more,)),)))
    assert "+12 12 more than the place before counted" in text


def test_hops_that_begin_at_the_generator_are_not_doubled(samples: Samples) -> None:
    trial = samples.trial(128, 8e5)
    hops = (Hop(WAY, "generator port 0 tx", trial.sent), *trial.hops)
    text = unwrapped(samples.gate(Verdict.PASS, (replace(trial, hops=hops),)))
    assert text.count("generator port 0 tx") == 1


def test_only_the_trials_that_speak_are_summed(samples: Samples) -> None:
    trials = (
        samples.trial(128, 8e5),
        samples.trial(128, 8e5, lost=8_000),
        samples.trial(128, 8e5, lost=500_000, invalid=("a stall",)),
        samples.trial(128, 8e5, lost=8_000),
    )
    text = unwrapped(samples.gate(Verdict.FAIL, trials))
    assert "lost 16,000 of 1,600,000 frames, loss ratio 1 %" in text
    assert "(trials 2, 4)" in text
    assert "invalid: a stall" in text


def test_a_goal_with_loss_says_how_much(samples: Samples) -> None:
    trial = samples.trial(128, 8e5, lost=40)
    one = replace(samples.gate(Verdict.PASS, (trial,)), goal=SearchGoal(loss_ratio=0.005, exceed_ratio=0.0))
    text = unwrapped(one)
    assert "loss ratio up to 0.5 %; trials of 1 s, 3 s in all" in text
    assert "1 800 kpps 1 s 100 % 40 0.005 % ok" in text


def test_a_measurement_without_trials_says_so(samples: Samples) -> None:
    one = replace(samples.passed(), trials=(), verdict=Verdict.INVALID)
    assert "no trial was run" in explain.headline(one)
    assert explain.lines(one)[-1].strip() == "No trial was run."


def test_a_trial_that_offered_nothing_can_be_told(samples: Samples) -> None:
    trial = replace(samples.trial(128, 8e5, sent=0, invalid=("the port went away",)), offered_for_s=0.0)
    text = unwrapped(samples.gate(Verdict.INVALID, (trial,)))
    assert "the generator offered 0 pps of 800 kpps" in text


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100 %"), (0.99999, "99.999 %"), (0.9, "90 %"), (0.0, "0 %"), (1.2e-7, "0.000012 %"), (1.25, "125 %")],
)
def test_percent(share: float, text: str) -> None:
    assert wording.percent(share) == text


@given(st.floats(min_value=0, max_value=0.9999999))
def test_less_than_all_is_never_called_all(share: float) -> None:
    assert wording.percent(share) != "100 %"
    assert "e" not in wording.percent(share)


@pytest.mark.parametrize(
    ("pps", "text"),
    [(14_880_952, "14.88 Mpps"), (999_999, "1 Mpps"), (844_594, "844.6 kpps"), (100, "100 pps"), (0, "0 pps")],
)
def test_rate(pps: float, text: str) -> None:
    assert wording.rate(pps) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (1, "1 s"), (0.0123, "12.3 ms"), (1.316e-6, "1.32 us"), (67.2e-9, "67.2 ns"), (120.0, "120 s")],
)
def test_span(seconds: float, text: str) -> None:
    assert wording.span(seconds) == text


def test_a_factor_is_rounded_so_that_it_suffices() -> None:
    assert wording.times(1.111) == "1.12x"
    assert wording.times(2.0) == "2x"


def test_trial_numbers() -> None:
    assert wording.numbered([2]) == "trial 2"
    assert wording.numbered([1, 2]) == "trials 1, 2"
    assert wording.numbered([3, 4, 5]) == "trials 3-5"
    assert wording.numbered([1, 3, 4]) == "trials 1, 3, 4"


def test_figures_stay_with_their_units() -> None:
    lines = paragraph("so much is 1.18 us of it and 844.6 kpps are 90 % of all", indent=0, width=14)
    assert all(line.split()[0] not in ("us", "kpps", "%") for line in lines)
    assert max(map(len, lines)) <= 14


def test_a_table_wraps_its_last_column() -> None:
    lines = table(("no", "why"), [("1", "a b c d e f g h i j k l m n o p q r")], width=30)
    assert lines == ["  no  why", "   1  a b c d e f g h i j k l", "      m n o p q r"]


def test_a_long_text_loses_its_middle() -> None:
    assert shortened("abcdefghijkl", 9) == "abc...jkl"
    assert shortened("abc", 9) == "abc"


def test_a_generator_that_others_kept_from_its_core_is_told_so(samples: Samples) -> None:
    trial = samples.trial(64, 148_809, sent=88_000, invalid=("the generator offered 88,000 of 148,809 frames",))
    crowded = ThreadUse("generator", "generator", 0.5, 0.49)
    text = unwrapped(samples.gate(Verdict.INVALID, (replace(trial, threads=(*trial.threads, crowded)),)))
    assert "waiting 490 ms of 1.3 s for its core" in text
    assert "Ask for" not in text


@pytest.mark.parametrize("limit", ["generator", "machine"])
def test_a_throughput_that_something_else_kept_low_is_invalid_not_failed(samples: Samples, limit: str) -> None:
    found = replace(samples.throughput(), limited_by=limit, upper_pps=None)
    assert found.required(at_least_pps=1e9).verdict is Verdict.INVALID
    assert found.required(at_least_pps=1.0).verdict is Verdict.PASS
    assert replace(found, limited_by="").required(at_least_pps=1e9).verdict is Verdict.FAIL
