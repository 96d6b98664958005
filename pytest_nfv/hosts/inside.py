"""Processes that were started through others: by an enclosing launcher, by lxc-attach; and their ids in there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class _Seen:
    parent: int
    ids: tuple[int, ...]  # in each PID namespace that it is in, the innermost last (proc(5), NSpid)


def processes_below(pid: int, proc: Path = PROC) -> list[int]:
    """Return `pid` and every process that came of it, each after its parent; empty where it has ended."""
    seen = dict(_processes(proc))
    found = [pid] if pid in seen else []
    for one in found:
        found += sorted(child for child, about in seen.items() if about.parent == one)
    return found


def machine_pid(started: int, inside: int, proc: Path = PROC) -> int:
    """Return the id out here of a process that says of itself that it is `inside`; `started` where there is none.

    Args:
        started: id of the process that came of `Host.start`: the one meant, or one that it was started through.
        inside: what os.getpid() returns in there.
        proc: where processes are seen.
    """
    seen = dict(_processes(proc))
    same = [one for one in processes_below(started, proc) if one in seen and seen[one].ids[-1] == inside]
    return same[-1] if same else started


def _processes(proc: Path) -> Iterator[tuple[int, _Seen]]:
    for entry in proc.iterdir():
        if entry.name.isdecimal():
            with suppress(OSError, KeyError, ValueError):  # ended meanwhile
                yield int(entry.name), _read(entry / "status")


def _read(status: Path) -> _Seen:
    lines = (line.partition(":") for line in status.read_text(errors="replace").splitlines())
    fields = {name: value.split() for name, _, value in lines}
    return _Seen(int(fields["PPid"][0]), tuple(int(one) for one in fields["NSpid"]))
