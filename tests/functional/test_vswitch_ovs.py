"""Open vSwitch for real, with DPDK and without: frames through it, and all that can go wrong on the way."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.rings.table import open_ports
from pytest_nfv.vswitches.ovs_dpdk import OvsDpdk
from tests.functional.conftest import Suite, processes_of_runs, wait_for

RUNS = Path("/run/pytest-nfv")
HUGE_PAGES = Path("/proc/sys/vm/nr_hugepages")

SUITE = """
import pytest
from pytest_nfv import P2P, kpps
from pytest_nfv.model.topology import VSwitch

def switch(vswitch, **settings):
    return VSwitch(str(vswitch), tuple(settings.items()))

@pytest.mark.parametrize("rules", ["port", "normal", "5tuple"])
def test_rules(deploy, vswitch, rules):
    topology = P2P(switch(vswitch, rules=rules), bidirectional=True)
    assert deploy(topology).sustains(RATE * kpps, frame_size=64)

def test_pairs(deploy, vswitch):
    assert deploy(P2P(vswitch, pairs=2, bidirectional=True)).sustains(RATE / 4 * kpps, frame_size=1518)
"""

VHOST = """
def test_vhost_ports_of_two_queues_that_ovs_serves(deploy, vswitch):
    topology = P2P(switch(vswitch, vhost="server", queues="2", slots="1024", emc="off", smc="on"))
    assert deploy(topology).sustains(RATE * kpps, frame_size=64)
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

SWITCHES = pytest.mark.parametrize("name", ["ovs", "ovs-dpdk"])

pytestmark = [
    pytest.mark.usefixtures("nothing_left"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to look into the run's directory and daemons"),
]


@pytest.fixture
def ready(needs: Callable[[str], None]) -> Callable[[str], None]:
    """Return a function that skips the test where a switch cannot run."""

    def check(name: str) -> None:
        for one in ("netns", "two-cores", name):
            needs(one)

    return check


def huge_pages() -> int:
    return int(HUGE_PAGES.read_text())


def daemons(program: str) -> list[int]:
    """Return the processes of runs whose command line names `program`."""
    found = []
    for pid in processes_of_runs():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if Path(command[0].decode()).name.startswith(program):
            found.append(pid)
    return found


def directories() -> set[Path]:
    return {entry for entry in RUNS.iterdir() if entry.is_dir()}


@SWITCHES
def test_real_frames_pass_and_every_one_is_accounted_for(
    suite: Suite, ready: Callable[[str], None], name: str
) -> None:
    ready(name)
    text = SUITE + (VHOST if name == "ovs-dpdk" else "")
    suite.write(text.replace("RATE", "100" if name == "ovs-dpdk" else "5"))
    options = ("--nfv-link=1GbE",) if name == "ovs-dpdk" else ()
    status, out = suite.run("--nfv-report=out", f"--nfv-vswitch={name}", *options)
    assert status == 0, out
    record = json.loads((suite.folder / "out" / "record.json").read_text())
    trials = [trial for result in record["results"] for trial in result["measurements"][0]["trials"]]
    assert trials
    for trial in trials:
        check_hops(trial)
        assert any(one["role"] == "device" and "ovs-vswitchd" in one["name"] for one in trial["threads"])
        polling = [one for one in trial["threads"] if one["name"].startswith("pmd-")]
        assert bool(polling) is (name == "ovs-dpdk")
        assert all(0 < one["worked_s"] < one["cpu_s"] for one in polling)


def check_hops(trial: dict[str, Any]) -> None:
    """What left one hop came to the next, or is among its drops: frames are lost at places, not between them."""
    for flow in trial["flows"]:
        way = [hop for hop in trial["hops"] if hop["direction"] == flow["direction"]]
        assert len(way) == 3
        came = flow["sent_frames"]
        for hop in way:
            passed = hop["passed_frames"]
            # learning frames of a port that was still being polled in, counted on one side only
            assert abs(came - passed - sum(hop["drops_frames"].values())) <= 8, trial["hops"]
            came = passed


@SWITCHES
def test_a_switch_that_is_killed_in_a_trial_is_an_error_and_the_next_test_gets_a_new_one(
    suite: Suite, ready: Callable[[str], None], name: str
) -> None:
    ready(name)
    before = huge_pages(), directories()
    suite.write(LONG)
    process = suite.start("--nfv-duration=4s", f"--nfv-vswitch={name}")
    wait_for((suite.folder / "deployed").exists, "deployed", 60)
    (switch,) = daemons("ovs-vswitchd")
    os.kill(switch, signal.SIGKILL)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1, out
    assert "1 passed, 1 error" in out
    assert f"{name}: ovs-vswitchd has ended, exit status -9" in out
    assert "pytest_nfv/deployment" not in out
    wait_for(lambda: directories() <= before[1], "directories gone")
    wait_for(lambda: huge_pages() <= before[0], "huge pages given back")


@SWITCHES
def test_kill_9_of_pytest_leaves_nothing(suite: Suite, ready: Callable[[str], None], name: str) -> None:
    ready(name)
    before = huge_pages(), directories()
    suite.write(LONG)
    process = suite.start("--nfv-duration=30s", "-k", "long", f"--nfv-vswitch={name}")
    wait_for((suite.folder / "deployed").exists, "deployed", 60)
    assert daemons("ovs-vswitchd")
    assert directories() - before[1]
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    wait_for(lambda: not daemons("ovs"), "daemons gone")
    wait_for(lambda: directories() <= before[1], "directories gone")
    wait_for(lambda: huge_pages() <= before[0], "huge pages given back")


def test_a_wrong_setting_is_named_with_what_is_accepted(suite: Suite, ready: Callable[[str], None]) -> None:
    ready("ovs-dpdk")
    suite.write(SUITE.replace("RATE", "5").replace('"5tuple"', '"flood"'))
    status, out = suite.run("--nfv-vswitch=ovs-dpdk", "-k", "flood")
    assert status == 1, out
    assert "ovs-dpdk: rules 'flood': accepted: 5tuple, normal, port" in out


@pytest.mark.parametrize(
    ("affinity", "expected"),
    [
        ("queue", {("v0", 0): 0, ("v0", 1): 1, ("v1", 0): 0, ("v1", 1): 1}),
        ("port", {("v0", 0): 0, ("v0", 1): 0, ("v1", 0): 1, ("v1", 1): 1}),
    ],
)
def test_queues_are_polled_on_the_cores_that_were_asked_for(
    ready: Callable[[str], None], affinity: str, expected: dict[tuple[str, int], int]
) -> None:
    ready("ovs-dpdk")
    cores = sorted(os.sched_getaffinity(0))[:2]
    run_id = new_run_id()
    lab = Lab(LocalHost(run_id), run_id)
    try:
        switch = OvsDpdk(lab, {"queues": "2", "affinity": affinity})
        specs = switch.start(2, 1500, cores)
        ports = open_ports(specs)
        try:
            wanted = {queue: cores[number] for queue, number in expected.items()}
            wait_for(lambda: polled_queues(switch) == wanted, f"{wanted} of {polled_queues(switch)}")
        finally:
            for port in ports:
                port.close()
            switch.stop()
    finally:
        lab.close()


def polled_queues(switch: OvsDpdk) -> dict[tuple[str, int], int]:
    """Return the core of each queue of each port, as OVS tells it."""
    found, core = {}, -1
    for line in switch._started().ask("dpif-netdev/pmd-rxq-show").splitlines():
        if head := re.match(r"pmd thread numa_id \d+ core_id (\d+)", line):
            core = int(head[1])
        elif queue := re.match(r"\s+port: (\S+)\s+queue-id:\s+(\d+)", line):
            found[queue[1], int(queue[2])] = core
    return found
