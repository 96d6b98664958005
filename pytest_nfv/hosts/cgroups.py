"""Control groups of a run that limit memory: version 2 where its memory controller is there, else version 1.

Made by the agent right below the root of the hierarchy, as `nfv-RUN-ROLE`, and so found by name after a kill -9.
Seen: version 2 alone (Debian 12's default), and the hybrid with the memory controller in version 1.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_nfv.errors import CapabilityMissing
from pytest_nfv.hosts.run_id import namespace_prefix

ROOT = Path("/sys/fs/cgroup")
CAPABILITY = "memory-limit"
PROCESSES = "cgroup.procs"
END_DEADLINE_S = 2.0
_REMEDY = "run as root, with /sys/fs/cgroup writable (docker run --privileged), or ask for no memory limit"


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Where groups that limit memory are made.

    Attributes:
        root: its mount; limit: the file in a group that takes octets; version: 1 or 2.
    """

    root: Path
    limit: str
    version: int


def memory_hierarchy(root: Path = ROOT) -> Hierarchy:
    """Find the hierarchy with the memory controller.

    Raises:
        CapabilityMissing: there is none.
    """
    controllers = root / "cgroup.controllers"
    if controllers.is_file() and "memory" in controllers.read_text(encoding="ascii").split():
        return Hierarchy(root, "memory.max", 2)
    if (root / "memory" / "memory.limit_in_bytes").is_file():
        return Hierarchy(root / "memory", "memory.limit_in_bytes", 1)
    raise CapabilityMissing(CAPABILITY, f"no memory controller is mounted below {root}", _REMEDY)


def name_of(run_id: str, role: str) -> str:
    """Return the name of the group of a role."""
    return namespace_prefix(run_id) + role


def limit_memory(name: str, mebibytes: int, root: Path = ROOT) -> Path:
    """Make a group, or take the one that is there, and limit what its processes use together.

    Raises:
        CapabilityMissing: no such controller, or not ours to use.
    """
    hierarchy = memory_hierarchy(root)
    group = hierarchy.root / name
    try:
        if hierarchy.version == 2 and "memory" not in _handed_down(hierarchy.root):
            raise CapabilityMissing(CAPABILITY, f"{hierarchy.root} hands no memory controller down", _REMEDY)
        group.mkdir(exist_ok=True)
        (group / hierarchy.limit).write_text(str(mebibytes << 20), encoding="ascii")
    except OSError as error:
        remove(group)
        raise CapabilityMissing(CAPABILITY, f"{group}: {error.strerror}", _REMEDY) from error
    return group


def groups_of(run_id: str, root: Path = ROOT) -> list[Path]:
    """Return the groups of a run, in every hierarchy, the inner ones first."""
    tops = [top for place in _roots(root) for top in place.glob(f"{namespace_prefix(run_id)}*")]
    return [group for top in tops for group in _all(top)]


def remove_groups(run_id: str, root: Path = ROOT) -> list[str]:
    """Remove the groups of a run, whose processes have ended; return what went.

    Raises:
        OSError: EBUSY where a process is left in one.
    """
    groups = groups_of(run_id, root)
    for group in groups:
        remove(group)
    return [f"control group {group}" for group in groups]


def remove(group: Path) -> None:
    """Remove one group, once the last of its processes has left it; that it is not there is no trouble.

    Raises:
        OSError: EBUSY: processes in it live on.
    """
    deadline = time.monotonic() + END_DEADLINE_S
    while group.is_dir():
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)  # a process that ended a moment ago may still be counted


def polling_weight(root: Path = ROOT) -> tuple[str, str] | None:
    """Return the file of a group, and its text, that give the group the weight of nice value -20; None: no need.

    The kernel shares a core between groups first: beside a session of that weight, a group of an ordinary one has
    one part in 87 of it, whatever the nice values in it.
    """
    controllers = root / "cgroup.controllers"
    if controllers.is_file():
        return ("cpu.weight.nice", "-20") if "cpu" in _handed_down(root) else None
    return ("cpu.shares", "88761") if (root / "cpu" / "cpu.shares").is_file() else None


def _handed_down(root: Path) -> list[str]:
    return (root / "cgroup.subtree_control").read_text(encoding="ascii").split()


def _roots(root: Path) -> Iterator[Path]:
    """Yield every mounted hierarchy: version 2 is one, version 1 has one a controller."""
    yield root
    if not (root / "cgroup.controllers").is_file():
        with suppress(OSError):
            yield from (place for place in sorted(root.iterdir()) if place.is_dir() and not place.is_symlink())


def _all(group: Path) -> Iterator[Path]:
    for place, _, _ in os.walk(group, topdown=False):
        yield Path(place)
