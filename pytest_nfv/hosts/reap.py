"""The reaper: removes what dead runs of this user left behind, and nothing else.

A run is dead when the lock on its mark is free. Runs that live, and things whose run has no mark, are left alone.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts import cgroups, marks, remains
from pytest_nfv.hosts.netns import NAMED
from pytest_nfv.hosts.run_id import checked_run_id
from pytest_nfv.hosts.tuning import table as tuning

END_DEADLINE_S = 25.0
"""Longer than a run waits for its cards (`tuning.journal.HOME_DEADLINE_S`) and takes its device down."""
REAP_DEADLINE_S = 45.0
"""How long to wait for `reap --run` on another host."""


def reap(
    *, dry_run: bool = False, directory: Path | None = None, named: Path = NAMED, run_id: str = ""
) -> list[str]:
    """Remove what dead runs left and return it, a phrase a thing.

    Args:
        dry_run: only say what would be removed.
        run_id: a run that is to end now, where it has not: whoever asks was its only user.
        directory: where the marks are; this user's where not given.
        named: where network namespaces have their names.

    Raises:
        DeploymentError: something of a dead run could not be removed; its mark stays for the next time.
    """
    found: list[str] = []
    trouble: list[str] = []
    if run_id and not dry_run:
        try:
            found += _ended(run_id, directory or marks.runtime_directory())
        except DeploymentError as error:
            trouble.append(str(error))
    # Cards go home first, of all runs: one run may have settings of a card that another has taken.
    steps = [_left] if dry_run else [_sent_home, _removed]
    dead = marks.claim_dead(directory or marks.runtime_directory())
    with ExitStack() as claimed:
        for mark in dead:
            claimed.callback(mark.release)
        kept = set()
        for step in steps:
            for mark in dead:
                did, wrong = step(mark, named)
                found += did
                trouble += [f"run {mark.run_id}: {one}" for one in wrong]
                kept |= {mark.run_id} if wrong else set()
        for mark in dead:
            if mark.run_id not in kept:
                found.append(f"mark of run {mark.run_id}")
                if not dry_run:
                    mark.remove()
    if trouble:
        raise DeploymentError(f"could not remove what dead runs left: {'; '.join(trouble)}")
    return found


def _ended(run_id: str, directory: Path) -> list[str]:
    """Have a run that lives put everything back, as far as it does; return it, as a phrase.

    Raises:
        DeploymentError: it has not come to an end in time.
    """
    mark = directory / f"{checked_run_id(run_id)}{marks.SUFFIX}"
    owners = remains.owners_of(run_id)
    for pid in owners:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + END_DEADLINE_S
    while mark.exists() and (alive := remains.owners_of(run_id)):
        if time.monotonic() >= deadline:
            pids = ", ".join(map(str, alive))
            raise DeploymentError(f"run {run_id} (process {pids}) did not end within {END_DEADLINE_S:g} s")
        time.sleep(0.05)
    return [f"run {run_id}, which put itself back"] if owners and not mark.exists() else []


def _left(mark: marks.Mark, named: Path) -> tuple[list[str], list[str]]:
    left = [
        *(f"process {pid}" for pid in remains.processes_of(mark.run_id)),
        *(f"network namespace {path.name}" for path in remains.namespaces_of(mark.run_id, named)),
        *(f"control group {path}" for path in cgroups.groups_of(mark.run_id)),
        *tuning.standing(mark.directory),
        *([f"directory {mark.directory}"] if mark.directory.is_dir() else []),
    ]
    return left, []


def _sent_home(mark: marks.Mark, named: Path) -> tuple[list[str], list[str]]:
    return remains.send_home(mark.run_id, mark.directory)


def _removed(mark: marks.Mark, named: Path) -> tuple[list[str], list[str]]:
    return remains.put_back(mark.run_id, mark.directory, named)
