"""A user's test of a forwarding rate, on the simulated device: terminal, record, benchmark rows, plan."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

SUITE = """
    import pytest
    from pytest_nfv import Mpps, Reference, SocketPair, kpps

    @pytest.mark.parametrize("call", ["single", "many"])
    def test_pair(deploy, vswitch, call):
        paper = Reference("a paper", 440e3)
        traffic = deploy(SocketPair(vswitch, protocol="raw", call=call))
        found = traffic.forwarding_rate(1 * Mpps, frame_size=64, burst=64).beside([paper])
        assert found >= 300 * kpps
"""
SLOW_GENERATOR = "--nfv-sim=capacity=400kpps,generator=600kpps"

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run the suite in a process of its own."""

    def go(*options: str) -> pytest.RunResult:
        pytester.makepyfile(SUITE)
        return pytester.runpytest_subprocess("--nfv-host=sim", "-p", "no:cacheprovider", *options)

    return go


def test_a_generator_below_the_load_is_not_invalid(run: Run) -> None:
    result = run(SLOW_GENERATOR)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*up to 1 Mpps, >= 300 kpps*400 kpps*33.3 %*PASS*", "*440 kpps (a paper)*"])


def test_a_floor_that_is_missed_names_both_sides(run: Run) -> None:
    result = run("--nfv-sim=capacity=200kpps", "-k", "single")
    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    assert "assert 200 kpps (1.34 % of 10GbE) >= 300 kpps (2.02 % of 10GbE)" in text
    assert "FAIL (simulated): forwarding rate 200 kpps < 300 kpps" in text
    assert "reference  440 kpps (a paper)" in text


def test_record_and_rows_have_it(run: Run, pytester: pytest.Pytester) -> None:
    run(SLOW_GENERATOR, "--nfv-report=out", "--benchmark-json=b.json", "-k", "many")
    record = json.loads((pytester.path / "out" / "record.json").read_text())
    (one,) = record["results"][0]["measurements"]
    assert (one["kind"], one["target_pps"], one["rate_pps"]) == ("forwarding_rate", 1e6, 400e3)
    assert one["reference"] == {"source": "a paper", "rate_pps": 440e3}
    assert one["subject"]["topology"] == "1vs1(linux-bridge, raw sockets, sendmmsg/recvmmsg)"
    (row,) = json.loads((pytester.path / "b.json").read_text())["benchmarks"]
    assert row["stats"]["median"] == pytest.approx(1 / 400e3)
    assert (row["stats"]["rounds"], row["extra_info"]["nfv_kind"]) == (3, "forwarding_rate")
    assert row["extra_info"]["nfv_offered_pps"] == pytest.approx(600e3)


def test_a_plan_counts_its_trials(run: Run) -> None:
    result = run("--nfv-plan")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*1vs1(linux-bridge, raw sockets, send/recv) on testbed sim*"])
    result.stdout.fnmatch_lines(["*test_pair*single*3 trials, 3.0 s of load*", "*in all 2 deployments, 6 trials*"])


MARKED = """
    import pytest
    from pytest_nfv import Mpps, SocketPair

    @pytest.mark.throughput(at_least="{at_least}")
    def test_pair(deploy, vswitch):
        deploy(SocketPair(vswitch)).forwarding_rate(1 * Mpps, frame_size=64)
"""


@pytest.mark.parametrize(
    ("at_least", "outcome", "said"),
    [
        ("400kpps", {"passed": 1}, "*>= 400 kpps*400 kpps*PASS*"),
        ("500kpps", {"failed": 1}, "*400 kpps * is less than the marker's at_least=500 kpps*"),
        ("700kpps", {}, "*whether 700 kpps is forwarded was not learnt*"),
    ],
)
def test_the_markers_floor_holds_for_it(
    pytester: pytest.Pytester, at_least: str, outcome: dict[str, int], said: str
) -> None:
    pytester.makepyfile(MARKED.format(at_least=at_least))
    result = pytester.runpytest_subprocess("--nfv-host=sim", SLOW_GENERATOR, "-p", "no:cacheprovider")
    result.assert_outcomes(**outcome)
    result.stdout.fnmatch_lines([said])
