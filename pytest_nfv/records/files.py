"""Files that are whole or not there: written beside their place, locked meanwhile, renamed into it."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from pytest_nfv.records.errors import RecordError

TEMPORARY = ".tmp"

_REMEDIES = {
    errno.ENOSPC: "free some space there, or choose another directory",
    errno.EDQUOT: "free some of the quota, or choose another directory",
    errno.EFBIG: "raise the file size limit (ulimit -f), or choose another directory",
    errno.EROFS: "choose a directory on a file system that can be written",
    errno.EACCES: "choose a directory that this user may write",
    errno.EPERM: "choose a directory that this user may write",
    errno.ENOTDIR: "choose a path whose parts are all directories",
    errno.EEXIST: "choose a path that is a directory, or is not there yet",
    errno.ENAMETOOLONG: "choose a shorter path",
}

Writer = Callable[[int, bytes], int]
"""`os.write` or a stand-in for it: takes a descriptor and octets, returns how many it wrote."""


def explained(path: Path, doing: str, error: OSError) -> RecordError:
    """Return an error that names the path, what the system said and what helps."""
    remedy = _REMEDIES.get(error.errno or 0, "choose another directory")
    return RecordError(f"{path}: {doing}: {error.strerror or error}; accepted: a directory to write in; {remedy}")


def write_all(descriptor: int, data: bytes, write: Writer = os.write) -> None:
    """Write every octet, however many calls it takes.

    Raises:
        OSError: the disk is full, a limit is met, ...
    """
    rest = memoryview(data)
    while rest:
        rest = rest[write(descriptor, bytes(rest)) :]


def temporary_beside(path: Path) -> Path:
    """Return a name of its own for what is to become `path`."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")


def open_locked(path: Path) -> int:
    """Create `path` and lock it as long as the descriptor is open: the lock says that its writer lives.

    Raises:
        OSError: it cannot be created or locked.
    """
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except BaseException:  # Ctrl-C too: the lock would stay with the descriptor
            os.close(descriptor)
            raise
        os.close(descriptor)  # someone cleaned it away between its making and its lock: once more


def replace_text(path: Path, text: str, write: Writer = os.write) -> None:
    """Make `path` hold `text`, or leave it as it was and nothing beside it.

    Raises:
        RecordError: names the path, the cause and the remedy.
    """
    temporary = temporary_beside(path)
    try:
        descriptor = open_locked(temporary)
    except OSError as error:
        raise explained(path, "cannot be written", error) from error
    try:
        write_all(descriptor, text.encode(), write)
        os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise explained(path, "cannot be written", error) from error
        raise
    finally:
        os.close(descriptor)
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    """Make the rename last through a power cut, where the file system can."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return  # it may be written but not read: nothing to hold on to
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise explained(directory, "cannot be synchronised", error) from error
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """Return a locked descriptor of a file whose writer is dead; None where it lives, or the file is gone.

    Raises:
        OSError: the file cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return descriptor
    except BlockingIOError:
        pass
    except BaseException:  # as above
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
