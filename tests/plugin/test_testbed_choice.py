"""`--nfv-host` and its twins: names, several, tags, and what is said of those that there are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SUITE = """
    def test_here(testbed):
        assert testbed.kind == "lab"

    def test_switch(testbed, vswitch):
        assert vswitch.name in testbed.vswitches
"""
EXAMPLE = Path(__file__).parents[2] / "fixtures" / "testbeds" / "three-nodes.toml"
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a suite in a process of its own; the example's testbeds are known."""
    for name in ("PYTEST_NFV_HOST", "PYTEST_NFV_TESTBED", "PYTEST_NFV_REQUIRE"):
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile(SUITE)

    def go(*options: str) -> pytest.RunResult:
        return pytester.runpytest_subprocess(f"--nfv-testbed={EXAMPLE}", "-p", "no:cacheprovider", *options)

    return go


def ids(result: pytest.RunResult) -> set[str]:
    return {line.partition("::")[2] for line in result.stdout.lines if "::" in line and " " not in line}


ALONE = {"test_here[alone]", "test_switch[alone-linux-bridge]", "test_switch[alone-ovs]"}
ACROSS = {"test_here[across]", "test_switch[across-linux-bridge]"}


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--nfv-host=alone"], ALONE),
        (["--nfv-host=alone,across"], ALONE | ACROSS),
        (["--nfv-host=across", "--nfv-host=alone", "--nfv-host=across"], ALONE | ACROSS),
        (["--nfv-host=tag:x710"], ALONE | ACROSS),
        (["--nfv-host=tag:x710,alone"], ALONE | ACROSS),
    ],
)
def test_names_and_tags_make_the_runs(run: Run, options: list[str], found: set[str]) -> None:
    result = run("--collect-only", "-q", *options)
    assert ids(result) == found
    assert len([line for line in result.stdout.lines if "::" in line]) == len(found)


def test_each_testbed_runs_with_the_switches_that_it_lists(run: Run) -> None:
    run("--nfv-host=tag:x710").assert_outcomes(passed=5)


def test_ini_and_environment_are_its_twins(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\nnfv_host = tag:x710\n")
    assert ids(run("--collect-only", "-q")) == ALONE | ACROSS
    monkeypatch.setenv("PYTEST_NFV_HOST", "alone")
    assert ids(run("--collect-only", "-q")) == ALONE


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("dut9", "--nfv-host=dut9: unknown host 'dut9'; known: local, sim, across, alone"),
        ("tag:e810", "--nfv-host=tag:e810: unknown tag 'e810'; known: x710 (hosts in"),
        ("tag:", "--nfv-host=tag:: unknown tag ''; known: x710"),
        (",", "--nfv-host=,: nothing is named"),
    ],
)
def test_what_there_is_not(run: Run, value: str, says: str) -> None:
    result = run(f"--nfv-host={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert says in result.stderr.str()


def test_no_tags_at_all(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess("--nfv-host=tag:x", "-p", "no:cacheprovider")
    assert "unknown tag 'x'; known: none" in result.stderr.str()
