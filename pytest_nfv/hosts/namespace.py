"""A network namespace of the run as a host: commands run in it, files under /proc/net and /sys show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.protocol import COPY_DEADLINE_S, Completed, Entry, MachineHost, Process

Ask = Callable[..., Any]
"""Puts one operation, with its arguments by name, to the run's agent."""


class NamespaceHost:
    """Implements `hosts.protocol.MachineHost`.

    Attributes:
        role: what the run calls it: `gen`.
        namespace: its name on the machine, `nfv-RUN-gen`; without root only a text.
        notes: what could not be set up in it as it should be.
        run_id: the run that its processes are marked with.
        entry: how a command comes into it.
    """

    def __init__(
        self,
        role: str,
        namespace: str,
        run_id: str,
        entry: Entry,
        ask: Ask,
        notes: tuple[str, ...] = (),
        outer: MachineHost | None = None,
    ) -> None:
        """Make the host of a namespace that the agent made on `outer`, or on this machine."""
        self.role = role
        self.namespace = namespace
        self.notes = notes
        self._ask = ask
        self.run_id = run_id
        self.entry = entry
        outer = outer or LocalHost(run_id)
        self._inner = outer.within(entry, f"{outer.name}/{role}")

    @property
    def name(self) -> str:
        """`local/ROLE`, `dut1/ROLE`."""
        return self._inner.name

    @property
    def address(self) -> str:
        """What ssh takes to reach its machine."""
        return self._inner.address

    @property
    def python(self) -> str:
        """Path of its machine's interpreter that has this package."""
        return self._inner.python

    def python_version(self) -> str:
        """Return that interpreter's version.

        Raises:
            CommandError: it is not there.
        """
        return self._inner.python_version()

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float = 30.0,
        check: bool = True,
        cores: Sequence[int] = (),
    ) -> Completed:
        """Run to the end, in the namespace.

        Raises:
            CommandError: it could not be started, ran past the deadline or (with `check`) failed.
        """
        return self._inner.run(argv, stdin=stdin, timeout_s=timeout_s, check=check, cores=cores)

    def start(
        self, argv: Sequence[str], *, cores: Sequence[int] = (), env: Mapping[str, str] | None = None
    ) -> Process:
        """Start in the background, in the namespace; it dies with the thread that calls this.

        Raises:
            CommandError: it could not be started.
        """
        return self._inner.start(argv, cores=cores, env=env)

    def read_text(self, path: str) -> str:
        """Return a small file's text as the namespace shows it."""
        return str(self._ask("read", role=self.role, path=path))

    def write_text(self, path: str, text: str) -> None:
        """Write a small file as the namespace shows it: a setting in /proc/sys/net or /sys."""
        self._ask("write", role=self.role, path=path, text=text)

    def start_unbound(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Process:
        """Start in the background, outside the namespace, what outlives us.

        Raises:
            CommandError: it could not be started.
        """
        return self._inner.start_unbound(argv, env=env)

    def read_texts(self, paths: Sequence[str]) -> dict[str, str]:
        """Return small files' texts by path, as the namespace shows them; unreadable ones are left out."""
        found = {}
        for path in paths:
            with suppress(OSError):
                found[path] = self.read_text(path)
        return found

    def put(self, local: Path, remote: str, *, timeout_s: float = COPY_DEADLINE_S) -> None:
        """Copy a file of ours onto its machine."""
        self._inner.put(local, remote, timeout_s=timeout_s)

    def get(self, remote: str, local: Path, *, timeout_s: float = COPY_DEADLINE_S) -> None:
        """Copy a file of its machine to us."""
        self._inner.get(remote, local, timeout_s=timeout_s)

    def within(self, entry: Entry, name: str) -> MachineHost:
        """Return a host of the same machine whose commands enter `entry`."""
        return self._inner.within(entry, name)
