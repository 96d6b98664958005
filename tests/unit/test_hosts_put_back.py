"""Putting back a run: what goes wrong with one thing keeps no other from going back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts import adopted, agent_link, cgroups, reap, remains
from pytest_nfv.hosts.adopted import Taken
from pytest_nfv.hosts.agent import Agent
from pytest_nfv.hosts.away import ADOPTED
from pytest_nfv.hosts.host_lock import HostLock
from pytest_nfv.hosts.marks import Mark
from pytest_nfv.hosts.tuning.protocol import Scope
from pytest_nfv.hosts.tuning.table import tune
from tests.unit.cpu_tree import make_tree, read


def cards(directory: Path, *interfaces: str) -> None:
    directory.mkdir(exist_ok=True)
    adopted._write(
        directory, [Taken("dut", "nfv-x-dut", one, f"p-{one}", 1, True, False, 1500, {}) for one in interfaces]
    )


def test_a_full_disk_keeps_no_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards(tmp_path, "eth1", "eth2", "eth3")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(adopted, "_given_back", lambda one: True)
    assert adopted.give_back(tmp_path) == [f"interface eth{n} given back" for n in (3, 2, 1)]
    assert not (tmp_path / ADOPTED).exists()


def test_a_card_that_the_kernel_keeps_keeps_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards(tmp_path, "eth1", "eth2", "eth3")

    def given(one: Taken) -> bool:
        if one.interface == "eth2":
            raise DeploymentError("give eth2 back: busy")
        return True

    monkeypatch.setattr(adopted, "_given_back", given)
    with pytest.raises(DeploymentError, match=r"^interface eth2: give eth2 back: busy$"):
        adopted.give_back(tmp_path)
    assert [one["interface"] for one in json.loads((tmp_path / ADOPTED).read_text())] == ["eth2"]
    with pytest.raises(OSError, match="names interfaces that are not given back"):
        remains.remove_directory(tmp_path)
    assert (tmp_path / ADOPTED).exists()


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control groups are busy, and processes are not to be killed."""

    def busy(run_id: str, root: Path = cgroups.ROOT) -> list[str]:
        raise OSError(16, "Device or resource busy")

    def refuse(run_id: str, spare: object = ()) -> list[str]:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(cgroups, "remove_groups", busy)
    monkeypatch.setattr(remains, "kill_processes", refuse)


@pytest.mark.usefixtures("stuck")
@pytest.mark.parametrize("way", ["agent", "link", "reap"])
def test_what_is_stuck_keeps_no_setting(tmp_path: Path, way: str) -> None:
    tree, marked = make_tree(tmp_path / "root"), tmp_path / "marks"
    marked.mkdir()
    before = read(tree)
    mark = Mark.make("dead21", marked)
    directory = mark.make_directory()
    tune(directory, "governor", "performance", Scope([0, 1], root=tree))
    mark.release()
    if way == "agent":
        told = "; ".join(Agent("dead21", False, directory, HostLock()).put_back())
    elif way == "link":
        link = object.__new__(agent_link.LocalLink)
        link.run_id, link.directory = "dead21", directory
        told = "; ".join(link._put_back_instead())
    else:
        with pytest.raises(DeploymentError) as caught:
            reap.reap(directory=marked, named=tmp_path / "none")
        told = str(caught.value)
        assert mark.path.exists()
    assert "Operation not permitted" in told
    assert "Device or resource busy" in told
    assert read(tree) == before
    assert not directory.exists()


def test_a_run_that_does_not_end_when_asked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reap, "END_DEADLINE_S", 0.2)
    mark = Mark.make("slow21", tmp_path)
    code = "import signal, sys; signal.signal(15, signal.SIG_IGN); print('on', flush=True); sys.stdin.read()"
    argv = [sys.executable, "-I", "-S", "-c", code, "pytest_nfv.hosts.agent", "--run", "slow21"]
    with subprocess.Popen(argv, stdin=-1, stdout=-1) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"on\n"
        with pytest.raises(DeploymentError, match=rf"run slow21 \(process {owner.pid}\) did not end within 0.2 s"):
            reap.reap(directory=tmp_path, named=tmp_path / "none", run_id="slow21")
        assert mark.path.exists()
        owner.kill()
    mark.release()
    assert reap.reap(directory=tmp_path, named=tmp_path / "none", run_id="slow21") == ["mark of run slow21"]


def test_whoever_has_a_run_reaped_elsewhere_waits_longer_than_that_takes() -> None:
    assert reap.REAP_DEADLINE_S > reap.END_DEADLINE_S + 10.0
