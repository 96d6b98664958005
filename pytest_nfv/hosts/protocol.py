"""What every host can do: this machine, another one by SSH, a network namespace on either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

COPY_DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class Entry:
    """What a command enters; empty stays where we are.

    Attributes:
        user, net: namespaces, as paths that setns(2) takes.
        cgroup: control group, its directory.
        enclosed: in PID and mount namespaces of its own, with a /proc and a /sys of what is seen there.
    """

    user: str = ""
    net: str = ""
    cgroup: str = ""
    enclosed: bool = False

    def options(self) -> list[str]:
        """Return the launcher's options for it."""
        named = {"--user": self.user, "--net": self.net, "--cgroup": self.cgroup}
        named["--enclosed"] = "yes" if self.enclosed else ""
        return [word for name, value in named.items() if value for word in (name, value)]


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str


class Process(Protocol):
    """A command that goes on, with its standard streams as text pipes."""

    @property
    def pid(self) -> int: ...
    @property
    def stdin(self) -> IO[str]: ...
    @property
    def stdout(self) -> IO[str]: ...

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        ...

    def stop(self, timeout_s: float = 2.0) -> int:
        """Close its stdin, then ask, then kill; return the exit status."""
        ...

    def stderr_tail(self) -> str:
        """Return the last lines that it wrote to stderr."""
        ...


class Host(Protocol):
    """Where commands run. argv in; quoting, entering and pinning happen inside."""

    @property
    def name(self) -> str: ...

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float = 30.0,
        check: bool = True,
        cores: Sequence[int] = (),
    ) -> Completed:
        """Run to the end.

        Raises:
            CommandError: it could not be started, ran past the deadline or (with `check`) failed.
        """
        ...

    def start(
        self, argv: Sequence[str], *, cores: Sequence[int] = (), env: Mapping[str, str] | None = None
    ) -> Process:
        """Start in the background, pinned to `cores` where given; it dies with this process.

        Raises:
            CommandError: it could not be started.
        """
        ...

    def read_text(self, path: str) -> str:
        """Return a small file's text.

        Raises:
            OSError: it cannot be read.
        """
        ...

    def write_text(self, path: str, text: str) -> None:
        """Write a small file.

        Raises:
            OSError: it cannot be written.
        """
        ...


class MachineHost(Host, Protocol):
    """A host with files of its own: this machine, or another one."""

    @property
    def address(self) -> str:
        """What ssh takes to reach it; empty where it is this machine."""
        ...

    @property
    def python(self) -> str:
        """Path of its interpreter that has this package."""
        ...

    def python_version(self) -> str:
        """Return that interpreter's version.

        Raises:
            CommandError: it is not there.
        """
        ...

    def start_unbound(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Process:
        """Start in the background what outlives us, to put things back: that we ended, it sees by its stdin.

        Raises:
            CommandError: it could not be started.
        """
        ...

    def read_texts(self, paths: Sequence[str]) -> dict[str, str]:
        """Return small files' texts by path, at once; those that cannot be read are left out."""
        ...

    def put(self, local: Path, remote: str, *, timeout_s: float = COPY_DEADLINE_S) -> None:
        """Copy a file of ours onto it: the whole of it, or nothing.

        Raises:
            OSError: our file cannot be read, or its file cannot be written.
            DeploymentError: not done in time, or the connection was lost.
        """
        ...

    def get(self, remote: str, local: Path, *, timeout_s: float = COPY_DEADLINE_S) -> None:
        """Copy a file of it to us: the whole of it, or nothing.

        Raises:
            OSError: its file cannot be read, or ours cannot be written.
            DeploymentError: not done in time, or the connection was lost.
        """
        ...

    def within(self, entry: Entry, name: str) -> MachineHost:
        """Return a host whose commands enter namespaces or a control group of this one; files stay this one's."""
        ...
