"""The main job for real: frames through a bridge, and everything that can go wrong on the way."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_nfv.errors import CapabilityMissing
from tests.functional.conftest import Suite, namespaces, processes_of_runs, wait_for

SUITE = """
import pytest
from pytest_nfv import P2P, line_rate

@pytest.mark.line_rate
@pytest.mark.parametrize("frame_size", [64, 1518])
def test_line_rate(deploy, vswitch, link, frame_size):
    assert deploy(P2P(vswitch)).sustains(line_rate(link, frame_size))

@pytest.mark.line_rate
def test_both_ways(deploy, vswitch, link):
    assert deploy(P2P(vswitch, bidirectional=True)).sustains(line_rate(link, 256), frame_size=256)
"""

LONG = """
from pytest_nfv import P2P, kpps

def test_long(deploy, vswitch):
    traffic = deploy(P2P(vswitch))
    open("deployed", "w").close()
    assert traffic.sustains(5 * kpps, frame_size=64)

def test_next(deploy, vswitch):
    assert deploy(P2P(vswitch)).sustains(5 * kpps, frame_size=64)
"""

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(autouse=True)
def _namespaces(needs: Callable[[str], None]) -> None:
    for name in ("netns", "two-cores", "linux-bridge"):
        needs(name)


def test_real_frames_give_verdicts_and_a_record(suite: Suite) -> None:
    suite.write(SUITE)
    status, text = suite.run("--nfv-report=out")
    assert status == 0, text
    record = json.loads((suite.folder / "out" / "record.json").read_text())
    assert [one["outcome"] for one in record["results"]] == ["passed"] * 3
    assert record["run"]["simulated"] is False
    for result in record["results"]:
        (gate,) = result["measurements"]
        valid = [trial for trial in gate["trials"] if not trial["invalid"]]
        assert valid
        for trial in valid:
            for flow in trial["flows"]:
                assert flow["sent_frames"] == flow["intended_frames"] > 0
                assert flow["corrupted_frames"] == flow["duplicated_frames"] == 0
            assert trial["hops"]
            assert {core["role"] for core in trial["cores"]} == {"device", "generator"}
    assert (suite.folder / "out" / "report.html").stat().st_size > 1000


def test_more_than_the_path_can_carry_is_never_a_pass(suite: Suite) -> None:
    suite.write(
        "from pytest_nfv import P2P, Mpps\n"
        "def test_it(deploy, vswitch):\n    assert deploy(P2P(vswitch)).sustains(14 * Mpps, frame_size=64)\n"
    )
    status, text = suite.run("--nfv-retry-invalid=0")
    assert status == 1, text
    assert "1 invalid" in text or "1 failed" in text
    assert "the generator offered" in text or " % lost" in text


def test_a_throughput_search_ends_at_the_generators_or_the_devices_limit(suite: Suite) -> None:
    suite.write(
        "from pytest_nfv import P2P, kpps\n"
        "def test_it(deploy, vswitch):\n"
        "    found = deploy(P2P(vswitch)).throughput(frame_size=512, at_most='20kpps', loss_ratio='50%')\n"
        "    assert found >= 1 * kpps\n"
    )
    status, text = suite.run()
    assert status == 0, text
    assert "limited by the link" in text


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_the_same_as_another_user(
    suite: Suite, needs: Callable[[str], None], lacks: Callable[[CapabilityMissing], None]
) -> None:
    needs("rootless")
    suite.write(SUITE)
    imports = [*NOBODY, sys.executable, "-c", "import pytest_nfv, scapy"]
    if subprocess.run(imports, capture_output=True, check=False, cwd="/").returncode:
        why = f"user nobody cannot use {sys.executable}"
        lacks(CapabilityMissing("rootless", why, "put this checkout and its environment where all may read them"))
    for path in (suite.folder, *list(suite.folder.parents)[:3]):
        if str(path).startswith("/tmp/"):
            path.chmod(0o777 if path == suite.folder else 0o755)
    status, text = suite.run(prefix=(*NOBODY, "env", f"HOME={suite.folder}", f"XDG_RUNTIME_DIR={suite.folder}"))
    assert status == 0, text
    assert "3 passed" in text
    assert "not pinned" in text  # a note that every figure from there carries


NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def started(suite: Suite, *options: str) -> subprocess.Popen[str]:
    """Start a long trial and wait until it runs."""
    suite.write(LONG)
    process = suite.start("--nfv-duration=30s", "-k", "long", *options)
    wait_for((suite.folder / "deployed").exists, "deployed", 60)
    return process


def test_ctrl_c_in_a_trial_ends_it_and_keeps_what_was_measured(suite: Suite) -> None:
    process = started(suite, "--nfv-report=out")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, out
    assert "KeyboardInterrupt" in out
    record = json.loads((suite.folder / "out" / "record.json").read_text())
    assert record["complete"] is False


def test_kill_9_of_pytest_leaves_nothing_after_the_next_start(suite: Suite) -> None:
    chance = random.Random(20)
    for _ in range(20):
        (suite.folder / "deployed").unlink(missing_ok=True)
        suite.write(LONG)
        process = suite.start("--nfv-duration=30s", "-k", "long")
        time.sleep(chance.uniform(0.3, 2.5))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)
    status, text = suite.run("-k", "next")
    assert status == 0, text


def test_kill_9_of_pytest_and_its_agent_is_cleaned_by_the_next_start(suite: Suite) -> None:
    before = namespaces()
    process = started(suite)
    marked = [pid for pid in processes_of_runs() if os.getsid(pid) != os.getsid(0)]
    agents = [pid for pid in children(process.pid) if b"hosts.agent" in command(pid)]
    assert agents
    for pid in (process.pid, *agents):
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=30)
    assert marked
    if os.geteuid() == 0:
        assert namespaces() - before, "nothing was there to clean"
    status, text = suite.run("-k", "next")
    assert status == 0, text
    assert namespaces() <= before


def children(parent: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    return [pid for pid, ppid in pairs if ppid == parent]


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to reach into the run's namespace by name")
def test_a_switch_that_dies_in_a_trial_is_an_error_and_the_next_test_gets_a_new_one(suite: Suite) -> None:
    before = namespaces()
    suite.write(LONG)
    process = suite.start("--nfv-duration=4s")
    wait_for((suite.folder / "deployed").exists, "deployed", 60)
    time.sleep(1.0)
    (device,) = [name for name in namespaces() - before if name.endswith("-dut")]
    remove = "from pyroute2 import NetNS; n = NetNS('{}'); n.link('del', index=n.link_lookup(ifname='br0')[0])"
    subprocess.run([sys.executable, "-c", remove.format(device)], check=True, timeout=20)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1, out
    assert "1 passed, 1 error" in out
    assert "br0 is gone" in out
    assert "pytest_nfv/deployment" not in out


def test_a_generator_that_dies_in_a_trial_is_an_error(suite: Suite) -> None:
    process = started(suite)
    time.sleep(0.5)
    (generator,) = [pid for pid in children(process.pid) if b"pytest_nfv.trafgen" in command(pid)]
    os.kill(generator, signal.SIGKILL)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1, out
    assert "generator" in out
    assert "1 error" in out


def test_one_core_is_a_skip_that_says_so_and_an_error_where_required(suite: Suite) -> None:
    suite.write(SUITE)
    core = str(min(os.sched_getaffinity(0)))
    status, text = suite.run("-rs", prefix=("taskset", "-c", core))
    assert status == 0, text
    assert "3 skipped" in text
    assert "device and generator must not share one" in text.replace("\n", " ")
    status, text = suite.run("--nfv-require=two-cores", prefix=("taskset", "-c", core))
    assert status == pytest.ExitCode.USAGE_ERROR, text
    assert "two-cores" in text


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to forbid user namespaces inside one")
def test_no_namespaces_is_a_skip_with_the_remedy(suite: Suite) -> None:
    suite.write(SUITE)
    # A user namespace of nobody's, in which no further one may be made: what a locked-down machine looks like.
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all "$@"'
    status, text = suite.run("-rs", prefix=("unshare", "-U", "-r", "sh", "-c", forbid, "sh"))
    assert status == 0, text
    assert "3 skipped" in text
    assert "max_user_namespaces" in text


def test_xdist_workers_do_not_share_a_testbed(suite: Suite) -> None:
    suite.write(SUITE)
    status, text = suite.run("-n", "2", "-p", "xdist")
    assert status == pytest.ExitCode.USAGE_ERROR, text
    assert "workers would measure on the same host at once" in text


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
def test_a_full_disk_is_found_before_anything_is_measured(suite: Suite) -> None:
    suite.write(SUITE)
    full = suite.folder / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(full)], check=True)
    try:
        status, text = suite.run(f"--nfv-report={full}")
    finally:
        subprocess.run(["umount", str(full)], check=True)
    assert status == pytest.ExitCode.USAGE_ERROR, text
    assert str(full) in text
    assert "No space left" in text
