"""What a run leaves on the machine when it ends badly, found by the run's id and removed."""

from __future__ import annotations

import os
import select
import shutil
import signal
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts import cgroups, hugepages
from pytest_nfv.hosts.away import ADOPTED
from pytest_nfv.hosts.netns import NAMED, remove_name
from pytest_nfv.hosts.run_id import RUN_VARIABLE, namespace_prefix
from pytest_nfv.hosts.tuning import table as tuning

END_DEADLINE_S = 2.0
_OWNERS = frozenset((b"pytest_nfv.hosts.agent", b"pytest_nfv.deployment.far"))


def each(*steps: Callable[[], list[str]]) -> tuple[list[str], list[str]]:
    """Do every step, whatever became of those before; return what was done, and what went wrong."""
    done, trouble = [], []
    for step in steps:
        try:
            done += step()
        except (DeploymentError, OSError) as error:
            trouble.append(str(error))
    return done, trouble


def send_home(run_id: str, directory: Path) -> tuple[list[str], list[str]]:
    """Kill the processes of a run, and give its cards back to the host; return as `each`."""
    return each(lambda: kill_processes(run_id), lambda: give_back_interfaces(directory))


def put_back(run_id: str, directory: Path, named: Path | None = NAMED) -> tuple[list[str], list[str]]:
    """Put back the rest, settings before what only takes room; return as `each`.

    Args:
        run_id: whose.
        directory: the run's own.
        named: where namespaces of its name are removed; None where whoever made them has removed them.
    """
    away = (directory / ADOPTED).exists()  # a namespace keeps its name while a card is in it: it is the way to it
    return each(
        lambda: [] if named is None or away else remove_namespaces(run_id, named),
        lambda: remove_directory(directory),
        lambda: cgroups.remove_groups(run_id),
    )


def processes_of(run_id: str, proc: Path = Path("/proc")) -> list[int]:
    """Return the processes that carry the run's id in their environment and may be looked at, without this one."""
    wanted = f"{RUN_VARIABLE}={run_id}".encode()
    return [
        int(entry.name)
        for entry in proc.iterdir()
        if entry.name.isdecimal() and int(entry.name) != os.getpid() and _carries(entry, wanted)
    ]


def _carries(entry: Path, wanted: bytes) -> bool:
    try:
        return wanted in (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return False  # ended meanwhile, or another user's


def owners_of(run_id: str, proc: Path = Path("/proc")) -> list[int]:
    """Return the processes that put a run back when asked to end: its agent, and who holds a far device."""
    found = []
    for entry in proc.iterdir():
        with suppress(OSError):  # ended meanwhile
            if entry.name.isdecimal():
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if _OWNERS.intersection(words) and b"--run" in words[:-1]:
                    found += [int(entry.name)] if words[words.index(b"--run") + 1] == run_id.encode() else []
    return found


def kill_processes(run_id: str, spare: Collection[int] = ()) -> list[str]:
    """Kill every process of the run and wait until they have ended; return what was killed.

    Args:
        run_id: whose processes.
        spare: process ids that stay.
    """
    wanted = f"{RUN_VARIABLE}={run_id}".encode()
    killed = []
    deadline = time.monotonic() + END_DEADLINE_S
    for pid in processes_of(run_id):
        if pid in spare:
            continue
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                # Looked at again through a handle that cannot become another process's.
                if _carries(Path(f"/proc/{pid}"), wanted):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
                    killed.append(f"process {pid}")
            finally:
                os.close(handle)
    return killed


def namespaces_of(run_id: str, directory: Path = NAMED) -> list[Path]:
    """Return the named network namespaces of the run."""
    return sorted(directory.glob(f"{namespace_prefix(run_id)}*"))


def give_back_interfaces(directory: Path) -> list[str]:
    """Give back the host's interfaces that the run of this directory took; return them, a phrase each.

    Raises:
        DeploymentError: the kernel keeps one. OSError: not permitted.
    """
    if not (directory / ADOPTED).exists():
        return []
    from pytest_nfv.hosts import adopted  # with it comes netlink, which costs more than all else here

    return adopted.give_back(directory)


def remove_namespaces(run_id: str, directory: Path = NAMED) -> list[str]:
    """Remove the run's named network namespaces, and with them the links inside; return their names.

    Raises:
        OSError: not permitted.
    """
    paths = namespaces_of(run_id, directory)
    for path in paths:
        remove_name(path)
    return [f"network namespace {path.name}" for path in paths]


def remove_directory(directory: Path) -> list[str]:
    """Put back settings and huge pages as the run of this directory found them, and remove it; return what went.

    Processes of the run must have ended: pages in use do not leave the pool.

    Raises:
        OSError: not permitted, or a card is not at home; the directory stays, with its journals.
    """
    if not directory.is_dir():
        return []
    gone, trouble = each(
        lambda: tuning.put_back(directory),
        lambda: hugepages.give_back(directory, hugepages.default_pool()),
    )
    if (directory / ADOPTED).exists():
        trouble.append(f"{directory / ADOPTED} names interfaces that are not given back")
    if trouble:
        raise OSError("; ".join(trouble))
    shutil.rmtree(directory)
    return [*gone, f"directory {directory}"]
