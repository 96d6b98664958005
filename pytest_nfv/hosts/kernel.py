"""The few system calls about namespaces and mounts that Python 3.11 has no names for."""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

_MS_BIND, _MS_REC, _MS_SHARED = 0x1000, 0x4000, 1 << 20
_MNT_DETACH = 2
# The same numbers on every architecture that Linux 5.2 and later runs on, Alpha excepted.
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_FSCONFIG_CMD_CREATE = 6
_CLOEXEC = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _done(result: int, what: str) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
    return result


def unshare(flags: int) -> None:
    """Move the calling thread into new namespaces.

    Raises:
        OSError: not permitted, or not supported.
    """
    _done(_libc.unshare(flags), "unshare")


def setns(descriptor: int, flags: int) -> None:
    """Move the calling thread into the namespace that `descriptor` refers to.

    Raises:
        OSError: not permitted, or no such namespace.
    """
    _done(_libc.setns(descriptor, flags), "setns")


def bind_mount(source: str, target: str, *, recursive: bool = False) -> None:
    """Make `source` appear at `target`.

    Raises:
        OSError: not permitted, or no such path.
    """
    flags = _MS_BIND | (_MS_REC if recursive else 0)
    _done(_libc.mount(source.encode(), target.encode(), b"none", flags, None), f"bind {source} to {target}")


def share_mount(target: str) -> None:
    """Let mounts below `target` be seen by its copies in other mount namespaces.

    Raises:
        OSError: EINVAL where `target` is not a mount point.
    """
    flags = _MS_SHARED | _MS_REC
    _done(_libc.mount(b"", target.encode(), b"none", flags, None), f"share {target}")


def unmount(target: str) -> None:
    """Take the mount at `target` away; what still uses it may go on.

    Raises:
        OSError: EINVAL where nothing is mounted there.
    """
    _done(_libc.umount2(target.encode(), _MNT_DETACH), f"unmount {target}")


def open_sysfs() -> int:
    """Return a directory descriptor of a sysfs that shows the calling thread's network namespace.

    It is attached nowhere, so nobody else sees it and closing it is all the undoing that it needs.

    Raises:
        OSError: not permitted (a container that hides parts of /sys), or older than Linux 5.2.
    """
    context = _done(_libc.syscall(_FSOPEN, b"sysfs", _CLOEXEC), "fsopen sysfs")
    try:
        _done(_libc.syscall(_FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0), "fsconfig sysfs")
        return _done(_libc.syscall(_FSMOUNT, context, _CLOEXEC, 0), "fsmount sysfs")
    finally:
        os.close(context)
