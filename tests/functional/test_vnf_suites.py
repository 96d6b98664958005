"""The papers' suites with VNFs, as users run them: in namespaces, in LXC containers and in a virtual machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_nfv.deployment import capabilities
from pytest_nfv.errors import CapabilityMissing

pytestmark = pytest.mark.usefixtures("nothing_left")

ROOT = Path(__file__).parents[2]
EVERY = ["baseline", "traffic_mix", "bottleneck", "chain", "colocation", "latency_by_load", "latency_by_chain"]
SHORT = ["--nfv-duration=50ms", "--nfv-retry-invalid=10", "--nfv-frame-size=64", "--benchmark-disable"]


def run(folder: Path, suites: list[str], *options: str) -> str:
    """Run suites with short trials; return what was printed."""
    files = [str(ROOT / "perf_tests" / f"test_{name}.py") for name in suites]
    argv = [sys.executable, "-m", "pytest", *files, *SHORT, *options, "-p", "no:cacheprovider"]
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
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    return done.stdout


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache of its own, but for the kernel of guests, which is large."""
    folder = tmp_path / "cache"
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pytest-nfv" / "vm"
    kept.mkdir(parents=True, exist_ok=True)
    (folder / "pytest-nfv").mkdir(parents=True)
    (folder / "pytest-nfv" / "vm").symlink_to(kept)
    return folder


def passed(out: str) -> int:
    """Return how many tests passed; none was skipped."""
    last = out.strip().splitlines()[-1]
    assert "skipped" not in last, out[-3000:]
    found = re.search(r"(\d+) passed", last)
    assert found, out[-3000:]
    return int(found[1])


def test_every_suite_in_namespaces(needs: Callable[[str], None], cache: Path) -> None:
    needs("nftables")
    assert passed(run(cache, EVERY, "--nfv-vswitch=linux-bridge")) >= 20


def test_chains_on_vhost_user(needs: Callable[[str], None], cache: Path) -> None:
    needs("ovs-dpdk")
    assert passed(run(cache, ["chain", "colocation"], "--nfv-vswitch=ovs-dpdk")) >= 7


def test_a_chain_of_containers(needs: Callable[[str], None], cache: Path) -> None:
    needs("nftables")
    needs("lxc")
    out = run(cache, ["chain"], "--nfv-vswitch=linux-bridge,ovs-dpdk", "--nfv-vnf-host=lxc", "-k", "not faster")
    assert passed(out) >= 6


def test_a_baseline_in_a_virtual_machine(needs: Callable[[str], None], cache: Path) -> None:
    needs("vm")
    out = run(
        cache, ["baseline"], "--nfv-vswitch=linux-bridge", "--nfv-vnf-host=vm", "-k", "L3Fwd and not sustains"
    )
    assert passed(out) == 1
    assert ("runs under TCG" in out) is not has("kvm")


def has(capability: str) -> bool:
    try:
        capabilities.probe(capability)
    except CapabilityMissing:
        return False
    return True
