"""A run's own directory and the huge pages it adds, on the real machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_nfv.hosts.hugepages import default_pool
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.reap import reap
from pytest_nfv.hosts.run_id import new_run_id

DEADLINE_S = 20.0
HOLDER = """
import sys
from pathlib import Path
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
run, marks, pages = sys.argv[1:]
lab = Lab(LocalHost(run), run, directory=Path(marks))
(lab.directory / "some.sock").touch()
print(lab._link.pid, *(lab.huge_pages(int(pages)) if int(pages) else ()), flush=True)
sys.stdin.read()
"""


def test_the_directory_goes_with_the_lab(tmp_path: Path) -> None:
    run = new_run_id()
    lab = Lab(LocalHost(run), run, directory=tmp_path)
    try:
        assert lab.directory == tmp_path / run
        assert lab.directory.stat().st_mode & 0o777 == 0o700
        (lab.directory / "log").write_text("words")
    finally:
        lab.close()
    assert list(tmp_path.iterdir()) == []


def test_huge_pages_are_given_back_after_kill_9(tmp_path: Path) -> None:
    pool = default_pool()
    if os.geteuid() != 0 or pool is None:
        pytest.skip("adding huge pages needs root and a kernel that has them")
    before, run = pool.pages, new_run_id()
    wanted = (pool.free + 4) * pool.kib // 1024
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, run, str(tmp_path), str(wanted)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    agent, enough, *_ = holder.stdout.readline().split()
    assert enough == "True"
    assert pool.pages == before + 4
    os.kill(int(agent), signal.SIGKILL)  # nobody is left to undo it
    holder.kill()
    holder.communicate()
    assert (tmp_path / run).is_dir()
    removed: list[str] = []
    deadline = time.monotonic() + DEADLINE_S
    while not removed:  # the killed agent holds its lock until the kernel has ended it
        assert time.monotonic() < deadline
        removed = reap(directory=tmp_path)
    assert "4 huge pages" in removed
    assert pool.pages == before
    assert list(tmp_path.iterdir()) == []


def test_the_agent_alone_puts_back_what_a_killed_run_had(tmp_path: Path) -> None:
    run = new_run_id()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, run, str(tmp_path), "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    assert (tmp_path / run / "some.sock").exists()
    holder.kill()
    holder.communicate()
    deadline = time.monotonic() + DEADLINE_S
    while list(tmp_path.iterdir()):
        assert time.monotonic() < deadline, list(tmp_path.iterdir())
        time.sleep(0.01)
