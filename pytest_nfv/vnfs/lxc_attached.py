"""A command in a container, started by lxc-attach, which waits for it and ends as it ends."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from typing import IO

from pytest_nfv.hosts.inside import processes_below
from pytest_nfv.hosts.protocol import Process


class AttachedProcess:
    """Implements `hosts.protocol.Process`.

    Signals are for the command alone: an lxc-attach that dies before it leaves a zombie behind, in the container,
    which can end only once the machine's init has looked after that.
    """

    def __init__(self, attaching: Process) -> None:
        """Take over a running lxc-attach."""
        self._attaching = attaching

    @property
    def pid(self) -> int:
        """Process id of lxc-attach; `hosts.inside` finds the command's."""
        return self._attaching.pid

    @property
    def stdin(self) -> IO[str]:
        """The command's standard input."""
        return self._attaching.stdin

    @property
    def stdout(self) -> IO[str]:
        """The command's standard output."""
        return self._attaching.stdout

    def poll(self) -> int | None:
        """Return the command's exit status, 128 and more for a signal that ended it; None while it runs."""
        return self._attaching.poll()

    def stop(self, timeout_s: float = 2.0) -> int:
        """Close its stdin, then ask (SIGTERM), then kill, each after `timeout_s`; return the exit status."""
        with suppress(OSError):  # what it did not read is of no use any more
            self.stdin.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._ended(timeout_s):
                break
            for pid in processes_below(self.pid)[1:]:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        return self._attaching.stop(timeout_s)

    def _ended(self, timeout_s: float) -> bool:
        if self.poll() is not None:
            return True
        handle = os.pidfd_open(self.pid)
        try:
            return bool(select.select([handle], [], [], timeout_s)[0])
        finally:
            os.close(handle)

    def stderr_tail(self) -> str:
        """Return the last lines that it wrote to stderr; all that it wrote last, where it has ended."""
        return self._attaching.stderr_tail()
