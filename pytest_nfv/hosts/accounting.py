"""Processor time of cores and threads, and frames dropped on the way to a socket, between two moments.

A core's time comes from /proc/stat, in ticks of 10 ms on most kernels: over a trial of a second that is one per
cent. A thread's time and run delay come from its schedstat, in nanoseconds as of its last tick or switch.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_nfv.hosts.clocks import Clocks
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.model.accounts import OTHER
from pytest_nfv.model.trial import CoreUse, ThreadUse

NOTEWORTHY_S = 100e-6
"""What ran on the device's core for less than this kept it from nothing."""

# Places in /proc/PID/stat, counted from the state, which follows the name; proc(5)
_STAT_USER, _STAT_SYSTEM, _STAT_CORE = 11, 12, 36  # utime, stime, processor

# /proc/stat: cpuN user nice system idle iowait irq softirq steal ...; proc(5)
_USER, _NICE, _SYSTEM, _IRQ, _SOFTIRQ, _STEAL = 0, 1, 2, 5, 6, 7


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Counters of one moment.

    Attributes:
        at_s: CLOCK_MONOTONIC; cores: core to its ticks, in /proc/stat's order.
        threads: thread id to (processor ns, run delay ns); a thread without an account is left out.
        backlog_drops: core to frames that its receive queue had no room for.
    """

    at_s: float
    cores: Mapping[int, tuple[int, ...]]
    threads: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    backlog_drops: Mapping[int, int] = field(default_factory=dict)
    tasks: Mapping[int, Task] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """Any thread of the machine.

    Attributes:
        core: that it ran on last; cpu_ns: processor time.
        user_ticks, system_ticks: the same by mode, as far as the kernel's ticks tell.
    """

    name: str
    core: int
    cpu_ns: int
    user_ticks: int = 0
    system_ticks: int = 0


def snapshot(host: Host, tids: Sequence[int]) -> Snapshot:
    """Read all cores and the threads `tids`."""
    threads = {}
    for tid in tids:
        account = _schedstat(host, tid)
        if account is not None:
            threads[tid] = account
    return Snapshot(time.monotonic(), read_cores(host), threads, read_backlog_drops(host), read_tasks())


def read_cores(host: Host) -> dict[int, tuple[int, ...]]:
    """Return every core's ticks since the machine started."""
    cores = {}
    for line in host.read_text("/proc/stat").splitlines():
        name, *ticks = line.split()
        if name.startswith("cpu") and name != "cpu":
            cores[int(name[3:])] = tuple(int(tick) for tick in ticks)
    return cores


def read_backlog_drops(host: Host) -> dict[int, int]:
    """Return, per core, frames dropped as its backlog was full (net.core.netdev_max_backlog)."""
    try:
        lines = host.read_text("/proc/net/softnet_stat").splitlines()
    except OSError:
        return {}
    rows = [[int(word, 16) for word in line.split()] for line in lines]
    return {row[12] if len(row) > 12 else place: row[1] for place, row in enumerate(rows)}


def softirq_threads(cores: Sequence[int], proc: Path = Path("/proc")) -> dict[int, str]:
    """Return the kernel's softirq threads of `cores`, id to name: what a kernel dataplane defers runs there.

    Empty inside a pid namespace, where kernel threads are not seen.
    """
    wanted = {f"ksoftirqd/{core}" for core in cores}
    found = {}
    for entry in proc.iterdir():
        # Kernel threads are few and old: the first thousands of ids, so that a busy machine is not walked whole.
        if entry.name.isdecimal() and int(entry.name) < 4096:
            with suppress(OSError):
                name = (entry / "comm").read_text().strip()
                if name in wanted:
                    found[int(entry.name)] = name
    return found


def _schedstat(host: Host, tid: int) -> tuple[int, int] | None:
    try:
        cpu_ns, delay_ns, _ = (int(word) for word in host.read_text(f"/proc/{tid}/schedstat").split())
    except (OSError, ValueError):
        return None  # ended, or a kernel without CONFIG_SCHED_INFO
    return cpu_ns, delay_ns


def core_use(role: str, core: int, before: Snapshot, after: Snapshot, ticks_per_s: float) -> CoreUse:
    """Return one core's time between two moments; time in hard interrupts counts as system time."""
    spent = [(b - a) / ticks_per_s for a, b in zip(before.cores[core], after.cores[core], strict=True)]
    return CoreUse(
        role=role,
        core=core,
        wall_s=after.at_s - before.at_s,
        user_s=spent[_USER] + spent[_NICE],
        system_s=spent[_SYSTEM] + spent[_IRQ],
        softirq_s=spent[_SOFTIRQ],
        steal_s=spent[_STEAL],
    )


def read_tasks(proc: Path = Path("/proc")) -> dict[int, Task]:
    """Return every thread of the machine that can be seen, by id; some hundred, in a few ms."""
    tasks = {}
    for process in proc.iterdir():
        if not process.name.isdecimal():
            continue
        with suppress(OSError, ValueError):  # ended meanwhile, or a kernel that keeps no account
            for entry in (process / "task").iterdir():
                name, _, rest = (entry / "stat").read_text(errors="replace").partition("(")[2].rpartition(") ")
                cpu_ns = (entry / "schedstat").read_text().split()[0]
                words = rest.split()
                modes = (int(words[_STAT_USER]), int(words[_STAT_SYSTEM]))
                tasks[int(entry.name)] = Task(name, int(words[_STAT_CORE]), int(cpu_ns), *modes)
    return tasks


def others_on(cores: Sequence[int], own: Collection[int], before: Snapshot, after: Snapshot) -> list[ThreadUse]:
    """Return what ran on `cores` and is none of `own`, the longest first.

    A thread counts for the core that it ran on last, with all that it used: one that moved is counted whole.
    """
    used = []
    for tid, task in after.tasks.items():
        then = before.tasks.get(tid)
        spent_s = (task.cpu_ns - (then.cpu_ns if then else 0)) / 1e9
        if task.core in cores and tid not in own and spent_s >= NOTEWORTHY_S:
            used.append(ThreadUse(OTHER, f"{task.name} ({tid})", spent_s, 0.0))
    return sorted(used, key=lambda use: -use.cpu_s)


def thread_use(role: str, name: str, tid: int, before: Snapshot, after: Snapshot) -> ThreadUse | None:
    """Return one thread's time between two moments; None where the kernel keeps no account of it."""
    if tid not in before.threads or tid not in after.threads:
        return None
    (cpu_then, delay_then), (cpu_now, delay_now) = before.threads[tid], after.threads[tid]
    cpu_s = (cpu_now - cpu_then) / 1e9
    system_s = _system_share(before.tasks.get(tid), after.tasks.get(tid))
    return ThreadUse(
        role, name, cpu_s, (delay_now - delay_then) / 1e9, system_s=None if system_s is None else system_s * cpu_s
    )


def _system_share(before: Task | None, after: Task | None) -> float | None:
    """Return the part of a thread's time in the kernel; None where no tick met it."""
    if before is None or after is None:
        return None
    user, system = after.user_ticks - before.user_ticks, after.system_ticks - before.system_ticks
    return system / (user + system) if user + system > 0 else None


class Accounts:
    """The processor accounts of one trial: `start`, the trial, `stop`."""

    def __init__(
        self,
        *,
        device_cores: Sequence[int],
        generator_cores: Sequence[int],
        device_threads: Mapping[int, str],
        generator_threads: Mapping[int, str] | None = None,
        host: Host | None = None,
        root: Path = Path("/"),
    ) -> None:
        """Say what belongs to whom; `host` is this machine where not given, `root` where its /sys is."""
        self._host = host or LocalHost()
        self._cores = [("device", core) for core in device_cores] + [
            ("generator", core) for core in generator_cores
        ]
        self._threads = [("device", name, tid) for tid, name in device_threads.items()]
        self._threads += [("generator", name, tid) for tid, name in (generator_threads or {}).items()]
        self._clocks = Clocks([core for _, core in self._cores], root)
        self._before: Snapshot | None = None

    def start(self) -> None:
        """Open the accounts."""
        self._before = self._read()
        self._clocks.start()

    def stop(self) -> tuple[tuple[CoreUse, ...], tuple[ThreadUse, ...]]:
        """Close them; return what each core and each thread used. A core that went away is left out."""
        assert self._before is not None, "stop() before start()"
        clocked = self._clocks.stop()
        before, after = self._before, self._read()
        ticks_per_s = float(os.sysconf("SC_CLK_TCK"))
        cores = tuple(
            replace(core_use(role, core, before, after, ticks_per_s), frequency_hz=clocked.get(core))
            for role, core in self._cores
            if core in before.cores and core in after.cores
        )
        used = [thread_use(role, name, tid, before, after) for role, name, tid in self._threads]
        device = [core for role, core in self._cores if role == "device"]
        others = others_on(device, {tid for _, _, tid in self._threads}, before, after)
        return cores, (*(use for use in used if use is not None), *others)

    def _read(self) -> Snapshot:
        return snapshot(self._host, [tid for _, _, tid in self._threads])
