"""`python -m pytest_nfv provision` onto a host that is reached by SSH alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_nfv import __version__
from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts import provision
from tests.functional.ssh_lab import SshLab, ssh_lab


@pytest.fixture
def lab(needs: Callable[[str], None], tmp_path: Path) -> Iterator[SshLab]:
    needs("sshd")
    with ssh_lab(tmp_path) as made:
        yield made


def run(lab: SshLab, *words: str) -> tuple[int, str]:
    """Run the subcommand as a user does."""
    argv = [sys.executable, "-m", "pytest_nfv", "provision", *words]
    done = subprocess.run(argv, env=os.environ | lab.environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_there_and_back(lab: SshLab, tmp_path: Path) -> None:
    place = f"{tmp_path}/it's there"
    status, told = run(lab, "dut", "--place", place)
    assert status == 0, told
    assert f"dut: made {place} with " in told
    assert f"dut: installed pytest-nfv {__version__} in {place}\n" in told
    far = lab.ssh("dut", python=f"{place}/bin/python")
    try:
        assert provision.far_version(far) == __version__
        facts = json.loads(far.run([far.python, "-m", "pytest_nfv", "facts"]).stdout)
        assert facts["hostname"] == "dut"
        assert far.python_version() == facts["python"]
        assert run(lab, "dut", "--place", place) == (
            0,
            f"dut: pytest-nfv {__version__}, as it is here, is in {place} already\n",
        )
        init = next(Path(place).glob("lib/python3*/site-packages/pytest_nfv/__init__.py"))
        init.write_text(init.read_text().replace(f'"{__version__}"', '"0.0.1"'))
        with pytest.raises(
            DeploymentError, match=r"dut has pytest-nfv 0\.0\.1 at .*, and here is .*; run: python -m pytest_nfv"
        ):
            provision.check_version(far)
        Path(place, "pytest-nfv.provisioned").write_text("unfinished")
        shutil.rmtree(f"{place}/bin")  # cut before that was made
        status, told = run(lab, "dut", "--place", place)
        assert status == 0, told
        provision.check_version(far)
        assert run(lab, "dut", "--place", place, "--remove") == (0, f"dut: removed {place}\n")
        assert not Path(place).exists()
        with pytest.raises(
            DeploymentError, match=r"pytest-nfv is not there; run: python -m pytest_nfv provision dut$"
        ):
            provision.far_version(far)
    finally:
        far.close()


def test_without_an_index_over_there(lab: SshLab, tmp_path: Path) -> None:
    lab.dut.set_environment(PIP_NO_INDEX="1", PIP_CONFIG_FILE="/dev/null")
    place = tmp_path / "venv"
    place.mkdir()
    (place / "pytest-nfv.provisioned").write_text("unfinished")  # what is there of one that was cut at once
    status, told = run(lab, "dut", "--place", str(place))
    assert status == 0, told
    assert "dut: its pip reaches no index; taking what pytest-nfv needs from here" in told
    assert not list(place.rglob("*.whl"))
    far = lab.ssh("dut", python=f"{place}/bin/python")
    assert far.run([far.python, "-c", "import numpy, fabric; print('there')"]).stdout == "there\n"
    far.close()


def test_what_is_not_ours_stays(lab: SshLab, tmp_path: Path) -> None:
    place = tmp_path / "theirs"
    place.mkdir()
    (place / "file").touch()
    status, told = run(lab, "dut", "--place", str(place))
    assert status == 1
    assert f"{place} has something else in it" in told
    status, told = run(lab, "dut", "--place", str(place), "--remove")
    assert status == 1
    assert f"{place} was not made by provision; it stays" in told
    assert [entry.name for entry in place.iterdir()] == ["file"]
    assert run(lab, "dut", "--place", f"{tmp_path}/none", "--remove") == (
        0,
        f"dut: nothing is in {tmp_path}/none\n",
    )


def test_places_that_are_refused(lab: SshLab) -> None:
    for place in ("relative", "/", "/usr", "-p"):
        status, told = run(lab, "dut", f"--place={place}")
        assert status == 1
        assert "accepted: an absolute path below a folder, or one from ~/" in told
    assert "is this machine" in run(lab, "local")[1]
