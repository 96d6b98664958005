"""The reaper: removes what dead runs of this user left behind, and nothing else.

A run is dead when the lock on its mark is free. Runs that live, and things whose run has no mark, are left alone.
"""

from __future__ import annotations

from pathlib import Path

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts import cgroups, marks, remains
from pytest_nfv.hosts.netns import NAMED
from pytest_nfv.hosts.tuning import table as tuning


def reap(*, dry_run: bool = False, directory: Path | None = None, named: Path = NAMED) -> list[str]:
    """Remove what dead runs left and return it, a phrase a thing.

    Args:
        dry_run: only say what would be removed.
        directory: where the marks are; this user's where not given.
        named: where network namespaces have their names.

    Raises:
        DeploymentError: something of a dead run could not be removed; its mark stays for the next time.
    """
    found: list[str] = []
    trouble: list[str] = []
    for mark in marks.claim_dead(directory or marks.runtime_directory()):
        try:
            found += _left(mark, named) if dry_run else _removed(mark, named)
        except OSError as error:
            trouble.append(f"run {mark.run_id}: {error}")
        finally:
            mark.release()
    if trouble:
        raise DeploymentError(f"could not remove what dead runs left: {'; '.join(trouble)}")
    return found


def _left(mark: marks.Mark, named: Path) -> list[str]:
    return [
        *(f"process {pid}" for pid in remains.processes_of(mark.run_id)),
        *(f"network namespace {path.name}" for path in remains.namespaces_of(mark.run_id, named)),
        *(f"control group {path}" for path in cgroups.groups_of(mark.run_id)),
        *tuning.standing(mark.directory),
        *([f"directory {mark.directory}"] if mark.directory.is_dir() else []),
        f"mark of run {mark.run_id}",
    ]


def _removed(mark: marks.Mark, named: Path) -> list[str]:
    removed = remains.kill_processes(mark.run_id) + remains.remove_namespaces(mark.run_id, named)
    removed += cgroups.remove_groups(mark.run_id) + remains.remove_directory(mark.directory)
    mark.remove()
    return [*removed, f"mark of run {mark.run_id}"]
