"""This machine: commands as processes of their own session, each bound to the life of this process."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pytest_nfv.errors import CommandError
from pytest_nfv.hosts.protocol import Completed, Process
from pytest_nfv.hosts.run_id import RUN_VARIABLE
from pytest_nfv.hosts.tail import Tail

START_DEADLINE_S = 10.0
_LAUNCHER = str(Path(__file__).with_name("launch.py"))


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


class LocalProcess:
    """A process of ours in the background; implements `hosts.protocol.Process`."""

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        assert popen.stdin is not None
        assert popen.stdout is not None
        assert popen.stderr is not None
        self._popen = popen
        self._stdin, self._stdout = popen.stdin, popen.stdout
        self._tail = Tail(popen.stderr)

    @property
    def pid(self) -> int:
        """Process id, which is also its session's and its process group's."""
        return self._popen.pid

    @property
    def stdin(self) -> IO[str]:
        """Its standard input."""
        return self._stdin

    @property
    def stdout(self) -> IO[str]:
        """Its standard output."""
        return self._stdout

    def poll(self) -> int | None:
        """Return the exit status (negative: the signal that ended it), or None while it runs."""
        return self._popen.poll()

    def stop(self, timeout_s: float = 2.0) -> int:
        """Close its stdin, then ask (SIGTERM), then kill, each after `timeout_s`; return the exit status."""
        with suppress(OSError):  # what it did not read is of no use any more
            self._stdin.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(timeout_s)
                break
            self._signal(number)
        status = self._popen.wait()
        self._stdout.close()
        self._tail.close()
        return status

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def stderr_tail(self) -> str:
        """Return the last lines that it wrote to stderr; all that it wrote last, where it has ended."""
        return self._tail.text(ended=self.poll() is not None)


class LocalHost:
    """Implements `hosts.protocol.Host` for this machine.

    A command gets a session of its own, so that Ctrl-C at the terminal is ours alone to handle, and is killed by
    the kernel when the thread that started it ends: start long-lived ones from the main thread.
    """

    def __init__(self, run_id: str = "", *, name: str = "local", entry: Entry | None = None) -> None:
        """Make a host whose processes are marked with `run_id`, where given."""
        self._name = name
        self._run_id = run_id
        self._entry = entry or Entry()

    @property
    def name(self) -> str:
        """`local`."""
        return self._name

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
        with self._launched(argv, cores, None) as popen:
            try:
                stdout, stderr = popen.communicate(stdin, timeout_s)
            except BaseException as error:
                with suppress(ProcessLookupError):
                    os.killpg(popen.pid, signal.SIGKILL)
                _, stderr = popen.communicate()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                late = f"not done after {timeout_s:g} s"
                raise CommandError(self.name, argv, None, stderr, late) from None
        if check and popen.returncode:
            raise CommandError(self.name, argv, popen.returncode, stderr)
        return Completed(tuple(argv), popen.returncode, stdout, stderr)

    def start(
        self, argv: Sequence[str], *, cores: Sequence[int] = (), env: Mapping[str, str] | None = None
    ) -> Process:
        """Start in the background, pinned to `cores` where given; it dies with the thread that calls this.

        Raises:
            CommandError: it could not be started.
        """
        return LocalProcess(self._launched(argv, cores, env))

    def read_text(self, path: str) -> str:
        """Return a small file's text; octets that are no UTF-8 are replaced."""
        return Path(path).read_text(encoding="utf-8", errors="replace")

    def write_text(self, path: str, text: str) -> None:
        """Write a small file."""
        Path(path).write_text(text, encoding="utf-8")

    def _launched(
        self, argv: Sequence[str], cores: Sequence[int], env: Mapping[str, str] | None
    ) -> subprocess.Popen[str]:
        reader, writer = os.pipe()
        try:
            command = [
                sys.executable,
                "-I",
                "-S",
                _LAUNCHER,
                "--parent",
                str(os.getpid()),
                "--report",
                str(writer),
            ]
            command += self._entry.options()
            command += ["--cores", ",".join(map(str, cores))] if cores else []
            marks = {RUN_VARIABLE: self._run_id} if self._run_id else {}
            popen = piped([*command, "--", *argv], env={**os.environ, **marks, **(env or {})}, keep=(writer,))
        except OSError as error:
            os.close(reader)
            raise CommandError(self.name, argv, None, str(error)) from error
        finally:
            os.close(writer)
        trouble = "interrupted"
        try:
            with open(reader, "rb") as report:
                trouble = _told(report)
        finally:
            if trouble:
                LocalProcess(popen).stop(0.0)
        if trouble:
            raise CommandError(self.name, argv, None, trouble)
        return popen


def piped(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, keep: Sequence[int] = ()
) -> subprocess.Popen[str]:
    """Start a process in a session of its own with text pipes; it inherits the descriptors in `keep`."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        list(argv),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env=env,
        pass_fds=tuple(keep),
        start_new_session=True,
        encoding="utf-8",
        errors="replace",
    )


def _told(report: IO[bytes]) -> str:
    """Return what the launcher says went wrong; empty once the command has taken over."""
    deadline = time.monotonic() + START_DEADLINE_S
    said = b""
    while True:
        left = max(0.0, deadline - time.monotonic())
        if not select.select([report], [], [], left)[0]:
            return f"not started after {START_DEADLINE_S:g} s"
        piece = os.read(report.fileno(), 4096)
        if not piece:
            return said.decode("utf-8", "replace")
        said += piece
