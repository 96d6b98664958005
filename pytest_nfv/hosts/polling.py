"""Threads of a process that polls: found, and given their core before anything else that runs there.

First-in-first-out would be wrong for them, unlike for NAPI's (`napi.py`): a thread that spins under SCHED_FIFO
is throttled for 50 ms of every second (sched(7), `sched_rt_runtime_us`). A nice value of -20 has 86 times the
weight of an ordinary thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
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


def prefer(tids: Iterable[int]) -> str:
    """Give threads the best nice value; return why not, or empty.

    All threads of a switch get it, those for control too: one of these, at an ordinary nice value beside a thread
    that spins, would wait for a quarter of a second to answer.
    """
    for tid in tids:
        try:
            os.setpriority(os.PRIO_PROCESS, tid, NICE)
        except ProcessLookupError:
            continue  # ended meanwhile
        except PermissionError as error:
            return f"nice value {NICE} not permitted ({error.strerror})"
    return ""
