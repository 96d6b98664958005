"""This machine: commands as processes of their own session, each bound to the life of this process."""

from __future__ import annotations

import os
import platform
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from pytest_nfv.errors import CommandError
from pytest_nfv.hosts.protocol import COPY_DEADLINE_S, Completed, Entry, Process
from pytest_nfv.hosts.run_id import RUN_VARIABLE
from pytest_nfv.hosts.tail import Tail

START_DEADLINE_S = 10.0
_LAUNCHER = str(Path(__file__).with_name("launch.py"))


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
    """Implements `hosts.protocol.MachineHost` for this machine.

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

    @property
    def address(self) -> str:
        """Empty, as this machine needs none."""
        return ""

    @property
    def python(self) -> str:
        """The interpreter that runs this."""
        return sys.executable

    def python_version(self) -> str:
        """Return its version."""
        return platform.python_version()

    def start_unbound(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Process:
        """Start in the background what outlives us.

        Raises:
            CommandError: it could not be started.
        """
        try:
            return LocalProcess(piped(argv, env={**os.environ, **self._marks(), **(env or {})}))
        except OSError as error:
            raise CommandError(self.name, argv, None, str(error)) from error

    def read_texts(self, paths: Sequence[str]) -> dict[str, str]:
        """Return small files' texts by path; those that cannot be read are left out."""
        found = {}
        for path in paths:
            with suppress(OSError):
                found[path] = self.read_text(path)
        return found

    def put(self, local: Path, remote: str, *, timeout_s: float = COPY_DEADLINE_S) -> None:
        """Copy a file."""
        write_whole(Path(remote), local.read_bytes(), local.stat().st_mode & 0o777)

    def get(self, remote: str, local: Path, *, timeout_s: float = COPY_DEADLINE_S) -> None:
        """Copy a file."""
        write_whole(local, Path(remote).read_bytes())

    def within(self, entry: Entry, name: str) -> LocalHost:
        """Return a host whose commands enter `entry`."""
        return LocalHost(self._run_id, name=name, entry=entry)

    def _marks(self) -> dict[str, str]:
        return {RUN_VARIABLE: self._run_id} if self._run_id else {}

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
            environment = {**os.environ, **self._marks(), **(env or {})}
            popen = piped([*command, "--", *argv], env=environment, keep=(writer,))
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


def write_whole(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write beside the file and rename, so that no part of it is ever seen under its name."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.chmod(mode)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


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
