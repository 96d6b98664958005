"""Threads of a process, and their nice value."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import threading
from collections.abc import Sequence
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


def made_proc(proc: Path, *processes: tuple[int, int, tuple[tuple[int, str], ...]]) -> Path:
    """Make a /proc of processes: id, parent, and threads with their names."""
    for pid, parent, threads in processes:
        (proc / str(pid)).mkdir()
        (proc / str(pid) / "status").write_text(f"Name:\tx\nPPid:\t{parent}\nNSpid:\t{pid}\n")
        for tid, name in threads:
            folder = proc / str(pid) / "task" / str(tid)
            folder.mkdir(parents=True)
            (folder / "comm").write_text(f"{name}\n")
    return proc


def test_threads_of_a_process_and_of_all_that_came_of_it(tmp_path: Path) -> None:
    proc = made_proc(
        tmp_path,
        (5, 1, ((5, "lxc-attach"),)),
        (7, 5, ((7, "testpmd"), (8, "lcore-worker-1"))),
        (9, 7, ((9, "testpmd"),)),
        (6, 1, ((6, "another"),)),
    )
    (proc / "self").mkdir()
    assert polling.threads_below(5, proc) == {5: "lxc-attach", 7: "testpmd", 8: "lcore-worker-1", 9: "testpmd-9"}
    assert polling.threads_below(9, proc) == {9: "testpmd"}
    assert polling.threads_below(4, proc) == {}


def test_a_process_that_ends_meanwhile_has_no_threads(tmp_path: Path) -> None:
    proc = made_proc(tmp_path, (5, 1, ((5, "sh"),)), (7, 5, ()))
    assert polling.threads_below(5, proc) == {5: "sh"}
    (proc / "5" / "status").unlink()
    assert polling.threads_below(5, proc) == {}


class Kernel:
    """In the place of the C library: takes sched_setattr(2) down, and refuses as it is told."""

    def __init__(self, refuses: dict[int, int]) -> None:
        self.refuses, self.asked, self.errno = refuses, dict[int, bytes](), 0

    def syscall(self, number: int, tid: int, attributes: bytes, flags: int) -> int:
        assert (number, flags) == (314, 0)
        self.asked[tid] = attributes
        self.errno = self.refuses.get(tid, 0)
        return -1 if self.errno else 0


def test_threads_take_short_turns_and_a_refusal_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel({8: errno.EPERM, 9: errno.ESRCH, 10: errno.EPERM})
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: kernel)
    monkeypatch.setattr(ctypes, "get_errno", lambda: kernel.errno)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    notes = polling.take_turns({7: "napi/s0", 8: "vnf0 lcore", 9: "ended", 10: "vnf1 python"})
    assert notes == ("turns of the kernel's own length: vnf0 lcore, vnf1 python (Operation not permitted)",)
    assert list(kernel.asked) == [7, 8, 9, 10]
    size, policy, flags, nice, priority, runtime_ns, *_ = struct.unpack("=IIQiIQQQ", kernel.asked[7])
    assert (size, policy, flags, nice, priority, runtime_ns) == (48, os.SCHED_OTHER, 0, polling.NICE, 0, 100_000)


def test_another_machines_calls_have_other_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel({})
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: kernel)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert polling.take_turns({7: "napi/s0", 8: "vnf0 lcore"}) == (
        "turns of the kernel's own length: napi/s0, vnf0 lcore (shorter ones are for x86_64, not for riscv64)",
    )
    assert kernel.asked == {}


def test_a_process_and_all_below_it_get_their_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proc = made_proc(tmp_path, (5, 1, ((5, "sh"),)), (7, 5, ((7, "python"), (8, "ended"), (9, "kept"))))
    (proc / "5" / "autogroup").write_text("")
    placed: dict[int, list[int]] = {}

    def set_affinity(tid: int, cores: Sequence[int]) -> None:
        if tid == 8:
            raise ProcessLookupError
        if tid == 9:
            raise OSError(errno.EINVAL, "Invalid argument")
        placed[tid] = list(cores)

    preferred = []
    monkeypatch.setattr(os, "sched_setaffinity", set_affinity)
    monkeypatch.setattr(os, "setpriority", lambda _, tid, nice: preferred.append((tid, nice)))
    notes = polling.place_below(5, (0, 2), proc)
    assert notes == ("kept is not pinned to core 0, 2 (Invalid argument)",)
    assert placed == {5: [0, 2], 7: [0, 2]}
    assert [tid for tid, _ in preferred] == [5, 7, 8, 9]
    assert (proc / "5" / "autogroup").read_text() == f"{polling.NICE}\n"
    placed.clear()
    assert polling.place_below(5, (), proc) == ()
    assert placed == {}
