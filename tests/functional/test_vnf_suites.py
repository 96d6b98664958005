"""The papers' suites with VNFs, as users run them: in namespaces, in LXC containers and in a virtual machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pytest_nfv.deployment import capabilities
from pytest_nfv.errors import CapabilityMissing

pytestmark = pytest.mark.usefixtures("nothing_left")

ROOT = Path(__file__).parents[2]
# S1, S2, S3 and S4, S5, S7, S8, S9, T6.
EVERY = (
    "baseline",
    "traffic_mix",
    "bottleneck",
    "chain",
    "colocation",
    "latency_by_load",
    "latency_by_chain",
    "cpu_cost",
)
SHORT = ("--nfv-duration=50ms", "--nfv-retry-invalid=20", "--nfv-frame-size=64", "--benchmark-disable")
# What a machine of two cores cannot judge, and no VNF outside a VM; anything else that is skipped did not run.
CANNOT = ("cores: ", "memory: ", "next to nothing of ", "vnf0 polls", "core 0 is shared by ")


@dataclass(frozen=True)
class Ran:
    """What a run of suites came to: tests passed by suite, reasons of skips, and what was printed."""

    passed: Counter[str]
    skipped: list[str]
    out: str


def run(folder: Path, suites: tuple[str, ...], *options: str) -> Ran:
    """Run suites with short trials; nothing fails, and what is skipped is what two cores cannot tell."""
    files = [str(ROOT / "perf_tests" / f"test_{name}.py") for name in suites]
    found = folder.parent / "junit.xml"
    argv = [
        sys.executable,
        "-m",
        "pytest",
        *files,
        *SHORT,
        *options,
        "-p",
        "no:cacheprovider",
        "-p",
        "no:hypothesispytest",
        f"--junitxml={found}",
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(
        argv,
        cwd=ROOT,
        env=environment | {"XDG_CACHE_HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-16_000:] + done.stderr
    passed, skipped = Counter[str](), []
    for case in ElementTree.parse(found).iter("testcase"):
        reason = case.find("skipped")
        if reason is None:
            passed[case.get("classname", "").rpartition(".test_")[2]] += 1
        else:
            skipped.append(reason.get("message", "").removeprefix("Skipped: "))
    assert [reason for reason in skipped if not reason.startswith(CANNOT)] == []
    return Ran(passed, skipped, done.stdout)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache of its own, but for the kernel of guests, which is large."""
    folder = tmp_path / "cache"
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pytest-nfv" / "vm"
    kept.mkdir(parents=True, exist_ok=True)
    (folder / "pytest-nfv").mkdir(parents=True)
    (folder / "pytest-nfv" / "vm").symlink_to(kept)
    return folder


def test_every_suite_in_namespaces(needs: Callable[[str], None], cache: Path) -> None:
    needs("nftables")
    ran = run(cache, EVERY, "--nfv-vswitch=linux-bridge")
    assert set(ran.passed) == set(EVERY)
    assert sum(ran.passed.values()) >= 25
    for source in ("S16 table 1", "S16 4.1", "S16 4.2", "S16 table 2", "S16 figure 8", "S17 figure 5", "T20 4.6"):
        assert f"({source}" in ran.out, f"no figure of {source} stands beside"


def test_every_suite_on_vhost_user(needs: Callable[[str], None], cache: Path) -> None:
    """A deployment takes seconds here: what only varies what another test has is left out."""
    needs("ovs-dpdk")
    repeated = "scaling or memory or GiB or alone or sustain or 2vs2 or 4vs4 or Firewall-64"
    ran = run(cache, EVERY, "--nfv-vswitch=ovs-dpdk", "-k", f"not ({repeated})")
    assert set(ran.passed) == set(EVERY)
    assert sum(ran.passed.values()) >= 18


def test_a_chain_and_its_cost_on_testpmd(needs: Callable[[str], None], cache: Path) -> None:
    needs("testpmd")
    suites = ("chain", "cpu_cost")
    options = ("--nfv-vswitch=testpmd,basicfwd", "-k", "(L2Fwd and testpmd) or polling or (1vs1 and basicfwd)")
    ran = run(cache, suites, *options)
    assert ran.passed == {"chain": 1, "cpu_cost": 4}


def test_a_chain_of_containers(needs: Callable[[str], None], cache: Path) -> None:
    needs("nftables")
    needs("lxc")
    options = ("--nfv-vswitch=linux-bridge,ovs-dpdk", "--nfv-vnf-host=lxc", "-k", "not faster")
    assert run(cache, ("chain",), *options).passed["chain"] == 6


def test_a_baseline_in_a_virtual_machine(needs: Callable[[str], None], cache: Path) -> None:
    needs("vm")
    options = ("--nfv-vswitch=linux-bridge", "--nfv-vnf-host=vm", "-k", "L3Fwd and not sustains")
    ran = run(cache, ("baseline",), *options)
    assert ran.passed["baseline"] == 1
    assert ("runs under TCG" in ran.out) is not has("kvm")


def has(capability: str) -> bool:
    try:
        capabilities.probe(capability)
    except CapabilityMissing:
        return False
    return True
