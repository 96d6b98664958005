"""The plugin from outside: what a user's test file gets, on the simulated device."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

SUITE = """
    import pytest
    from pytest_nfv import P2P, Mpps, kpps, line_rate

    @pytest.mark.line_rate
    @pytest.mark.parametrize("frame_size", [64, 1518])
    def test_line_rate(deploy, vswitch, link, frame_size):
        assert deploy(P2P(vswitch)).sustains(line_rate(link, frame_size))

    @pytest.mark.throughput
    def test_throughput(deploy, vswitch):
        assert deploy(P2P(vswitch)).throughput(frame_size=64) >= 9 * Mpps
"""

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run a suite in a process of its own, as a user does."""

    def go(suite: str, *options: str, host: str = "sim") -> pytest.RunResult:
        pytester.makepyfile(suite)
        return pytester.runpytest_subprocess(f"--nfv-host={host}", "-p", "no:cacheprovider", *options)

    return go


def test_a_device_that_is_fast_enough_passes(run: Run) -> None:
    result = run(SUITE, "--nfv-sim=capacity=20Mpps")
    result.assert_outcomes(passed=3)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*testbed sim, line rate 10GbE*", "*dataplane*", "*100 %*PASS*", "*simulated*"])


def test_a_device_that_is_too_slow_fails_and_says_where_and_why(run: Run) -> None:
    result = run(SUITE, "--nfv-sim=capacity=7Mpps")
    result.assert_outcomes(failed=2, passed=1)
    assert result.ret == 1
    text = result.stdout.str()
    assert "FAIL (simulated): forwarded 7 Mpps of 14.88 Mpps" in text
    assert "ring full (simulated)" in text
    assert "what would have to change" in text
    assert "pytest_nfv/" not in text.split("FAILURES")[1].split("dataplane")[0], (
        "a traceback went through the plugin"
    )


def test_the_failure_of_a_comparison_names_both_sides(run: Run) -> None:
    result = run(SUITE, "-k", "throughput", "--nfv-sim=capacity=7Mpps")
    result.stdout.re_match_lines([r"E .*assert .*Mpps \(4\d(\.\d)? % of 10GbE\) >= 9 Mpps \(60.5 % of 10GbE\)"])


def test_a_generator_that_is_too_slow_is_invalid_never_a_failure(run: Run, pytester: pytest.Pytester) -> None:
    result = run(SUITE, "--nfv-sim=capacity=20Mpps,generator=3Mpps", "-k", "line_rate", "--junitxml=j.xml")
    assert result.ret == 1
    text = result.stdout.str()
    assert "1 passed" in text
    assert "1 invalid" in text
    assert " failed" not in text.splitlines()[-1]
    assert "INVALID" in text
    assert "the generator offered" in text
    assert "INVALID" in (pytester.path / "j.xml").read_text()


def test_invalid_has_a_letter_and_a_word(run: Run) -> None:
    slow = "--nfv-sim=capacity=20Mpps,generator=3Mpps"
    assert ".py I" in run(SUITE, slow, "-k", "line_rate and 64").stdout.str()
    assert "INVALID" in run(SUITE, slow, "-v", "-k", "line_rate and 64").stdout.str()


def test_the_record_holds_every_trial(run: Run, pytester: pytest.Pytester) -> None:
    result = run(SUITE, "--nfv-report=out", "--nfv-sim=capacity=7Mpps")
    folder = pytester.path / "out"
    record = json.loads((folder / "record.json").read_text())
    assert record["schema"] == "pytest-nfv/1"
    assert record["complete"] is True
    assert {one["outcome"] for one in record["results"]} == {"passed", "failed"}
    trials = [trial for one in record["results"] for each in one["measurements"] for trial in each["trials"]]
    assert trials
    assert all(trial["simulated"] for trial in trials)
    assert len(list((folder / "history").glob("*.json"))) == 1
    assert not list(folder.rglob("*.tmp"))
    assert "record.json" in result.stdout.str()


def test_junit_carries_the_figures_with_their_units(run: Run, pytester: pytest.Pytester) -> None:
    run(SUITE, "--junitxml=j.xml", "--nfv-sim=capacity=20Mpps", "-o", "junit_family=xunit1")
    text = (pytester.path / "j.xml").read_text()
    assert "_pps" in text
    assert "frame_size_octets" in text


def test_benchmark_rows_are_seconds_per_frame(run: Run, pytester: pytest.Pytester) -> None:
    run(SUITE, "--benchmark-json=b.json", "--nfv-sim=capacity=7Mpps", "-k", "64 or throughput")
    rows = json.loads((pytester.path / "b.json").read_text())["benchmarks"]
    assert {row["name"] for row in rows} == {
        "test_line_rate[sim-linux-bridge-64]",
        "test_throughput[sim-linux-bridge]",
    }
    for row in rows:
        assert row["stats"]["median"] == pytest.approx(1 / 7e6, rel=0.01)
        assert row["options"]["timer"] == "seconds_per_frame"


def test_benchmark_compare_fails_on_lost_throughput(run: Run) -> None:
    one = ("-k", "test_throughput", "--benchmark-storage=file://./store")
    run(SUITE, *one, "--benchmark-save=first", "--nfv-sim=capacity=14Mpps").assert_outcomes(passed=1)
    result = run(
        SUITE, *one, "--benchmark-compare", "--benchmark-compare-fail=median:10%", "--nfv-sim=capacity=10Mpps"
    )
    assert result.ret != 0
    assert "Performance has regressed" in result.stdout.str() + result.stderr.str()


def test_benchmark_selection_counts_our_tests(run: Run) -> None:
    run(SUITE, "--benchmark-only").assert_outcomes(passed=3)
    run(SUITE, "--benchmark-skip").assert_outcomes(skipped=3)


def test_several_measurements_of_a_test_get_a_row_each(run: Run, pytester: pytest.Pytester) -> None:
    suite = """
        from pytest_nfv import P2P, Mpps
        def test_two(deploy, vswitch):
            traffic = deploy(P2P(vswitch))
            assert traffic.sustains(2 * Mpps, frame_size=64)
            assert traffic.sustains(1 * Mpps, frame_size=512)
    """
    run(suite, "--benchmark-json=b.json")
    rows = json.loads((pytester.path / "b.json").read_text())["benchmarks"]
    assert [row["name"] for row in rows] == ["test_two[sim-linux-bridge]", "test_two[sim-linux-bridge] #2"]


def test_a_run_without_pytest_benchmark_works(run: Run) -> None:
    run(SUITE, "-p", "no:benchmark").assert_outcomes(passed=3)


def test_the_plan_touches_nothing(run: Run, pytester: pytest.Pytester) -> None:
    result = run(SUITE, "--nfv-plan", "--nfv-report=out", host="local")
    assert result.ret == 0
    text = result.stdout.str()
    assert "3 planned" in text
    assert "P2P(linux-bridge) on testbed local" in text
    assert "predicted time" in text
    assert not (pytester.path / "out").exists()


def test_what_a_planned_test_makes_of_planned_figures_does_not_matter(run: Run) -> None:
    suite = """
        import pytest
        from pytest_nfv import P2P

        def test_wrong(deploy, vswitch):
            assert not deploy(P2P(vswitch)).sustains("1Mpps", frame_size=64)

        def test_not_to_be_judged(deploy, vswitch):
            deploy(P2P(vswitch)).sustains("1Mpps", frame_size=64)
            pytest.skip("nothing was lost")

        def test_not_here(deploy, vswitch):
            pytest.skip("not on this machine")
    """
    text = run(suite, "--nfv-plan", "-rs").stdout.str()
    assert "1 skipped, 2 planned" in text
    assert "not on this machine" in text


def test_markers_set_goals_and_thresholds(run: Run) -> None:
    suite = """
        import pytest
        from pytest_nfv import P2P, Mpps

        @pytest.mark.throughput(at_least="9Mpps")
        def test_floor(deploy, vswitch):
            deploy(P2P(vswitch)).throughput(frame_size=64)

        @pytest.mark.latency(p99="1us")
        def test_limit(deploy, vswitch):
            deploy(P2P(vswitch)).latency(1 * Mpps, frame_size=64)

        @pytest.mark.line_rate(loss_ratio="60%")
        def test_generous(deploy, vswitch):
            assert deploy(P2P(vswitch)).sustains(14 * Mpps, frame_size=64)
    """
    result = run(suite, "--nfv-sim=capacity=7Mpps")
    result.assert_outcomes(failed=2, passed=1)
    text = result.stdout.str()
    assert "at_least=9 Mpps" in text
    assert "latency p99 is" in text


@pytest.mark.parametrize(
    ("marker", "says"),
    [
        ("line_rate(loss=0)", "does not take loss=; accepted: duration, duration_sum, exceed_ratio, loss_ratio"),
        ("line_rate(0.5)", "does not take positional 0.5"),
        ("throughput(at_least='fast')", "marker argument at_least='fast'"),
        ("latency(p99='1')", "marker argument p99='1'"),
        ("throughput(method='guess')", "search 'guess': accepted: rfc2544"),
    ],
)
def test_a_wrong_marker_stops_the_run_before_it_starts(run: Run, marker: str, says: str) -> None:
    suite = f"""
        import pytest
        from pytest_nfv import P2P
        @pytest.mark.{marker}
        def test_it(deploy, vswitch):
            deploy(P2P(vswitch))
    """
    result = run(suite)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert says in result.stderr.str()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("deploy(P2P(vswitch)).sustains(0 * kpps, frame_size=64)", "accepted: a packet rate above 0"),
        ("deploy(P2P(vswitch)).sustains(1 * kpps, frame_size=63)", "frame size 63: accepted: 64 to"),
        ("deploy(P2P(vswitch)).sustains(1 * kpps, frame_size=1519)", "MTU 1500; accepted: 64 to 1518"),
        ("deploy(P2P(vswitch)).sustains(1 * kpps)", "frame_size is not given"),
        ("deploy(P2P(vswitch)).sustains(400, frame_size=64)", "packet rate 400"),
        ("deploy(P2P(vswitch)).throughput(frame_size=64) > 400", "cannot compare"),
        ("deploy('P2P')", "accepted: a topology"),
        ("deploy(P2P)", "accepted: a topology"),
        ("deploy(P2P('ovz'))", "vSwitch 'ovz': accepted: basicfwd, linux-bridge"),
        ("deploy(P2P(vswitch)).sustains(1 * kpps, frame_size=64, burst='x')", "burst 'x': accepted"),
        ("deploy(P2P(vswitch)).sustains(1 * kpps, frame_size=64, frame=b'x')", "accepted"),
        (
            "deploy(P2P(vswitch)).throughput(frame_size=64, at_most='1kpps') >= 2 * kpps",
            "above all that was searched",
        ),
        ("P2P(7)", "accepted: a VSwitch or a switch's name"),
        ("deploy(P2P(vswitch)).sustains(1 * kpps, frame_size=64, loss_ratio=2)", "ratio 2"),
    ],
)
def test_wrong_arguments_are_explained_without_the_plugins_insides(run: Run, body: str, says: str) -> None:
    suite = f"""
        from pytest_nfv import P2P, kpps
        def test_it(deploy, vswitch):
            {body}
    """
    result = run(suite)
    result.assert_outcomes(errors=1)
    text = result.stdout.str()
    assert says in text
    assert "pytest_nfv/deployment" not in text
    assert "contextlib" not in text


def test_frame_sizes_select_and_parametrise(run: Run) -> None:
    suite = """
        import pytest
        from pytest_nfv import P2P, kpps
        @pytest.mark.parametrize("frame_size", [64, 128, 1518])
        def test_own(deploy, vswitch, frame_size):
            assert deploy(P2P(vswitch)).sustains(1 * kpps)
        def test_taken(deploy, vswitch, frame_size):
            assert deploy(P2P(vswitch)).sustains(1 * kpps)
    """
    run(suite).assert_outcomes(passed=6)
    run(suite, "--nfv-frame-size=128,256").assert_outcomes(passed=3, deselected=2)


def test_several_hosts_parametrise(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makefile(".toml", lab="[testbed.other]\nkind = 'sim'\nsimulation = { capacity = '1Mpps' }\n")
    result = run(SUITE, "--nfv-host=other", "--nfv-testbed=lab.toml", "-k", "throughput", "-v")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*test_throughput[[]sim-linux-bridge[]]*", "*test_throughput[[]other-linux-bridge[]]*"]
    )


def test_a_users_own_fixture_of_the_same_name_is_left_alone(run: Run) -> None:
    suite = """
        import pytest
        @pytest.fixture
        def hosts():
            return ["a"]
        @pytest.fixture
        def link():
            return "b"
        def test_own(hosts, link):
            assert hosts == ["a"] and link == "b"
    """
    result = run(suite)
    result.assert_outcomes(passed=1)
    assert "testbed" not in result.stdout.str()


def test_ini_and_environment_are_twins(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\nnfv_sim = capacity=7Mpps\n")
    run(SUITE, "-k", "line_rate and 64").assert_outcomes(failed=1)
    monkeypatch.setenv("PYTEST_NFV_SIM", "capacity=20Mpps")
    run(SUITE, "-k", "line_rate and 64").assert_outcomes(passed=1)


def test_xdist_reports_and_records_like_one_process(run: Run, pytester: pytest.Pytester) -> None:
    result = run(
        SUITE, "-n", "2", "--nfv-report=out", "--nfv-sim=capacity=20Mpps,generator=3Mpps", "-p", "no:benchmark"
    )
    assert result.ret == 1
    text = result.stdout.str()
    assert "2 invalid" in text
    assert "dataplane" in text
    record = json.loads((pytester.path / "out" / "record.json").read_text())
    assert sorted(one["outcome"] for one in record["results"]) == ["invalid", "invalid", "passed"]
    assert set(record["environment"]["testbed"]) == {"sim"}
    assert len(list((pytester.path / "out" / "history").glob("*.json"))) == 1


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_the_plan_can_be_asked_for_in_the_environment(
    run: Run, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("PYTEST_NFV_PLAN", value)
    assert "3 planned" in run(SUITE).stdout.str()


def test_what_a_flag_does_not_take_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_NFV_PLAN", "maybe")
    result = run(SUITE)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "$PYTEST_NFV_PLAN=maybe: accepted: yes or no" in result.stderr.str()


def test_an_empty_choice_is_refused_not_skipped(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess("--nfv-host=,", "--nfv-require=netns")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "nothing is named" in result.stderr.str()


@pytest.mark.parametrize("marker", ["throughput(at_least='1Mpps')", "latency(p99='1ms')"])
def test_a_threshold_that_nothing_was_held_against_fails(run: Run, marker: str) -> None:
    suite = f"""
        import pytest
        from pytest_nfv import P2P
        @pytest.mark.{marker}
        def test_it(deploy, vswitch):
            deploy(P2P(vswitch))
    """
    result = run(suite)
    result.assert_outcomes(failed=1)
    assert "declares a threshold, and the test measured no" in result.stdout.str()


def test_an_own_assertion_on_latency_is_explained_too(run: Run) -> None:
    suite = """
        from pytest_nfv import P2P, Mpps
        def test_it(deploy, vswitch):
            assert deploy(P2P(vswitch)).latency(1 * Mpps, frame_size=64).p99_us < 5
    """
    result = run(suite)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*assert 20.* < 5", "*latency p50*"])


def test_a_generators_limit_is_not_the_devices_failure_anywhere(run: Run, pytester: pytest.Pytester) -> None:
    result = run(SUITE, "-k", "test_throughput", "--nfv-sim=generator=3Mpps", "--nfv-report=out")
    assert "1 invalid" in result.stdout.str()
    record = json.loads((pytester.path / "out" / "record.json").read_text())
    (entry,) = record["results"]
    assert entry["outcome"] == "invalid"
    assert entry["measurements"][0]["verdict"] == "INVALID"


def test_what_went_wrong_after_an_error_is_told_with_it(run: Run) -> None:
    result = run(
        """
        import pytest
        from pytest_nfv.errors import CapabilityMissing, DeploymentError, noted

        @pytest.fixture(params=[DeploymentError("no switch"), CapabilityMissing("kvm", "no /dev/kvm", "get one")])
        def device(request):
            with noted(request.param):
                raise DeploymentError("a namespace stays")
            raise request.param

        def test_it(device, deploy):
            pass
    """,
        "-rs",
    )
    result.assert_outcomes(errors=1, skipped=1)
    result.stdout.fnmatch_lines(["DeploymentError: no switch", "and then: a namespace stays"])
    result.stdout.fnmatch_lines(["SKIPPED*: kvm: no /dev/kvm; get one", "and then: a namespace stays"])
