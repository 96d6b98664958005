"""Marks of runs: one locked file a run, so that anybody can tell a live run from a dead one.

The lock, flock(2), is held by pytest and by the run's agent through one open file, and the kernel lets it go when
both have ended, however they ended. A mark is there before anything else of the run, and goes last.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts.run_id import checked_run_id

SUFFIX = ".run"


def runtime_directory() -> Path:
    """Return this user's directory for marks, made where it is missing.

    /run/pytest-nfv for root, else below $XDG_RUNTIME_DIR, else below the directory for temporary files.

    Raises:
        DeploymentError: it cannot be made, or is somebody else's.
    """
    uid = os.geteuid()
    path = place_of(uid, os.environ.get("XDG_RUNTIME_DIR", ""))
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise DeploymentError(f"cannot keep marks of runs in {path}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o022:
        raise DeploymentError(f"{path} is not a directory that user {uid} alone writes to; remove it")
    return path


def place_of(uid: int, session: str) -> Path:
    """Return where a user's marks belong; `session` is the user's session directory, where there is one."""
    if uid == 0:
        return Path("/run/pytest-nfv")
    if session and os.access(session, os.W_OK):
        return Path(session, "pytest-nfv")
    return Path(tempfile.gettempdir(), f"pytest-nfv-{uid}")


class Mark:
    """The mark of a run that this process is part of."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Take over a locked file; `make` and `claim_dead` lock it."""
        self.path = path
        self.descriptor = descriptor

    @property
    def run_id(self) -> str:
        """The run that it stands for."""
        return self.path.name.removesuffix(SUFFIX)

    @property
    def directory(self) -> Path:
        """The run's own directory, beside the mark: sockets, logs, journals. Made by `make_directory`."""
        return self.path.with_suffix("")

    def make_directory(self) -> Path:
        """Make the run's own directory, for this user alone.

        Raises:
            DeploymentError: it cannot be made.
        """
        try:
            self.directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise DeploymentError(f"cannot make {self.directory}: {error.strerror}") from error
        return self.directory

    @classmethod
    def make(cls, run_id: str, directory: Path) -> Mark:
        """Mark a run of this process as alive.

        Raises:
            DeploymentError: there is such a run already, or the file cannot be written.
        """
        path = directory / (checked_run_id(run_id) + SUFFIX)
        try:
            with _locked(directory):
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            text = json.dumps({"run": run_id, "pid": os.getpid(), "started_at": time.time()})
            os.write(descriptor, text.encode())
        except FileExistsError as error:
            raise DeploymentError(f"run {run_id} is marked already, by {path}") from error
        except OSError as error:
            raise DeploymentError(f"cannot mark the run in {path}: {error.strerror}") from error
        return cls(path, descriptor)

    def remove(self) -> None:
        """Take the mark away and let its lock go; safe to call twice."""
        if self.descriptor >= 0:
            self.path.unlink(missing_ok=True)
            self.release()

    def release(self) -> None:
        """Let the lock go and leave the file, for a run that could not be put back; safe to call twice."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def claim_dead(directory: Path) -> list[Mark]:
    """Return the marks of dead runs, each locked for the caller: nobody else finds the same ones."""
    dead = []
    with _locked(directory):
        for path in sorted(directory.glob(f"*{SUFFIX}")):
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # its run has just ended
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)  # alive
                continue
            dead.append(Mark(path, descriptor))
    return dead


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep others from looking while a mark exists that its maker has not locked yet."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
