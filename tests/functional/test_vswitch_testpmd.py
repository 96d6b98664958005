"""testpmd with real frames: every kind of port and mode, several pairs, and its end in the middle of a trial."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_nfv.deployment.hops import waterfall
from pytest_nfv.deployment.validity import COUNTER_SLACK_FRAMES
from pytest_nfv.deployment.wiring import Chains
from pytest_nfv.errors import CapabilityMissing
from pytest_nfv.generators.builtin import Builtin
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.offer import FlowOffer, Offer
from pytest_nfv.model.topology import P2P, VSwitch
from pytest_nfv.model.trial import Direction
from pytest_nfv.trafgen.engine import learning_frame
from pytest_nfv.vswitches.testpmd import Testpmd
from tests.functional.conftest import Suite, wait_for

SUITE = """
import pytest
from pytest_nfv import P2P, VSwitch, kpps

@pytest.mark.parametrize("settings", {settings!r}, ids=lambda one: "-".join(one.values()))
def test_it(deploy, settings):
    switch = VSwitch("testpmd", tuple(settings.items()))
    traffic = deploy(P2P(switch, bidirectional=True, pairs={pairs}))
    assert traffic.sustains({rate} * kpps, frame_size={frame_size})
"""

LONG = """
from pytest_nfv import P2P, kpps

def test_long(deploy):
    traffic = deploy(P2P("testpmd"))
    open("deployed", "w").close()
    assert traffic.sustains(50 * kpps, frame_size=64)

def test_next(deploy):
    assert deploy(P2P("testpmd")).sustains(50 * kpps, frame_size=64)
"""

pytestmark = pytest.mark.usefixtures("nothing_left")
DEADLINE_S = 60.0


@pytest.fixture(autouse=True)
def _testpmd(needs: Callable[[str], None]) -> None:
    for name in ("netns", "two-cores", "testpmd"):
        needs(name)


def checked_trials(suite: Suite, expected: int) -> list[dict[str, Any]]:
    """Return the valid trials of a record in which all passed; the counters of each add up."""
    record = json.loads((suite.folder / "out" / "record.json").read_text())
    assert [one["outcome"] for one in record["results"]] == ["passed"] * expected
    trials = [
        trial
        for result in record["results"]
        for trial in result["measurements"][0]["trials"]
        if not trial["invalid"]
    ]
    assert len(trials) >= expected
    for trial in trials:
        for flow in trial["flows"]:
            assert flow["sent_frames"] == flow["received_frames"] == flow["intended_frames"] > 0
            assert flow["corrupted_frames"] == flow["duplicated_frames"] == 0
        assert len(trial["hops"]) == 3 * len(trial["flows"])
        for hop in trial["hops"]:
            beside = hop["passed_frames"] - trial["flows"][0]["intended_frames"]
            assert 0 <= beside <= COUNTER_SLACK_FRAMES  # learning frames, where testpmd was late to take them
            assert hop["drops_frames"] == {}
    return trials


@pytest.mark.parametrize(("frame_size", "rate"), [(64, 20), (1518, 20)])
def test_frames_come_through_sockets_both_ways(suite: Suite, frame_size: int, rate: int) -> None:
    settings = [{"ports": "vhost_user"}, {"ports": "memif"}]
    suite.write(SUITE.format(settings=settings, pairs=1, rate=rate, frame_size=frame_size))
    status, text = suite.run("--nfv-report=out")
    assert status == 0, text
    for trial in checked_trials(suite, 2):
        (worker,) = [one for one in trial["threads"] if one["role"] == "device" and "-worker-" in one["name"]]
        assert 0 < worker["worked_s"] <= worker["cpu_s"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: bpf(2) refuses the root of a user namespace")
@pytest.mark.parametrize("frame_size", [64, 1518])
def test_frames_come_through_af_xdp_both_ways(suite: Suite, frame_size: int) -> None:
    suite.write(SUITE.format(settings=[{"ports": "af_xdp"}], pairs=2, rate=2, frame_size=frame_size))
    status, text = suite.run("--nfv-report=out")
    assert status == 0, text
    for trial in checked_trials(suite, 1):
        assert len([thread for thread in trial["threads"] if thread["name"].startswith("napi/s")]) == 4


def test_several_pairs_queues_and_rings_of_other_sizes(suite: Suite) -> None:
    settings = [
        {"ports": "vhost_user", "queues": "2", "slots": "1024", "burst": "64"},
        {"ports": "memif", "queues": "2", "slots": "4096", "burst": "16"},
    ]
    suite.write(SUITE.format(settings=settings, pairs=4, rate=10, frame_size=64))
    status, text = suite.run("--nfv-report=out")
    assert status == 0, text
    assert all(len(trial["flows"]) == 8 for trial in checked_trials(suite, 2))


def test_addresses_are_written_anew_as_forwarded_says(suite: Suite) -> None:
    settings = [{"mode": mode, "ports": ports} for mode in ("mac", "macswap") for ports in ("vhost_user", "memif")]
    suite.write(SUITE.format(settings=settings, pairs=1, rate=20, frame_size=128))
    status, text = suite.run("--nfv-report=out")
    assert status == 0, text
    checked_trials(suite, 4)


BURSTS = """
from pytest_nfv import P2P, VSwitch, pps

def test_bursts(deploy):
    for rate in (1000, 20_000):
        deploy(P2P(VSwitch("testpmd", {"slots": "1024"}))).latency(rate * pps, frame_size=64, burst=128)
"""


def test_every_frame_of_a_burst_is_a_latency_sample(suite: Suite) -> None:
    suite.write(BURSTS)
    status, text = suite.run("--nfv-report=out", "--nfv-duration=1s")
    assert status == 0, text
    record = json.loads((suite.folder / "out" / "record.json").read_text())
    for measurement in record["results"][0]["measurements"]:
        for trial in measurement["trials"]:
            (flow,), (latency,) = trial["flows"], trial["latency"]
            assert latency["samples_frames"] == flow["received_frames"] > 900


def test_a_wrong_setting_ends_the_run_with_what_is_accepted(suite: Suite) -> None:
    suite.write(SUITE.format(settings=[{"mode": "csum"}], pairs=1, rate=1, frame_size=64))
    status, text = suite.run()
    assert status != 0
    assert "testpmd: mode 'csum': accepted: io, mac, macswap" in text


def test_basicfwd_is_chosen_by_name(suite: Suite) -> None:
    suite.write(
        "from pytest_nfv import P2P, kpps\n"
        "def test_it(deploy, vswitch):\n    assert deploy(P2P(vswitch)).sustains(100 * kpps, frame_size=64)\n"
    )
    status, text = suite.run("--nfv-vswitch=basicfwd,testpmd", "--nfv-report=out")
    assert status == 0, text
    assert "2 passed" in text
    checked_trials(suite, 2)


@pytest.fixture
def lab() -> Iterator[Lab]:
    run_id = new_run_id()
    made = Lab(LocalHost(run_id), run_id)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("ports", "ring"),
    [
        ("vhost_user", "rx vhost ring full"),
        ("memif", "rx memif ring full"),
        pytest.param(
            "af_xdp",
            "rx AF_XDP ring full",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for bpf(2)"),
        ),
    ],
)
def test_what_a_full_ring_refuses_is_the_switchs_loss(lab: Lab, ports: str, ring: str) -> None:
    device, own = sorted(os.sched_getaffinity(0))[:2]
    switch = Testpmd(lab, {"ports": ports, "slots": "64"})
    generator: Builtin | None = None
    try:
        specs = switch.start(2, 1500, [device])
        generator = Builtin(switch.generator_host, own)
        generator.open(specs)
        generator.learn()
        wait_for(lambda: switch.counters()[1].tx_frames == 3, "learning frames through")
        before = switch.counters()
        (pid,) = [tid for tid, name in switch.threads().items() if name == "dpdk-testpmd"]
        os.kill(pid, signal.SIGSTOP)
        going_on = threading.Timer(0.25, os.kill, (pid, signal.SIGCONT))  # soon enough not to be taken for dead
        going_on.start()
        flow = FlowOffer(0, Direction(0, 1), 10_000, 1000, (learning_frame(specs[0].address)).hex())
        report = generator.offer(Offer((flow,), quiet_s=0.4))
        going_on.join()
        after = switch.counters()
    finally:
        if generator is not None:
            generator.close()
        switch.stop()
    into, out, back = waterfall(report, (before, {}), (after, {}), Chains(P2P(VSwitch("any"))))
    assert into.frames + into.drops[ring] == report.flows[0].sent
    assert into.frames >= 32
    assert into.drops[ring] >= 500
    assert out.frames == back.frames == into.frames
    assert not out.drops


def devices_of(pytest_pid: int) -> list[int]:
    """Return the process ids of the testpmds that a pytest started."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and (entry / "comm").read_text().strip() == "dpdk-testpmd":
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                found += [int(entry.name)] if int(parent) == pytest_pid else []
        except OSError:
            continue
    return found


def started(suite: Suite, *options: str) -> tuple[subprocess.Popen[str], int]:
    """Start a long trial; return pytest and its testpmd once it runs."""
    suite.write(LONG)
    process = suite.start(*options)
    wait_for((suite.folder / "deployed").exists, "deployed", DEADLINE_S)
    (device,) = devices_of(process.pid)
    return process, device


def test_kill_9_of_testpmd_in_a_trial_is_an_error_and_the_next_test_gets_a_new_one(suite: Suite) -> None:
    process, device = started(suite, "--nfv-duration=4s")
    os.kill(device, signal.SIGKILL)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1, out
    assert "1 passed, 1 error" in out
    assert "testpmd: it was ended by signal 9" in out
    assert "pytest_nfv/deployment" not in out


def test_a_testpmd_that_stops_in_a_trial_is_an_error(suite: Suite) -> None:
    process, device = started(suite, "--nfv-duration=6s", "-k", "long")
    os.kill(device, signal.SIGSTOP)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1, out
    assert "1 error" in out
    assert "testpmd: no answer to" in out


def test_kill_9_of_pytest_leaves_nothing(suite: Suite) -> None:
    process, device = started(suite, "--nfv-duration=30s", "-k", "long")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    wait_for(lambda: not Path(f"/proc/{device}").exists(), "testpmd ended")


def test_a_machine_without_it_skips_with_the_package(suite: Suite, tmp_path: Path) -> None:
    suite.write(LONG)
    bare = tmp_path / "bin"
    bare.mkdir()
    status, text = suite.run("-rs", "-k", "next", prefix=("env", f"PATH={bare}"))
    assert status == 0, text
    assert "1 skipped" in text
    assert "apt-get install dpdk-dev" in text.replace("\n", " ")


def test_probe_names_a_version(lacks: Callable[[CapabilityMissing], None]) -> None:
    try:
        assert Testpmd.probe(LocalHost()).startswith("DPDK ")
    except CapabilityMissing as missing:
        lacks(missing)
