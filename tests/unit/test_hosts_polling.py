"""Threads of a process, and their nice value."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pytest_nfv.hosts import polling


def test_threads_of_this_process() -> None:
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        found = polling.threads_of(os.getpid())
        assert {os.getpid(), other.native_id} <= found.keys()
        assert len(set(found.values())) == len(found)
    finally:
        done.set()
        other.join()


def test_names_are_unique_and_an_ended_process_has_none(tmp_path: Path) -> None:
    for tid, name in ((7, "main"), (12, "worker"), (9, "worker")):
        folder = tmp_path / "7" / "task" / str(tid)
        folder.mkdir(parents=True)
        (folder / "comm").write_text(f"{name}\n")
    assert polling.threads_of(7, tmp_path) == {7: "main", 9: "worker", 12: "worker-12"}
    assert polling.threads_of(8, tmp_path) == {}


def test_prefer_passes_over_what_ended_and_says_what_is_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def setpriority(which: int, tid: int, nice: int) -> None:
        asked.append((which, tid, nice))
        if tid == 1:
            raise ProcessLookupError
        if tid == 3:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "setpriority", setpriority)
    assert polling.prefer({1: "a", 2: "b"}) == ()
    assert asked == [(os.PRIO_PROCESS, 1, -20), (os.PRIO_PROCESS, 2, -20)]
    assert polling.prefer({2: "b", 3: "c"}) == ("c has no priority on its core (Permission denied)",)


def test_priority_that_is_refused_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    nice: dict[int, int] = {7: 0, 8: 0}

    def set_nice(_: int, tid: int, value: int) -> None:
        if tid == 8 and value < nice[tid]:
            raise PermissionError(13, "Permission denied")
        nice[tid] = value

    monkeypatch.setattr(os, "setpriority", set_nice)
    monkeypatch.setattr(os, "getpriority", lambda _, tid: nice[tid])
    assert polling.may_prefer({7: "a", 8: "b"}) == ("b has no priority on its core (Permission denied)",)
    assert nice == {7: 0, 8: 0}
    polling.prefer({7: "a"})
    assert nice[7] == polling.NICE


def test_a_session_is_preferred_where_the_kernel_has_such_a_thing(tmp_path: Path) -> None:
    assert not polling.prefer_session(7, tmp_path)
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "autogroup").write_text("/autogroup-12116 nice 0\n")
    assert polling.prefer_session(7, tmp_path)
    assert (tmp_path / "7" / "autogroup").read_text() == f"{polling.NICE}\n"
