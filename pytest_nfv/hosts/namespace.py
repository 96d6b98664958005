"""A network namespace of the run as a host: commands run in it, files under /proc/net and /sys show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytest_nfv.hosts.local import Entry, LocalHost
from pytest_nfv.hosts.protocol import Completed, Process

Ask = Callable[..., Any]
"""Puts one operation, with its arguments by name, to the run's agent."""


class NamespaceHost:
    """Implements `hosts.protocol.Host`.

    Attributes:
        role: what the run calls it: `gen`.
        namespace: its name on the machine, `nfv-RUN-gen`; without root only a text.
        notes: what could not be set up in it as it should be.
        run_id: the run that its processes are marked with.
        entry: how a command comes into it.
    """

    def __init__(
        self, role: str, namespace: str, run_id: str, entry: Entry, ask: Ask, notes: tuple[str, ...] = ()
    ) -> None:
        """Make the host of a namespace that the agent made."""
        self.role = role
        self.namespace = namespace
        self.notes = notes
        self._ask = ask
        self.run_id = run_id
        self.entry = entry
        self._local = LocalHost(run_id, name=f"local/{role}", entry=entry)

    @property
    def name(self) -> str:
        """`local/ROLE`."""
        return self._local.name

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
        return self._local.run(argv, stdin=stdin, timeout_s=timeout_s, check=check, cores=cores)

    def start(
        self, argv: Sequence[str], *, cores: Sequence[int] = (), env: Mapping[str, str] | None = None
    ) -> Process:
        """Start in the background, in the namespace; it dies with the thread that calls this.

        Raises:
            CommandError: it could not be started.
        """
        return self._local.start(argv, cores=cores, env=env)

    def read_text(self, path: str) -> str:
        """Return a small file's text as the namespace shows it."""
        return str(self._ask("read", role=self.role, path=path))

    def write_text(self, path: str, text: str) -> None:
        """Write a small file as the namespace shows it: a setting in /proc/sys/net or /sys."""
        self._ask("write", role=self.role, path=path, text=text)
