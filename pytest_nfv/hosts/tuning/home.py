"""The network namespace that an interface belongs to: whoever puts it back may be in another one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ENOENT
from pathlib import Path

from pytest_nfv.hosts import kernel

_OWN = Path("/proc/thread-self/ns/net")
_NAMED = Path("/run/netns")


def own() -> int:
    """Return the inode of the namespace that we are in: its name, as long as it lives."""
    return _OWN.stat().st_ino


@contextmanager
def in_namespace(inode: int) -> Iterator[None]:
    """Be in a namespace meanwhile; 0 is where we are.

    Raises:
        OSError: it has ended (ENOENT), or is not to be entered.
    """
    if not inode or own() == inode:
        yield
        return
    with open(_path(inode), "rb") as there, open(_OWN, "rb") as here:
        kernel.setns(there.fileno(), kernel.CLONE_NEWNET)
        try:
            yield
        finally:
            kernel.setns(here.fileno(), kernel.CLONE_NEWNET)


def _path(inode: int) -> Path:
    named = sorted(_NAMED.iterdir()) if _NAMED.is_dir() else []
    for path in (Path("/proc/1/ns/net"), *named, *Path("/proc").glob("[0-9]*/ns/net")):
        with suppress(OSError):
            if path.stat().st_ino == inode:
                return path
    raise OSError(ENOENT, os.strerror(ENOENT))
