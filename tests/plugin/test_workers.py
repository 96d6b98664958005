"""pytest-xdist, from outside: which worker gets what, what is refused, and what the run leaves."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

SUITE = """
    import os
    import pytest
    from pytest_nfv import P2P, Mpps

    @pytest.mark.parametrize("number", range(3))
    def test_rate(deploy, vswitch, testbed, number, record_property):
        record_property("ran", f"{testbed.name} {os.environ['PYTEST_XDIST_WORKER']}")
        assert deploy(P2P(vswitch)).sustains(1 * Mpps, frame_size=64)
"""
FILE = """
[testbed.a]
kind = "sim"
simulation = "capacity=20Mpps"
[testbed.b]
kind = "sim"
simulation = "capacity=20Mpps"
[testbed.c]
kind = "sim"
simulation = "capacity=20Mpps"
[testbed.near]
kind = "local"
[testbed.nearer]
kind = "local"
"""
# Simulated devices that are taken for machines, `a` and `c` for one: handing out tests needs no more of them.
MACHINES = """
    from pytest_nfv.model.testbed import Testbed
    simulated = Testbed.addresses.fget
    machine = {"a": "dut1", "c": "dut1", "b": "dut2"}
    Testbed.addresses = property(
        lambda one: frozenset({machine[one.name]}) if one.name in machine else simulated(one)
    )
"""
REAL = {"local", "near", "nearer"}


@pytest.fixture
def folder(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(SUITE)
    (pytester.path / "testbeds.toml").write_text(FILE)
    return pytester


def run(folder: pytest.Pytester, hosts: str, *options: str) -> pytest.RunResult:
    given = (f"--nfv-host={hosts}", "--nfv-testbed=testbeds.toml", "-p", "no:cacheprovider")
    return folder.runpytest_subprocess(*given, *options)


def ran(path: Path) -> dict[str, set[str]]:
    """Return the workers of each testbed, as the JUnit file tells."""
    found: dict[str, set[str]] = {}
    for one in ElementTree.parse(path).iter("property"):
        if one.get("name") == "ran":
            testbed, worker = str(one.get("value")).split()
            found.setdefault(testbed, set()).add(worker)
    return found


def test_each_worker_takes_a_testbed_and_one_record_has_it_all(folder: pytest.Pytester) -> None:
    folder.makeconftest(MACHINES)
    result = run(folder, "a,b", "-n", "2", "--nfv-report=out", "--junitxml=j.xml", "-W", "error")
    result.assert_outcomes(passed=6)
    workers = ran(folder.path / "j.xml")
    assert workers["a"] | workers["b"] == {"gw0", "gw1"}
    assert len(workers["a"]) == len(workers["b"]) == 1
    record = json.loads((folder.path / "out" / "record.json").read_text())
    assert record["complete"]
    assert set(record["environment"]["testbed"]) == set(record["environment"]["host"]) == {"a", "b"}
    assert sorted(record["plan"]) == ["a: P2P(linux-bridge)", "b: P2P(linux-bridge)"]
    assert set(record["environment"]["vswitches"]) == {"a/linux-bridge", "b/linux-bridge"}
    assert all(one["outcome"] == "passed" and one["measurements"][0]["trials"] for one in record["results"])
    assert len(record["results"]) == 6
    assert "out/report.html" in {str(one.relative_to(folder.path)) for one in folder.path.glob("out/*")}


def test_testbeds_that_share_a_host_go_to_one_worker(folder: pytest.Pytester) -> None:
    folder.makeconftest(MACHINES)
    run(folder, "a,b,c", "-n", "2", "--junitxml=j.xml").assert_outcomes(passed=9)
    workers = ran(folder.path / "j.xml")
    assert workers["a"] == workers["c"] != workers["b"]
    result = run(folder, "a,b,c", "-n", "3")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*-n 3 with 2 testbeds (b, a and c on one host): *; accepted: -n 2, or 3 testbeds*"]
    )


@pytest.mark.parametrize(("hosts", "workers"), [("local", "2"), ("near,nearer", "3"), ("local,sim", "2")])
def test_more_workers_than_testbeds_are_refused(folder: pytest.Pytester, hosts: str, workers: str) -> None:
    result = run(folder, hosts, "-n", workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    names = " and ".join(name for name in hosts.split(",") if name in REAL)
    assert f"-n {workers} with 1 testbed ({names}" in result.stderr.str()
    assert "workers would measure on the same host at once; accepted: -n 1, or" in result.stderr.str()
    assert "INTERNALERROR" not in result.stdout.str()


def test_as_many_workers_as_there_are_cores_are_counted_too(
    folder: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "2")
    for many in ("auto", "logical"):
        result = run(folder, "local", "-n", many)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert "-n 2 with 1 testbed (local)" in result.stderr.str()


def test_simulated_testbeds_go_anywhere(folder: pytest.Pytester) -> None:
    run(folder, "a", "-n", "2").assert_outcomes(passed=3)


def test_tests_that_take_no_testbed_are_not_refused(folder: pytest.Pytester) -> None:
    folder.makepyfile(test_plain="def test_it(): pass")
    run(folder, "local", "-n", "2", "test_plain.py").assert_outcomes(passed=1)
    run(folder, "local", "-n", "2", "-k", "test_it").assert_outcomes(passed=1)


@pytest.mark.parametrize("how", ["loadgroup", "each"])
def test_other_ways_to_hand_out_are_refused(folder: pytest.Pytester, how: str) -> None:
    folder.makeconftest(MACHINES)
    result = run(folder, "a,b", "-n", "2", f"--dist={how}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert (
        "--dist with 2 testbeds (a, b): workers would share testbeds; accepted: --dist=load" in result.stderr.str()
    )


def test_ids_that_the_controller_would_take_for_another_testbeds_are_refused(folder: pytest.Pytester) -> None:
    folder.makeconftest(MACHINES.replace('"b": "dut2"', '"b": "dut2", "a-linux": "dut2"'))
    (folder.path / "testbeds.toml").write_text(
        FILE + '[testbed.a-linux]\nkind="sim"\nsimulation="capacity=9Mpps"\n'
    )
    result = run(folder, "a,a-linux", "-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "a test's id must begin with its testbed's name, a, and with no other's" in result.stderr.str()


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--nfv-plan", "--nfv-plan with pytest-xdist: accepted: without -n"),
        ("--nfv-report=/proc/absent", "/proc/absent: cannot be made"),
    ],
)
def test_what_a_worker_refuses_is_a_usage_error_of_the_run(
    folder: pytest.Pytester, option: str, text: str
) -> None:
    result = run(folder, "sim", "-n", "2", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert text in result.stderr.str()
    assert "INTERNALERROR" not in result.stdout.str()


def test_benchmark_rows_that_cannot_be_made_are_told_to_who_asks(folder: pytest.Pytester) -> None:
    assert "PytestBenchmarkWarning" not in str(run(folder, "sim", "-n", "1").stderr)
    result = run(folder, "sim", "-n", "1", "--benchmark-json=b.json")
    result.assert_outcomes(passed=3)
    assert "Benchmarks are automatically disabled because xdist plugin is active" in result.stderr.str()
    run(folder, "sim", "-n", "1", "--benchmark-skip").assert_outcomes(skipped=3)


@pytest.mark.parametrize("text", ["10", "-1s", "soon"])
def test_a_lock_timeout_is_a_duration(folder: pytest.Pytester, text: str) -> None:
    result = run(folder, "sim", f"--nfv-lock-timeout={text}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"--nfv-lock-timeout={text}: " in result.stderr.str()
