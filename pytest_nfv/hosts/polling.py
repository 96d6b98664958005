"""Threads of a process that polls: found, and given their core before anything else that runs there.

First-in-first-out would be wrong for them, unlike for NAPI's (`napi.py`): a thread that spins under SCHED_FIFO
is throttled for 50 ms of every second (sched(7), `sched_rt_runtime_us`). A nice value of -20 has 86 times the
weight of an ordinary thread.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

NICE = -20


def threads_of(pid: int, proc: Path = Path("/proc")) -> dict[int, str]:
    """Return a process's threads, id to name; a name that is taken gets the id behind it. Empty: it ended."""
    found: dict[int, str] = {}
    with suppress(OSError):
        for entry in sorted((proc / str(pid) / "task").iterdir(), key=lambda one: int(one.name)):
            with suppress(OSError):  # ended meanwhile
                name = (entry / "comm").read_text(encoding="utf-8", errors="replace").strip()
                found[int(entry.name)] = name if name not in found.values() else f"{name}-{entry.name}"
    return found


def prefer(threads: Mapping[int, str], nice: int = NICE) -> tuple[str, ...]:
    """Give threads (id to name) a nice value; return which were not let, and why.

    Control threads beside one that spins need it, too: at an ordinary nice value they wait for a quarter of a
    second to answer.
    """
    notes = []
    for tid, name in threads.items():
        try:
            os.setpriority(os.PRIO_PROCESS, tid, nice)
        except ProcessLookupError:
            continue  # it has ended meanwhile
        except PermissionError as error:
            notes.append(f"{name} has no priority on its core ({error.strerror})")
    return tuple(notes)


def may_prefer(threads: Mapping[int, str]) -> tuple[str, ...]:
    """Try it, and put each thread back to what it was; return which are not let, and why."""
    before = {}
    for tid in threads:
        with suppress(ProcessLookupError):
            before[tid] = os.getpriority(os.PRIO_PROCESS, tid)
    notes = prefer(threads)
    for tid, nice in before.items():
        prefer({tid: threads[tid]}, nice)
    return notes


def prefer_session(pid: int, proc: Path = Path("/proc")) -> bool:
    """Give the session of a process the same; return whether there is such a thing here.

    With `sched_autogroup_enabled`, the kernel shares a core between sessions first, and a thread's nice value
    counts among its own session's threads only (sched(7)). Each process of a run has a session of its own.
    """
    try:
        (proc / str(pid) / "autogroup").write_text(f"{NICE}\n")
    except OSError:
        return False  # no autogroups in this kernel, or not permitted: the thread's own note says so then
    return True
