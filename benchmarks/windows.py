"""Counters at two moments, and how long threads waited for their cores in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


def threads_of(pid: int) -> list[int]:
    """Return the threads of a process and of its children."""
    found = []
    for task in _tasks(pid):
        found.append(task)
        try:
            children = Path(f"/proc/{pid}/task/{task}/children").read_text().split()
        except OSError:
            continue  # ended meanwhile
        for child in children:
            found += threads_of(int(child))
    return found


def _tasks(pid: int) -> list[int]:
    try:
        return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []


def account(tid: int) -> tuple[int, int]:
    """Return a thread's processor time and run delay so far, in ns; (0, 0) where it has ended."""
    try:
        cpu_ns, delay_ns, _ = Path(f"/proc/{tid}/schedstat").read_text().split()
    except OSError:
        return 0, 0
    return int(cpu_ns), int(delay_ns)


def busiest(pid: int) -> tuple[int, int]:
    """Return which thread of a process and its children used most processor time, and how much, in ns."""
    used = [(account(tid)[0], tid) for tid in threads_of(pid)]
    cpu_ns, tid = max(used, default=(0, pid))
    return tid, cpu_ns


@dataclass(frozen=True, slots=True)
class Moment:
    """Counters at one time.

    Attributes:
        at_s: of a steady clock; counts: frames; delays_ns: run delay by thread.
    """

    at_s: float
    counts: tuple[int, ...]
    delays_ns: Mapping[int, int]


def moment(at_s: float, counts: Sequence[int], tids: Sequence[int]) -> Moment:
    """Return the counters, with the run delay of the threads `tids`."""
    return Moment(at_s, tuple(counts), {tid: account(tid)[1] for tid in tids})


@dataclass(frozen=True, slots=True)
class Window:
    """What happened between two moments."""

    first: Moment
    last: Moment

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.last.at_s - self.first.at_s

    @property
    def counts(self) -> tuple[int, ...]:
        """Frames, by counter."""
        return tuple(b - a for a, b in zip(self.first.counts, self.last.counts, strict=True))

    @property
    def waited(self) -> float:
        """Largest share of the window in which one of the threads waited for its core."""
        spans = [self.last.delays_ns[tid] - start for tid, start in self.first.delays_ns.items()]
        return max(spans, default=0) / 1e9 / self.seconds
