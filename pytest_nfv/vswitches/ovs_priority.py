"""The core for the threads that forward, before OVS's others and before all else that runs there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

NICE = -20


def prefer(threads: Mapping[int, str], nice: int = NICE) -> tuple[str, ...]:
    """Give threads (id to name) a nice value; return which were not let, and why."""
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
    """Give the session of a process its nice value, too; return whether there is such a thing here.

    With `sched_autogroup_enabled`, the kernel shares a core between sessions first, and a thread's nice value
    counts among its own session's threads only (sched(7)). Each process of a run has a session of its own.
    """
    try:
        (proc / str(pid) / "autogroup").write_text(f"{NICE}\n")
    except OSError:
        return False  # no autogroups in this kernel, or not permitted: the thread's own note says so then
    return True
