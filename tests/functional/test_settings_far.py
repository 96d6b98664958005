"""Settings of a host that is reached by SSH, on a tree made for the test in the place of its cores."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.functional.conftest import EASY, wait_for
from tests.functional.ssh_lab import SshLab, ssh_lab
from tests.functional.test_rig import BACK_TO_BACK, lab_file
from tests.unit.cpu_tree import CPU, make_tree, read

pytestmark = [
    pytest.mark.usefixtures("nothing_left"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may make hosts of namespaces: run as root"),
]

SUITE = """
from pytest_nfv import P2P, PacketRate

def test_clocked(deploy, cpu_freq):
    assert deploy(P2P("linux-bridge")).sustains(PacketRate(1000.0), frame_size=64)
"""
CLOCK = f"{CPU}/cpu0/cpufreq/scaling_max_freq"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The cores of the device's host."""
    return make_tree(tmp_path / "root", cores=(0, 1))


@pytest.fixture
def lab(tmp_path: Path, tree: Path, needs: Callable[[str], None]) -> Iterator[SshLab]:
    needs("sshd")
    needs("two-cores")
    with ssh_lab(tmp_path) as made:
        made.dut.inside("mount", "--bind", str(tree / CPU), f"/{CPU}")
        text = lab_file({"dut": 0, "gen": 1}, BACK_TO_BACK, ["cpu-frequency", "governor", "offloads"])
        (tmp_path / "lab.toml").write_text(text)
        (tmp_path / "test_far.py").write_text(SUITE)
        yield made


def argv(lab: SshLab, *options: str) -> list[str]:
    where = [f"--nfv-testbed={lab.folder / 'lab.toml'}", "--nfv-host=dut1", *EASY[1:], "-p", "no:cacheprovider"]
    return [
        sys.executable,
        "-m",
        "pytest",
        *where,
        "--nfv-cpu-freq=1.6GHz",
        *options,
        str(lab.folder / "test_far.py"),
    ]


def offloads(lab: SshLab) -> str:
    code = "from pytest_nfv.hosts.ethtool import *; print([read_offload('eth1', o) for o in ('tso', 'gso')])"
    return lab.dut.inside(sys.executable, "-c", code)


def test_a_far_device_is_clocked_and_put_back(lab: SshLab, tree: Path) -> None:
    before, had = read(tree), offloads(lab)
    environment = os.environ | lab.environment
    options = argv(lab, f"--nfv-report={lab.folder / 'report'}")
    done = subprocess.run(
        options, cwd=lab.folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((lab.folder / "report" / "record.json").read_text())
    (entry,) = record["results"]
    trials = entry["measurements"][0]["trials"]
    device = [core for trial in trials for core in trial["cores"] if core["role"] == "device"]
    assert {core["frequency_hz"] for core in device} == {1.6e9}
    hosts = record["environment"]["host"]
    assert hosts["dut1"]["cores"]["0"]["governor"] == "performance"
    assert hosts["dut1"]["nics"]["eth1"]["settings"]["tso"] == "off"
    assert "1" in hosts["dut1/gen"]["cores"]
    assert "nfv: dut1, read" in done.stdout
    assert read(tree) == before
    assert offloads(lab) == had


def test_a_far_device_is_put_back_when_pytest_is_killed(lab: SshLab, tree: Path) -> None:
    before, had = read(tree), offloads(lab)
    process = subprocess.Popen(
        argv(lab, "--nfv-duration=60s"),
        cwd=lab.folder,
        env=os.environ | lab.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(lambda: read(tree)[CLOCK] == "1600000", "the clock was not set", 60.0)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
    wait_for(lambda: read(tree) == before, "the clock was not put back", 60.0)
    wait_for(lambda: offloads(lab) == had, "the offloads were not put back", 60.0)
