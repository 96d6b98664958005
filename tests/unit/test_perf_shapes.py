"""The shapes of the papers' findings: each holds for what a paper found, and fails for what it did not."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf_tests import papers, shapes
from perf_tests.s16 import ROUNDS, asked_again
from perf_tests.usage import fits, polls, used, wanted
from pytest_nfv.model.trial import CoreUse, Direction, FlowCounts, Hop, ThreadUse, TrialResult, TrialSpec

WAY = Direction(0, 1)
SIZES = papers.papers()["s4_cpu"]["clickos_l3fwd_2_6_ghz"]["frame_bytes"]
PERCENT = papers.papers()["s4_cpu"]["clickos_l3fwd_2_6_ghz"]["cpu_percent"]


def trial(before: int, behind: int, threads: tuple[ThreadUse, ...] = ()) -> TrialResult:
    """1000 frames, so many of them lost before the VNF and so many behind."""
    places = (
        ("s0 rx (into the switch)", 1000 - before),
        ("s2 tx (to vnf0)", 1000 - before),
        ("vnf0 nic0 rx", 1000 - before),
        ("vnf0 nic1 tx", 1000 - before - behind),
        ("generator port 1 rx", 1000 - before - behind),
    )
    return TrialResult(
        TrialSpec(64, 1000.0, 1.0),
        (FlowCounts(WAY, 1000, 1000, 1000 - before - behind),),
        1.0,
        hops=tuple(Hop(WAY, place, frames) for place, frames in places),
        cores=(CoreUse("device", 0, 2.0, 1.0, 0.0, 0.0, 0.0),),
        threads=threads,
    )


@given(st.integers(0, 500), st.integers(0, 499))
def test_most_is_lost_before_the_vnf_or_it_is_not(before: int, behind: int) -> None:
    one = trial(before, behind)
    assert shapes.lost_before(one) == before
    assert (shapes.lost_before_the_vnf([one]) == "") is (before > behind)


def test_loss_before_the_vnf_is_summed_over_trials() -> None:
    assert shapes.lost_before_the_vnf([trial(10, 30), trial(100, 20)]) == ""
    assert shapes.lost_before_the_vnf([trial(10, 300), trial(100, 20)]) == (
        "110 of 430 lost frames were lost before the VNF; expected: more than half"
    )


def test_loss_before_the_vnf_counts_every_direction() -> None:
    back = Direction(1, 0)
    one = trial(100, 0)
    flow = replace(one.flows[0], direction=back, received=600)
    hops = (Hop(back, "s1 rx (into the switch)", 900), Hop(back, "vnf0 nic1 rx", 700))
    both = replace(one, flows=(*one.flows, flow), hops=(*one.hops, *hops))
    assert shapes.lost_before(both) == 100 + 300


@pytest.mark.parametrize(("more", "holds"), [(1.0, True), (1.4, True), (0.7, True), (1.6, False), (0.6, False)])
def test_what_is_no_bottleneck_changes_little(more: float, holds: bool) -> None:
    rates = [900e3, 1000e3, 1100e3]
    assert (shapes.more_changes_little(rates, [rate * more for rate in rates]) == "") is holds


@pytest.mark.parametrize(("more", "holds"), [(2.0, True), (1.25, True), (1.0, False), (0.5, False)])
def test_what_is_the_bottleneck_helps(more: float, holds: bool) -> None:
    assert (shapes.helps([8e6, 9e6, 1e6], [8e6 * more] * 3) == "") is holds


def test_one_spoilt_trial_does_not_decide() -> None:
    assert shapes.more_changes_little([1e6, 1e6, 1e6], [1e5, 1.1e6, 0.9e6]) == ""
    assert shapes.helps([1e6, 1e6, 1e6], [9e6, 1e6, 1e6]) != ""


def test_the_papers_own_figures_fall_with_frame_size() -> None:
    assert shapes.falls_with_size(dict(zip(SIZES, PERCENT, strict=True))) == ""


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ((0.2, 0.1, 0.3), "1500 B take 30.0% of a core, 256 B 10.0%"),
        ((0.2, 0.2, 0.2), "64 B take 20.0% of a core, no more than 1500 B: 20.0%"),
        ((0.01, 0.1, 0.2), "256 B take 10.0% of a core, 64 B 1.0%"),
    ],
)
def test_a_use_that_rises_or_stays_does_not(shares: tuple[float, ...], said: str) -> None:
    assert said in shapes.falls_with_size(dict(zip((64, 256, 1500), shares, strict=True)))


def test_pairs_do_not_multiply() -> None:
    assert shapes.no_more_than_its_parts(1e6, {2: 2.1e6, 3: 1.5e6}) == ""
    assert "3 pairs forwarded 6,000,000 pps in all" in shapes.no_more_than_its_parts(1e6, {2: 2e6, 3: 6e6})


def test_on_one_core_pairs_forward_what_one_does() -> None:
    assert shapes.no_more_than_its_parts(1e6, {2: 1.2e6, 3: 0.8e6}, one_core=True) == ""
    wrong = shapes.no_more_than_its_parts(1e6, {2: 2e6, 3: 1.4e6}, one_core=True)
    assert wrong == "2 pairs forwarded 2,000,000 pps in all, one alone 1,000,000 pps"


def chains_asked(times: float, seed: int) -> str:
    """Ask S5 of chains of three that forward so many times what one VNF does, each trial off by some 10 %."""
    noise = Random(seed)
    one: list[float] = []
    three: list[float] = []

    def question() -> str:
        one.extend(noise.gauss(1e6, 1e5) for _ in range(3))
        three.extend(times * noise.gauss(1e6, 1e5) for _ in range(3))
        return shapes.no_faster(one, three)

    return asked_again(question)


@pytest.mark.parametrize(("times", "least", "most"), [(1.2, 0, 20), (0.8, 98, 100), (0.4, 100, 100)])
def test_a_chain_that_is_faster_fails_and_one_that_is_slower_holds(times: float, least: int, most: int) -> None:
    held = sum(chains_asked(times, seed) == "" for seed in range(100))
    assert least <= held <= most


def test_what_chains_forwarded_is_said() -> None:
    assert (
        shapes.no_faster([1e6, 5e6, 1e6], [2e6, 9e6, 2e6])
        == "three VNFs forwarded 2,000,000 pps, one 1,000,000 pps"
    )


def test_equal_pairs_get_alike() -> None:
    assert shapes.alike([2e5, 3e5, 2.5e5]) == ""
    assert shapes.alike([2e5, 5e5, 5e5]) == "of equal pairs one forwarded 200,000 pps and another 500,000 pps"


def test_linear_is_linear() -> None:
    assert shapes.linear(1e6, {2: 2e6, 3: 2.7e6}) == ""
    assert (
        shapes.linear(1e6, {2: 2e6, 3: 2e6})
        == "3 pairs forwarded 2.00 times what one did; expected: at least 2.25"
    )


@pytest.mark.parametrize(
    ("idle", "best", "overload", "wrong"),
    [
        (529e-6, 35e-6, 300e-6, ""),
        (30e-6, 35e-6, 300e-6, "at next to no load"),
        (529e-6, 35e-6, 36e-6, "in overload"),
        (35e-6, 35e-6, 35e-6, "at next to no load"),
    ],
)
def test_latency_falls_then_rises(idle: float, best: float, overload: float, wrong: str) -> None:
    answer = shapes.falls_then_rises(idle, best, overload)
    assert answer.startswith(f"{wrong} latency is ") if wrong else not answer


def took(*medians_us: float, least_us: float) -> list[shapes.Took]:
    return [shapes.Took(one / 1e6, least_us / 1e6) for one in medians_us]


@pytest.mark.parametrize(
    ("one", "three", "holds"),
    [
        (took(50, 500, 51, least_us=20), took(54, 53, 55, least_us=20), True),
        (took(50, 500, least_us=20), took(54, 53, least_us=24), True),  # others ran beside the one
        (took(50, 500, least_us=20), took(54, 53, least_us=20), False),
        (took(90, 90, 90, least_us=20), took(54, 53, 55, least_us=24), False),  # whatever the least says
        (took(50, 500, 510, least_us=20), took(54, 53, 55, least_us=24), False),
        (took(50, 60, 51, least_us=20), took(40, 53, 50, least_us=19), False),
        (took(50, least_us=20), took(50, least_us=20), False),
    ],
)
def test_a_longer_chain_takes_longer(one: list[shapes.Took], three: list[shapes.Took], holds: bool) -> None:
    assert (shapes.takes_longer(one, three) == "") is holds


def test_what_a_chain_took_is_said() -> None:
    assert shapes.takes_longer(took(51, least_us=20), took(50, least_us=19)) == (
        "in 0 of 1 rounds three VNFs took longer than one; medians "
        "50.0 us (at least 19.0) and 51.0 us (at least 20.0)"
    )


def test_a_chain_takes_less_than_its_vnfs_alone() -> None:
    nine = papers.papers()["s9_latency_by_chain"]
    assert shapes.less_than_alone(nine["bess_two_nf_us"], [nine["bess_firewall_plus_l3fwd_alone_us"]]) == ""
    assert shapes.less_than_alone(95e-6, [40e-6, 50e-6]) == "the chain took 95.0 us, its VNFs alone 90.0 us in all"


def test_polling_takes_a_core_and_waking_saves_it() -> None:
    assert shapes.polls(0.97) == shapes.saves(0.1) == ""
    assert shapes.polls(0.5) == "it wanted 50.0% of a core; expected: at least 80%"
    assert shapes.saves(0.9) == "it used 90.0% of a core; expected: up to 50%"


@pytest.mark.parametrize(("answers", "asked"), [([""], 1), (["no", ""], 2), (["no"] * 9, ROUNDS)])
def test_a_question_is_asked_again_while_its_answer_is_no(answers: list[str], asked: int) -> None:
    left = iter(answers)
    given_answers = []

    def question() -> str:
        given_answers.append(next(left))
        return given_answers[-1]

    assert asked_again(question) == answers[asked - 1]
    assert len(given_answers) == asked


def test_use_is_the_components_own() -> None:
    threads = (
        ThreadUse("device", "vnf0 napi", 0.4, 0.2),
        ThreadUse("device", "vnf0 napi2", 0.2, 0.0),
        ThreadUse("device", "pmd-c00", 1.5, 0.4, worked_s=0.3),
    )
    one = trial(0, 0, threads)  # of 1 s; the account takes 2 s
    assert (used(one, "vnf0"), wanted(one, "vnf0")) == pytest.approx((0.6, 0.3))
    assert (used(one, "switch"), wanted(one, "switch")) == pytest.approx((0.75, 0.95))
    assert (polls(one, "vnf0"), polls(one, "switch")) == (False, True)
    assert (used(one, "vnf1"), wanted(one, "vnf1")) == (0.0, 0.0)


def test_what_had_its_core_for_half_of_the_account_wanted_half() -> None:
    half = trial(0, 0, (ThreadUse("generator", "generator", 1.0, 0.0, worked_s=0.5),))
    assert shapes.polls(wanted(half, "generator")) == "it wanted 50.0% of a core; expected: at least 80%"


@pytest.mark.parametrize(("cpu_s", "holds"), [(0.0, False), (0.1, True), (2.0, True), (2.1, False)])
def test_a_vnf_fits_the_devices_cores(cpu_s: float, holds: bool) -> None:
    one = trial(0, 0, (ThreadUse("device", "vnf0 napi", cpu_s, 0.0),))
    beside = replace(one, cores=(*one.cores, replace(one.cores[0], role="generator", core=1)))
    assert fits(beside, "vnf0") is holds


def test_papers_figures_are_references_where_the_text_has_them() -> None:
    assert [one.value for one in papers.baseline("l3fwd", 64)] == [pytest.approx(9.34e6), pytest.approx(5.34e6)]
    assert papers.baseline("l3fwd", 128) == []
    assert [one.value for one in papers.cpu_use(256, 0.1)] == [pytest.approx(0.701)]
    assert papers.cpu_use(96, 0.1) == []
    assert papers.lost_before_the_vnf(128, 1.0) == []
    assert [(one.value, one.ours) for one in papers.scaling(3, 1.2)] == [(3.0, 1.2)]
    assert papers.scaling(1, 1.0) == papers.scaling(4, 4.0) == []
    assert [one.value for one in papers.idle_latency(1e-6)] == [pytest.approx(529.3e-6)]
    assert [one.value for one in papers.sockets("raw", "many")] == [pytest.approx(440e3)]
