"""The options of VNFs from outside: where they run, whether they share cores, and what a plan says of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

SUITE = """
    import pytest
    from pytest_nfv import PVP, VNF, Chain, L2Fwd, L3Fwd, kpps

    def test_hosted(deploy, vswitch, vnf_host):
        assert deploy(PVP(vswitch, VNF(L3Fwd(10), host=vnf_host))).sustains(1 * kpps, frame_size=64)

    def test_not_hosted(deploy, vswitch):
        assert deploy(PVP(vswitch, VNF(L2Fwd()))).sustains(1 * kpps, frame_size=64)
"""
CROWD = """
    from pytest_nfv import VNF, Chain, L2Fwd, kpps

    def test_crowd(deploy):
        topology = Chain("linux-bridge", [VNF(L2Fwd())] * 64, placement="spread")
        assert deploy(topology).sustains(1 * kpps, frame_size=64)
"""
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a suite in a process of its own, as a user does."""
    for name in ("PYTEST_NFV_VNF_HOST", "PYTEST_NFV_OVERSUBSCRIBE"):
        monkeypatch.delenv(name, raising=False)

    def go(suite: str, *options: str, host: str = "sim") -> pytest.RunResult:
        pytester.makepyfile(suite)
        return pytester.runpytest_subprocess(f"--nfv-host={host}", "-p", "no:cacheprovider", *options)

    return go


def ids(result: pytest.RunResult) -> list[str]:
    return [line.partition("::")[2] for line in result.stdout.lines if "::" in line and " " not in line]


def test_vnfs_run_in_a_namespace_unless_more_is_said(run: Run) -> None:
    result = run(SUITE, "--collect-only", "-q")
    assert ids(result) == ["test_hosted[sim-linux-bridge-namespace]", "test_not_hosted[sim-linux-bridge]"]


@pytest.mark.parametrize("options", [["--nfv-vnf-host=lxc,vm"], ["--nfv-vnf-host=lxc", "--nfv-vnf-host=vm"]])
def test_a_test_that_takes_the_host_runs_once_for_each(run: Run, options: list[str]) -> None:
    result = run(SUITE, "--collect-only", "-q", *options)
    assert sorted(ids(result)) == [
        "test_hosted[sim-linux-bridge-lxc]",
        "test_hosted[sim-linux-bridge-vm]",
        "test_not_hosted[sim-linux-bridge]",
    ]
    run(SUITE, *options).assert_outcomes(passed=3)


def test_a_host_named_twice_counts_once(run: Run) -> None:
    run(SUITE, "--nfv-vnf-host=vm,lxc,vm").assert_outcomes(passed=3)


def test_ini_and_environment_are_its_twins(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\nnfv_vnf_host = lxc\n")
    assert "test_hosted[sim-linux-bridge-lxc]" in ids(run(SUITE, "--collect-only", "-q"))
    monkeypatch.setenv("PYTEST_NFV_VNF_HOST", "vm")
    assert "test_hosted[sim-linux-bridge-vm]" in ids(run(SUITE, "--collect-only", "-q"))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("docker", "--nfv-vnf-host=docker: 'docker': accepted: namespace, lxc, vm"),
        ("vm,VM", "--nfv-vnf-host=vm,VM: 'VM': accepted: namespace, lxc, vm"),
        (",", "--nfv-vnf-host=,: nothing is named; accepted: one name or more, separated by commas"),
    ],
)
def test_a_wrong_host_is_named_before_anything_runs(run: Run, value: str, says: str) -> None:
    result = run(SUITE, f"--nfv-vnf-host={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert says in result.stderr.str()


def test_own_hosts_of_a_test_are_selected_from(run: Run) -> None:
    suite = """
        import pytest
        from pytest_nfv import PVP, VNF, L2Fwd, kpps
        @pytest.mark.parametrize("vnf_host", ["namespace", "lxc", "vm"])
        def test_own(deploy, vswitch, vnf_host):
            assert deploy(PVP(vswitch, VNF(L2Fwd(), host=vnf_host))).sustains(1 * kpps, frame_size=64)
    """
    run(suite).assert_outcomes(passed=3)
    run(suite, "--nfv-vnf-host=lxc").assert_outcomes(passed=1, deselected=2)


def test_too_few_cores_skip_with_the_remedy(run: Run) -> None:
    result = run(CROWD, "-rs", "--nfv-plan", host="local")
    result.assert_outcomes(skipped=1)
    text = " ".join(result.stdout.str().split())
    assert "takes 64 device cores beside core" in text
    assert "--nfv-oversubscribe" in text


def test_too_few_cores_fail_where_they_are_required(run: Run) -> None:
    result = run(CROWD, "--nfv-plan", "--nfv-require=cores", host="local")
    assert result.ret != pytest.ExitCode.OK
    assert "planned" not in result.stdout.str()
    assert "device cores beside core" in " ".join((result.stdout.str() + result.stderr.str()).split())


def test_oversubscribed_runs_say_so(run: Run) -> None:
    result = run(CROWD, "--nfv-plan", "--nfv-oversubscribe", host="local")
    assert result.ret == 0
    text = result.stdout.str()
    assert "1 planned" in text
    assert "note: oversubscribed: Chain(linux-bridge" in text
    assert "is shared by" in text


@pytest.mark.parametrize(("value", "planned"), [("yes", True), ("no", False)])
def test_oversubscription_by_ini(run: Run, pytester: pytest.Pytester, value: str, planned: bool) -> None:
    pytester.makeini(f"[pytest]\nnfv_oversubscribe = {value}\n")
    assert ("1 planned" in run(CROWD, "--nfv-plan", host="local").stdout.str()) is planned


def test_a_plan_counts_deployments_that_differ_in_memory(run: Run) -> None:
    suite = """
        import pytest
        from pytest_nfv import PVP, VNF, L2Fwd, kpps
        @pytest.mark.parametrize(("engine", "memory"), [("auto", 0), ("numpy", 0), ("numpy", 64), ("numpy", 128)])
        def test_it(deploy, engine, memory):
            assert deploy(PVP("ovs-dpdk", VNF(L2Fwd(), engine=engine, memory_mib=memory))).sustains(1 * kpps)
    """
    text = run(suite, "--nfv-plan", host="local").stdout.str()
    assert "in all 3 deployments, " in text
    assert "by numpy in namespace, 128 MiB) on testbed local" in text


def test_a_plan_says_where_each_vnf_would_be(run: Run) -> None:
    suite = """
        from pytest_nfv import PVP, VNF, Chain, Colocated, L2Fwd, L3Fwd, kpps
        def test_chain(deploy):
            traffic = deploy(Chain("ovs-dpdk", [VNF(L2Fwd()), VNF(L3Fwd(10), host="vm")]))
            assert traffic.sustains(1 * kpps, frame_size=64)
            assert traffic.bottleneck() is None
        def test_beside(deploy):
            deploy(Colocated(PVP("linux-bridge", VNF(L2Fwd())), 2)).throughput(frame_size=64)
    """
    result = run(suite, "--nfv-plan", host="local")
    assert result.ret == 0
    text = result.stdout.str()
    assert "2 planned" in text
    assert (
        "Chain(ovs-dpdk, L2Fwd by numpy in namespace > L3Fwd(10 routes) by kernel in vm) on testbed local" in text
    )
    result.stdout.re_match_lines(
        [
            r"\s+device ovs-dpdk on core .*; 2 generator ports",
            r"\s+vnf0 L2Fwd by numpy in namespace on core \d+",
            r"\s+vnf1 L3Fwd\(10 routes\) by kernel in vm on core \d+",
            r"\s+2 x PVP\(linux-bridge, L2Fwd by kernel in namespace\) on testbed local.*",
            r"\s+device linux-bridge on core .*; 4 generator ports",
        ]
    )
