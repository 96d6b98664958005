"""`testbed discover` and `check` of two hosts by SSH: from nothing to a file that says what is there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_nfv.model.testbed_file import read
from tests.functional.ssh_lab import SshLab, ssh_lab


@pytest.fixture(scope="module")
def lab(needs: Callable[[str], None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshLab]:
    needs("sshd")
    with ssh_lab(tmp_path_factory.mktemp("lab")) as lab:
        for host in lab.hosts.values():
            for port in host.ports:
                host.inside("ip", "link", "set", port, "up")
        yield lab


def command(lab: SshLab, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pytest_nfv", "testbed", *words]
    environment = os.environ | lab.environment
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, env=environment)


@pytest.fixture(scope="module")
def file(lab: SshLab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `discover` says of both, filled in as its comments say, with the interpreter that has the package."""
    text = ""
    for name in ("dut", "gen"):
        done = command(lab, "discover", name)
        assert done.returncode == 0, done.stderr
        part, _, rest = done.stdout.partition("\n\n")
        text += part.replace(f'ssh = "{name}"', f'ssh = "{name}"\npython = "{sys.executable}"') + "\n\n"
        text += rest.replace("# ", "").replace("GENERATOR", "gen").partition("\n")[2] if name == "dut" else ""
    path = tmp_path_factory.mktemp("file") / "lab.toml"
    path.write_text(text)
    return path


def test_what_is_discovered_can_be_read(lab: SshLab, file: Path) -> None:
    testbed = read(file).testbeds["dut"]
    assert testbed.rig is not None
    assert [str(port) for port in testbed.rig.device.ports] == ["p0 (eth1)", "p1 (eth2)"]
    assert [str(cable) for cable in testbed.rig.cables] == ["gen.p0 - dut.p0 (10GbE)", "gen.p1 - dut.p1 (10GbE)"]
    assert f"# management: mgmt ({lab.dut.address}/30); mgmt, veth, link up" in file.read_text()


def test_a_lab_that_is_as_its_file_says(lab: SshLab, file: Path) -> None:
    done = command(lab, "check", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("frames from one end come out at the other") == 2
    assert "its key is known" in done.stdout
    assert "MISSING" not in done.stdout


def test_a_host_in_the_file_can_be_discovered_by_its_name(lab: SshLab, file: Path) -> None:
    done = command(lab, "discover", "gen", "--testbed", str(file))
    assert done.stdout.startswith('[host.gen]\nssh = "gen"\n'), done.stderr


def test_a_host_without_the_package(lab: SshLab, file: Path, tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(file.read_text().replace(f'python = "{sys.executable}"', 'python = "/usr/bin/python3"', 1))
    done = command(lab, "check", str(path))
    assert done.returncode == 1
    line = next(line for line in done.stdout.splitlines() if line.startswith("dut ") and "package" in line)
    assert "MISSING  no pytest-nfv at /usr/bin/python3" in line
    assert line.endswith("python -m pytest_nfv provision dut")
    assert "not tried with frames: dut lacks root or the package" in done.stdout


def test_a_host_whose_key_is_another_one(lab: SshLab, file: Path) -> None:
    lab.know("gen")
    try:
        done = command(lab, "check", str(file))
    finally:
        lab.know("dut", "gen")
    assert done.returncode == 1
    line = next(line for line in done.stdout.splitlines() if line.startswith("dut ") and "reached" in line)
    assert "MISSING" in line
    assert "host key is not known" in line
    assert "gen" in done.stdout
    assert "not tried, as dut is not reached" in done.stdout


def test_a_host_that_is_not_there(lab: SshLab) -> None:
    done = command(lab, "discover", "nobody.invalid")
    assert done.returncode == 1
    assert "nobody" in done.stderr
    assert done.stdout == ""
