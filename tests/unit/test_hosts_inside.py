"""Processes that were started through others, in a /proc made for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_nfv.hosts.inside import machine_pid, processes_below


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A launcher 10, what it waits for 11, the command 12; another's 20 and 21; and one that ended meanwhile."""
    for parent, *ids in ((1, 10), (10, 11, 1), (11, 12, 2), (1, 20), (20, 21, 2)):
        folder = tmp_path / str(ids[0])
        folder.mkdir()
        seen = "\t".join(map(str, ids))
        (folder / "status").write_text(f"Name:\tx: y\nPid:\t{ids[0]}\nPPid:\t{parent}\nNSpid:\t{seen}\n")
    (tmp_path / "30").mkdir()
    (tmp_path / "self").mkdir()
    return tmp_path


def test_all_that_came_of_a_process_after_it(proc: Path) -> None:
    assert processes_below(10, proc) == [10, 11, 12]
    assert processes_below(99, proc) == []


def test_an_id_from_inside_is_found_among_those_only(proc: Path) -> None:
    assert machine_pid(10, 2, proc) == 12
    assert machine_pid(20, 2, proc) == 21
    assert machine_pid(10, 10, proc) == 10
    assert machine_pid(10, 7, proc) == 10, "there is none: what was started"


def test_of_this_process() -> None:
    assert processes_below(os.getpid())[0] == os.getpid()
    assert machine_pid(os.getpid(), os.getpid()) == os.getpid()
