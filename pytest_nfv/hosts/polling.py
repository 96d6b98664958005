"""Threads of a process that polls: found, and given their core before anything else that runs there.

First-in-first-out would be wrong for them, unlike for NAPI's (`napi.py`): a thread that spins under SCHED_FIFO
is throttled for 50 ms of every second (sched(7), `sched_rt_runtime_us`). A nice value of -20 has 86 times the
weight of an ordinary thread.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pytest_nfv.hosts.inside import processes_below

NICE = -20
_COMM_OCTETS = 15  # of a thread's name, proc(5)
SHORT_SLICE_NS = 100_000  # the shortest that the kernel takes
_SYS_SCHED_SETATTR = {"x86_64": 314}  # the call's number, by machine
_SCHED_ATTR = struct.Struct("=IIQiIQQQ")  # size, policy, flags, nice, priority, runtime, deadline, period


def threads_of(pid: int, proc: Path = Path("/proc")) -> dict[int, str]:
    """Return a process's threads, id to name; a name that is taken gets the id behind it. Empty: it ended."""
    found: dict[int, str] = {}
    with suppress(OSError):
        for entry in sorted((proc / str(pid) / "task").iterdir(), key=lambda one: int(one.name)):
            with suppress(OSError):  # ended meanwhile
                name = (entry / "comm").read_text(encoding="utf-8", errors="replace").strip()
                found[int(entry.name)] = name if name not in found.values() else f"{name}-{entry.name}"
    return found


def threads_below(pid: int, proc: Path = Path("/proc")) -> dict[int, str]:
    """Return the threads of a process and of all that descend from it, as `threads_of` does.

    What runs in a PID namespace has its ids there, and is found so as what it is here.
    """
    found: dict[int, str] = {}
    for one in processes_below(pid, proc):
        for tid, name in threads_of(one, proc).items():
            found[tid] = name if name not in found.values() else f"{name}-{tid}"
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


def place_below(pid: int, cores: Sequence[int], proc: Path = Path("/proc")) -> tuple[str, ...]:
    """Give a process and all below it their cores, and the session and nice value of those that poll there.

    Returns:
        Which were not let, and why.
    """
    notes = []
    for one in processes_below(pid, proc):
        prefer_session(one, proc)
    threads = threads_below(pid, proc)
    for tid, name in threads.items():
        try:
            if cores:
                os.sched_setaffinity(tid, cores)
        except ProcessLookupError:
            continue
        except OSError as error:
            notes.append(f"{name} is not pinned to core {', '.join(map(str, cores))} ({error.strerror})")
    return (*notes, *prefer(threads))


def prefer_started(pid: int, program: str, within_s: float = 5.0) -> None:
    """Wait for a program to run below a process that was just started, and give it its priority at once.

    What shares its core with a thread that polls may otherwise not even come up: at an ordinary nice value it has
    one part in 87. What starts it may wait: a container's command is the third process in a row.
    """
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        running = [one for one in processes_below(pid) if _name(one) == program[:_COMM_OCTETS]]
        if running:
            prefer_session(running[-1])
            prefer(threads_of(running[-1]))
            return
        time.sleep(0.002)


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    return ""


def take_turns(threads: Mapping[int, str]) -> tuple[str, ...]:
    """Let threads that share a core take turns of 0.1 ms, all alike; return which were not let, and why.

    Kernel threads lose their class of their own: of two first-in-first-out, one with frames all the time lets the
    other never run. Nor would the kernel's own turns of 3 ms do: at 500 kpps a ring of 1,024 frames holds the load
    of 2 ms. A slice of a thread's own is taken from Linux 6.12 on (`sched_runtime` in sched_setattr(2), for
    SCHED_OTHER too); an older kernel ignores it.
    """
    number = _SYS_SCHED_SETATTR.get(platform.machine())
    if number is None:
        why = f"shorter ones are for {', '.join(_SYS_SCHED_SETATTR)}, not for {platform.machine()}"
        return (f"turns of the kernel's own length: {', '.join(threads.values())} ({why})",)
    call = ctypes.CDLL(None, use_errno=True).syscall
    attributes = _SCHED_ATTR.pack(_SCHED_ATTR.size, os.SCHED_OTHER, 0, NICE, 0, SHORT_SLICE_NS, 0, 0)
    refused: dict[int, list[str]] = {}
    for tid, name in threads.items():
        if call(number, tid, attributes, 0) and (error := ctypes.get_errno()) != errno.ESRCH:
            refused.setdefault(error, []).append(name)
    return tuple(
        f"turns of the kernel's own length: {', '.join(names)} ({os.strerror(error)})"
        for error, names in refused.items()
    )
