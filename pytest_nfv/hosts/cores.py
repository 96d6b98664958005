"""Lists of cores as the kernel writes them, and which of them we may use."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

SYSTEM = Path("/sys/devices/system/cpu")
ONLINE, ISOLATED = "online", "isolated"


def core_list(text: str) -> tuple[int, ...]:
    """Read `0-3,8` as (0, 1, 2, 3, 8).

    Raises:
        ValueError: it is no such list.
    """
    cores: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cores += range(int(first), int(last or first) + 1)
    return tuple(cores)


def core_text(cores: Iterable[int]) -> str:
    """Write (0, 1, 2, 3, 8) as `0-3,8`, as the kernel does."""
    spans: list[list[int]] = []
    for core in sorted(set(cores)):
        if spans and spans[-1][1] == core - 1:
            spans[-1][1] = core
        else:
            spans.append([core, core])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def with_isolated(allowed: Iterable[int], online: str, isolated: str) -> tuple[int, ...]:
    """Return cores that may be used: those allowed, and those that the scheduler was told to leave alone.

    No process has the latter in its own list (`isolcpus=`, kernel-parameters.txt), and any may ask for one.

    Args:
        allowed: of a process, as sched_getaffinity(2) says.
        online: what the kernel's file of this name says, empty where there is none.
        isolated: likewise.
    """
    kept = set(core_list(isolated)) if isolated.strip() else set()
    there = set(core_list(online)) if online.strip() else kept
    return tuple(sorted({*allowed, *(kept & there)}))


def usable_cores(system: Path = SYSTEM) -> list[int]:
    """Return the cores of this machine that we may use; isolated ones where the control group lets us."""
    allowed = os.sched_getaffinity(0)
    listed = {name: _said(system / name) for name in (ONLINE, ISOLATED)}
    found = sorted(allowed)
    try:
        for core in with_isolated(allowed, listed[ONLINE], listed[ISOLATED]):
            if core not in allowed:
                with suppress(OSError):  # not of our control group's
                    os.sched_setaffinity(0, {core})
                    found.append(core)
    finally:
        os.sched_setaffinity(0, allowed)
    return sorted(found)


def _said(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
