"""What every host can do: this machine, a network namespace on it, later another machine by SSH."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Protocol


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
