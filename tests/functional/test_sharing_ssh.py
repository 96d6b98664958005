"""Runs and workers that want other machines: two hosts, reached by SSH, each with cables between its own ports."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.functional.conftest import Suite, wait_for
from tests.functional.ssh_lab import SshLab, ssh_lab

pytestmark = [
    pytest.mark.usefixtures("nothing_left"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may make hosts of namespaces: run as root"),
]
HOST = """
[host.{name}]
ssh = "{name}"
python = "{python}"
ports.p0 = {{ interface = "nfvt0" }}
ports.p1 = {{ interface = "nfvt1" }}
ports.p2 = {{ interface = "nfvt2" }}
ports.p3 = {{ interface = "nfvt3" }}
device_cores = [0]
generator_cores = [1]

[[link]]
ends = ["{name}.p0", "{name}.p2"]
speed = "10MbE"

[[link]]
ends = ["{name}.p1", "{name}.p3"]
speed = "10MbE"

[testbed.on-{name}]
kind = "lab"
device = "{name}"
generator = "{name}"
vswitches = ["linux-bridge"]
"""
# Both hosts are this machine's two cores: what is handed out and held is tried here, not what is measured.
SUITE = """
import os
import time
from pathlib import Path
import pytest
from pytest_nfv import P2P

@pytest.mark.parametrize("number", range(2))
def test_deploy(deploy, vswitch, testbed, number):
    deploy(P2P(vswitch))
    worker = os.environ.get("PYTEST_XDIST_WORKER", "none")
    with Path("deployed").open("a") as file:
        file.write(f"{testbed.name} {os.getpid()} {worker}\\n")
    while Path("stay").exists():
        time.sleep(0.05)
"""


@pytest.fixture
def lab(suite: Suite, needs: Callable[[str], None]) -> Iterator[SshLab]:
    for name in ("sshd", "two-cores", "linux-bridge"):
        needs(name)
    folder = suite.folder / "ssh"
    folder.mkdir()
    with ssh_lab(folder, cables=0) as made:
        for host in made.hosts.values():
            for one, other in (("nfvt0", "nfvt2"), ("nfvt1", "nfvt3")):
                host.inside("ip", "link", "add", one, "type", "veth", "peer", "name", other)
        text = "".join(HOST.format(name=name, python=sys.executable) for name in made.hosts)
        (suite.folder / "lab.toml").write_text(text)
        suite.write(SUITE)
        yield made


def options(lab: SshLab, hosts: str) -> tuple[str, ...]:
    return (f"--nfv-ssh-config={lab.config}", "--nfv-testbed=lab.toml", f"--nfv-host={hosts}")


def deployed(suite: Suite) -> list[list[str]]:
    return [line.split() for line in (suite.folder / "deployed").read_text().splitlines()]


def test_each_worker_takes_a_testbed_of_other_machines(suite: Suite, lab: SshLab) -> None:
    status, text = suite.run(
        *options(lab, "on-dut,on-gen"), "-n", "2", "--nfv-lock-timeout=0s", "--nfv-report=out"
    )
    assert status == 0, text
    workers = {
        name: {worker for one, _, worker in deployed(suite) if one == name} for name in ("on-dut", "on-gen")
    }
    assert sorted(map(len, workers.values())) == [1, 1], workers
    assert workers["on-dut"] != workers["on-gen"]
    record = json.loads((suite.folder / "out" / "record.json").read_text())
    assert set(record["environment"]["testbed"]) == {"on-dut", "on-gen"}
    assert [one["outcome"] for one in record["results"]] == ["passed"] * 4
    status, text = suite.run(*options(lab, "on-dut,on-gen"), "-n", "3")
    assert status == pytest.ExitCode.USAGE_ERROR, text
    assert "-n 3 with 2 testbeds (on-dut, on-gen)" in text


def test_a_host_elsewhere_is_held_too_and_a_killed_run_gives_it_up(suite: Suite, lab: SshLab) -> None:
    (suite.folder / "stay").touch()
    first = suite.start(*options(lab, "on-dut"))
    wait_for((suite.folder / "deployed").exists, "the first run to deploy", 60.0)
    try:
        status, text = suite.run(*options(lab, "on-dut"), "--nfv-lock-timeout=0s")
        assert status == 1, text
        assert re.search(rf"host dut is held by \S+ since \S+ \(run \w+, pid {first.pid}: pytest ", text)
        second = suite.start(*options(lab, "on-dut"))
        assert second.stdout is not None
        while "is held by" not in (line := second.stdout.readline()):
            assert line, "the second run did not wait"
        killed = time.monotonic()
    finally:
        os.kill(first.pid, signal.SIGKILL)
    (suite.folder / "stay").unlink()
    out, _ = second.communicate(timeout=90)
    first.communicate()
    assert second.returncode == 0, out
    assert time.monotonic() - killed < 30.0
    assert {int(pid) for _, pid, _ in deployed(suite)} == {first.pid, second.pid}
