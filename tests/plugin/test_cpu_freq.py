"""`cpu_freq` and `--nfv-cpu-freq` from outside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SUITE = """
    from pytest_nfv import P2P, GHz, kpps

    def test_clocked(deploy, cpu_freq):
        assert cpu_freq is None or cpu_freq >= 1 * GHz
        assert deploy(P2P("linux-bridge")).sustains(1 * kpps, frame_size=64)

    def test_not_clocked(deploy):
        assert deploy(P2P("linux-bridge")).sustains(1 * kpps, frame_size=64)
"""
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a suite in a process of its own, as a user does."""
    monkeypatch.delenv("PYTEST_NFV_CPU_FREQ", raising=False)

    def go(*options: str, suite: str = SUITE, host: str = "sim") -> pytest.RunResult:
        pytester.makepyfile(suite)
        return pytester.runpytest_subprocess(f"--nfv-host={host}", "-p", "no:cacheprovider", *options)

    return go


def ids(result: pytest.RunResult) -> list[str]:
    return [line.partition("::")[2] for line in result.stdout.lines if "::" in line and " " not in line]


def test_without_the_option_a_suite_runs_as_it_is(run: Run) -> None:
    assert ids(run("--collect-only", "-q")) == ["test_clocked[sim-clock-as-it-is]", "test_not_clocked[sim]"]
    run().assert_outcomes(passed=2)


def test_a_test_that_takes_it_runs_once_for_each(run: Run) -> None:
    result = run("--collect-only", "-q", "--nfv-cpu-freq=1.2GHz,1600 MHz", "--nfv-cpu-freq=2.4GHz,1200MHz")
    assert ids(result) == [
        "test_clocked[sim-1.2GHz]",
        "test_clocked[sim-1.6GHz]",
        "test_clocked[sim-2.4GHz]",
        "test_not_clocked[sim]",
    ]


def test_a_plan_has_each_clock_and_touches_none(run: Run) -> None:
    assert "3 planned" in run("--nfv-plan", "--nfv-cpu-freq=1.2GHz,1.6GHz", host="local").stdout.str()


def test_ini_and_environment_are_its_twins(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\nnfv_cpu_freq = 1.2GHz\n")
    assert "test_clocked[sim-1.2GHz]" in ids(run("--collect-only", "-q"))
    monkeypatch.setenv("PYTEST_NFV_CPU_FREQ", "1.6GHz")
    assert "test_clocked[sim-1.6GHz]" in ids(run("--collect-only", "-q"))


@pytest.mark.parametrize("wrong", ["fast", "1.2", "0GHz", "1.2GHz,x"])
def test_a_wrong_frequency_is_a_usage_error(run: Run, wrong: str) -> None:
    result = run(f"--nfv-cpu-freq={wrong}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "accepted: such as 1.2GHz, 1600MHz, 2400000kHz" in result.stderr.str()


def test_where_it_may_not_be_changed_it_skips_with_the_line_to_add(run: Run, pytester: pytest.Pytester) -> None:
    result = run("--nfv-cpu-freq=1.2GHz", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    assert "testbed sim is simulated" in result.stdout.str()
    Path(pytester.path, "lab.toml").write_text('[testbed.bench]\nkind = "local"\n')
    result = run("--nfv-cpu-freq=1.2GHz", "-rs", "-k", "test_clocked", "--nfv-testbed=lab.toml", host="bench")
    result.assert_outcomes(skipped=1, deselected=1)
    assert 'add may_change = ["cpu-frequency"] to [testbed.bench] in lab.toml' in result.stdout.str()
