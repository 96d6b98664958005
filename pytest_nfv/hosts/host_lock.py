"""The lock of a host, as the agent there takes it: one run at a time measures on a host.

A host is a network namespace of a machine, the one that the agent was started in. Its lock is a file named after
that namespace, in a directory where every user of the machine may write, locked by flock(2): the kernel lets it go
when the agent ends, however it ended. What the file says, for those who wait, is the holder's word; the lock alone
counts. Any user may take it, as any user may load the machine.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pytest_nfv.errors import DeploymentError

# The same for every user, so neither the user's own directories nor $TMPDIR.
DIRECTORIES = (Path("/run/lock"), Path("/tmp"))
_OPEN_TO_ALL = stat.S_ISVTX | 0o777
_TEXT_OCTETS = 4096


class HostLock:
    """The lock of the host that this process is on, held or not."""

    def __init__(self, directories: Sequence[Path] = DIRECTORIES) -> None:
        """Make it for the network namespace that this process is in now; not held.

        Args:
            directories: the file is in the first of them that has mode 1777.
        """
        self._directories = directories
        self._name = f"pytest-nfv-host-{os.stat('/proc/self/ns/net').st_ino}.lock"
        self._descriptor = -1

    @property
    def path(self) -> Path:
        """The file that stands for the host.

        Raises:
            DeploymentError: there is no directory for it.
        """
        for directory in self._directories:
            with suppress(OSError):
                if directory.stat().st_mode & _OPEN_TO_ALL == _OPEN_TO_ALL:
                    return directory / self._name
        tried = " and ".join(map(str, self._directories))
        raise DeploymentError(
            f"no directory for the lock of this host: {tried} are not open to every user; "
            f"accepted: mode 1777, as `chmod 1777 {self._directories[-1]}` makes it"
        )

    def take(self, who: str, command: str, run: str, pid: int, inside: str) -> dict[str, Any] | None:
        """Take the lock where it is free; return what the holder says of itself where it is not.

        A run that was started by the holder's is let in without it: it would wait for itself.

        Args:
            who: user and machine, for those who wait.
            command: what was started, likewise.
            run: id of the run.
            pid: process of the run, on the machine of `who`.
            inside: id of the run that started this one, or empty.

        Raises:
            DeploymentError: the file is not to be had, or not to be written.
        """
        if self._descriptor >= 0:
            return None
        path = self.path
        descriptor = _locked(path)
        if descriptor < 0:
            holder = _holder(path)
            return None if _lets_in(holder, run, inside) else holder
        # A process in whose tree others count as started by this run; a far host does not see pytest's.
        tree = pid if os.getppid() == pid else 0
        told = {"who": who, "command": command, "run": run, "pid": pid, "since": time.time()}
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(told | {"tree": tree, "pids": _pid_namespace()}).encode(), 0)
        except OSError as error:
            os.close(descriptor)  # else it would be held by nobody, for as long as this process lives
            raise DeploymentError(
                f"the lock of this host, {path}, cannot be written: {error.strerror}; make room on its file system"
            ) from error
        self._descriptor = descriptor
        return None

    def release(self) -> None:
        """Let it go, and remove the file where that is permitted; safe to call twice."""
        if self._descriptor >= 0:
            with suppress(OSError, DeploymentError):  # another user's: it stays, and is free
                self.path.unlink()
            os.close(self._descriptor)
            self._descriptor = -1


def _locked(path: Path) -> int:
    """Return a descriptor that holds the lock; -1 where another does."""
    while True:
        descriptor = _opened(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A holder that ends removes the file: who had it open by then has locked nothing.
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return -1
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _holder(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            told = json.loads(file.read(_TEXT_OCTETS))
    except (OSError, ValueError):
        return {}  # ended meanwhile, or has not written yet
    return told if isinstance(told, dict) else {}


def _opened(path: Path) -> int:
    """Open the file for all users, made where it is missing.

    O_CREAT on a file that is there is refused where it is another user's (sysctl fs.protected_regular).
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        while True:
            with suppress(FileNotFoundError):
                descriptor = os.open(path, flags)
                break
            mask = os.umask(0)
            try:
                with suppress(FileExistsError):  # another was first
                    descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
                    break
            finally:
                os.umask(mask)
    except OSError as error:
        raise DeploymentError(
            f"the lock of this host, {path}, cannot be opened: {error.strerror}; remove it, if nobody uses it"
        ) from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise DeploymentError(f"the lock of this host, {path}, is not a file of its own; remove it")
    return descriptor


def _lets_in(holder: Mapping[str, Any], run: str, inside: str) -> bool:
    if holder.get("run") and holder["run"] in (run, inside):
        return True
    return holder.get("pids") == _pid_namespace() and holder.get("tree") in _ancestors()


def _pid_namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino


def _ancestors() -> set[int]:
    """Return the processes that this one descends from, as far as they are seen here."""
    found: set[int] = set()
    pid = os.getppid()
    while pid > 0 and pid not in found:
        found.add(pid)
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            break
        pid = int(fields.rpartition(")")[2].split()[1])
    return found
