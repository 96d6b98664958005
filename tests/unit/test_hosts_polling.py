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
    assert polling.prefer([1, 2]) == ""
    assert asked == [(os.PRIO_PROCESS, 1, -20), (os.PRIO_PROCESS, 2, -20)]
    assert polling.prefer([2, 3]) == "nice value -20 not permitted (Permission denied)"
