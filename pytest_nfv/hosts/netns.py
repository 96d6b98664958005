"""Network namespaces that the agent owns: named ones as root, nameless ones in a user namespace.

A named one is what `ip netns` makes, so `ip netns exec nfv-RUN-gen ...` looks into a run. Without root a name
would need mounts of its own; a descriptor in /proc/AGENT/fd is a path too, and vanishes with the agent whatever
happens.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts import kernel

if TYPE_CHECKING:
    from pyroute2 import IPRoute  # type: ignore[import-untyped]  # pyroute2 ships no types

NAMED = Path("/run/netns")
_OWN = "/proc/thread-self/ns/net"


class Namespace:
    """One network namespace and what was opened in it.

    Attributes:
        name: full name, `nfv-RUN-gen`.
        path: what setns(2) takes, for other processes too.
        links: interfaces made in it, in order; to be removed with it.
    """

    def __init__(self, name: str, path: str, descriptor: int, named: bool) -> None:
        """Take over an open namespace; `make_named` and `make_nameless` do the opening."""
        self.name = name
        self.path = path
        self.links: list[str] = []
        self.descriptor = descriptor
        self._named = named
        self._routes: IPRoute | None = None
        self._sysfs = -1

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be in this namespace meanwhile; sockets opened here stay in it."""
        home = os.open(_OWN, os.O_RDONLY)
        try:
            kernel.setns(self.descriptor, kernel.CLONE_NEWNET)
            try:
                yield
            finally:
                kernel.setns(home, kernel.CLONE_NEWNET)
        finally:
            os.close(home)

    @property
    def routes(self) -> IPRoute:
        """Netlink socket in it."""
        if self._routes is None:
            from pyroute2 import IPRoute

            with self.entered():
                self._routes = IPRoute()
        return self._routes

    def read(self, path: str) -> str:
        """Return a file's text as seen from here: /proc/net, /proc/sys/net and /sys show this namespace."""
        with self.entered():
            return self._seen(path).read_text(encoding="utf-8", errors="replace")

    def write(self, path: str, text: str) -> None:
        """Write a file as seen from here."""
        with self.entered():
            self._seen(path).write_text(text, encoding="utf-8")

    def _seen(self, path: str) -> Path:
        if not path.startswith("/sys/"):
            return Path(path)
        if self._sysfs < 0:
            self._sysfs = kernel.open_sysfs()
        return Path(f"/proc/self/fd/{self._sysfs}", path.removeprefix("/sys/"))

    def remove(self) -> None:
        """Close everything of it and take the name away; safe to call twice.

        Raises:
            OSError: the name could not be taken away.
        """
        if self._routes is not None:
            self._routes.close()
            self._routes = None
        if self._sysfs >= 0:
            os.close(self._sysfs)
            self._sysfs = -1
        if self.descriptor < 0:
            return
        os.close(self.descriptor)
        self.descriptor = -1
        if self._named:
            remove_name(Path(self.path))


def remove_name(path: Path) -> None:
    """Unmount and delete the name of a namespace.

    Raises:
        OSError: not permitted.
    """
    with suppress(OSError):  # EINVAL: a run that was killed may have got no further than making the file
        kernel.unmount(str(path))
    path.unlink(missing_ok=True)


def make_nameless(name: str) -> Namespace:
    """Make a namespace that lives as long as this process holds it; `name` is for texts."""
    descriptor = _fresh()
    return Namespace(name, f"/proc/{os.getpid()}/fd/{descriptor}", descriptor, named=False)


def make_named(name: str, directory: Path = NAMED) -> Namespace:
    """Make a namespace as `ip netns add` does.

    Raises:
        DeploymentError: the name is taken, by something that is not ours.
        OSError: not permitted.
    """
    _prepare(directory)
    path = directory / name
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))
    except FileExistsError as error:
        raise DeploymentError(
            f"network namespace {name} exists already and is not of this run, so it is left alone; "
            f"if nothing needs it: `ip netns delete {name}`"
        ) from error
    try:
        home = os.open(_OWN, os.O_RDONLY)
        try:
            kernel.unshare(kernel.CLONE_NEWNET)
            try:
                kernel.bind_mount(_OWN, str(path))
            finally:
                kernel.setns(home, kernel.CLONE_NEWNET)
        finally:
            os.close(home)
        return Namespace(name, str(path), os.open(path, os.O_RDONLY), named=True)
    except OSError:
        remove_name(path)
        raise


def _fresh() -> int:
    home = os.open(_OWN, os.O_RDONLY)
    try:
        kernel.unshare(kernel.CLONE_NEWNET)
        try:
            return os.open(_OWN, os.O_RDONLY)
        finally:
            kernel.setns(home, kernel.CLONE_NEWNET)
    finally:
        os.close(home)


def _prepare(directory: Path) -> None:
    """Make `directory` a shared mount, as the first `ip netns add` of a machine does, under its lock."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            kernel.share_mount(str(directory))
        except OSError:
            kernel.bind_mount(str(directory), str(directory), recursive=True)
            kernel.share_mount(str(directory))
    finally:
        os.close(lock)
