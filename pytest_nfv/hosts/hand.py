"""Our hand on a far host: one process a connection, that runs commands and reads and writes small files.

Not imported but sent (`ssh_wire`), so that nothing of this package has to be there. It answers requests, a line
of JSON each: `{"id": 1, "op": "read", "paths": [...]}`. When its stdin ends, or nothing came for `SILENCE_S`,
which is how a cut cable looks from here, it kills every process that carries the connection's token, and then
sshd's process for the connection, which would wait for hours.
"""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

SILENCE_S = 20.0
END_S = 2.0
TOKEN_VARIABLE = "PYTEST_NFV_CONNECTION"


def read(paths: list[str]) -> dict[str, str]:
    """Return the texts of those that can be read."""
    found = {}
    for path in paths:
        try:
            found[path] = read_one(path)
        except OSError:
            continue
    return found


def read_one(path: str) -> str:
    """Return a file's text; octets that are no UTF-8 are replaced."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def write(path: str, text: str) -> None:
    """Write a file."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def send(pid: int, number: int) -> bool:
    """Send a signal to a command and those in its process group; return whether it was there."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    return True


def end(token: str, sshd: int, born: str) -> int:
    """End what is left of a lost connection: its processes, then sshd's; return how many processes it was."""
    killed = sweep(token)
    if born and born_at(sshd) == born:
        os.kill(sshd, signal.SIGKILL)
    return killed


def sweep(token: str) -> int:
    """Kill every process that carries the token until there is none; return how many it was."""
    wanted = f"{TOKEN_VARIABLE}={token}".encode()
    killed: set[int] = set()
    deadline = time.monotonic() + END_S
    while left := [pid for pid in _processes() if carries(pid, wanted)]:
        if time.monotonic() > deadline:
            break
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            except OSError:
                continue  # ended meanwhile
        time.sleep(0.005)  # until the kernel has ended them
    return len(killed)


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal() and int(name) != os.getpid()]


def carries(pid: int, wanted: bytes) -> bool:
    """Whether a process has the variable in its environment; a dead one has none."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return wanted in file.read().split(b"\0")
    except OSError:
        return False


def born_at(pid: int) -> str:
    """Return when a process began, in the kernel's ticks; empty where there is none (proc(5), starttime)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


class Lines:
    """Takes octets as they come; what is there already is not gone through again with each."""

    def __init__(self) -> None:
        """Make one that nothing came to yet."""
        self._pieces: list[bytes] = []

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the lines that are whole now."""
        *ends, rest = piece.split(b"\n")
        if not ends:
            self._pieces.append(rest)
            return []
        lines = [b"".join((*self._pieces, ends[0])), *ends[1:]]
        self._pieces = [rest]
        return lines


OPERATIONS: dict[str, Callable[..., Any]] = {
    "beat": lambda: None,
    "read": read,
    "read_one": read_one,
    "write": write,
    "send": send,
    "end": end,
}


class Run:
    """A command until it has ended and its streams have, in the middle of all else that a hand does.

    It starts as with `carry`, but from a Python that runs already, which saves most of the time.
    """

    def __init__(
        self, launcher: dict[str, Any], argv: list[str], env: dict[str, str], options: list[str], stdin: str
    ) -> None:
        """Start it; `stdin` is base64, as what it writes is in `told`."""
        self.rest = base64.b64decode(stdin)
        ends = [os.pipe() for _ in range(4)]
        self.pid = os.fork()
        if not self.pid:
            self._become(launcher, ends, argv, env, options)
        (theirs, self.stdin), *readers = ends
        os.close(theirs)
        os.set_blocking(self.stdin, False)
        self.read: dict[int, list[bytes]] = {}
        for reader, writer in readers:
            os.close(writer)
            self.read[reader] = []
        self._pieces = list(self.read.values())
        self.ended = os.pidfd_open(self.pid)
        self._status: int | None = None
        self.feed()

    def _become(
        self,
        launcher: dict[str, Any],
        ends: list[tuple[int, int]],
        argv: list[str],
        env: dict[str, str],
        options: list[str],
    ) -> None:
        os.setsid()
        for stream, end in enumerate((ends[0][0], ends[1][1], ends[2][1])):
            os.dup2(end, stream)
        report = ends[3][1]
        os.closerange(3, report)
        os.closerange(report + 1, max(os.sysconf("SC_OPEN_MAX"), report + 1))
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.environ.update(env)
        try:
            launcher["main"](["--parent", str(os.getppid()), "--report", str(report), *options, "--", *argv])
        finally:  # it returns only by SystemExit, and never into the hand's own code
            os._exit(127)

    def feed(self) -> None:
        """Write what it takes of its stdin; close that after the last of it."""
        try:
            self.rest = self.rest[os.write(self.stdin, self.rest) :] if self.rest else b""
        except BlockingIOError:
            return
        except OSError:
            self.rest = b""  # it reads no more
        if not self.rest:
            os.close(self.stdin)
            self.stdin = -1

    def take(self, descriptor: int) -> None:
        """Read what it wrote."""
        piece = os.read(descriptor, 65536)
        if piece:
            self.read[descriptor].append(piece)
        else:
            os.close(descriptor)
            del self.read[descriptor]

    def end(self) -> bool:
        """Kill it, and wait for no stream: what has left its session may hold one for ever."""
        there = self._status is None and send(self.pid, signal.SIGKILL)
        for descriptor in list(self.read):
            os.set_blocking(descriptor, False)
            with suppress(BlockingIOError):
                self.take(descriptor)
        for descriptor in self.read:
            os.close(descriptor)
        self.read.clear()
        return there

    def reap(self) -> None:
        """See how it ended, once it has."""
        _, status = os.waitpid(self.pid, os.WNOHANG)
        self._status = os.waitstatus_to_exitcode(status)
        os.close(self.ended)
        self.ended = -1

    def told(self) -> dict[str, Any] | None:
        """Return all of it; None while it, or one of its streams, has not ended."""
        if self.read or self._status is None:
            return None
        if self.stdin >= 0:
            os.close(self.stdin)
        out, err, report = (b"".join(pieces) for pieces in self._pieces)
        return {
            "status": self._status,
            "stdout": base64.b64encode(out).decode(),
            "stderr": base64.b64encode(err).decode(),
            "failed": report.decode(errors="replace"),
        }


class Hand:
    """Does requests until stdin ends or is silent."""

    def __init__(self, launcher: dict[str, Any]) -> None:
        """Make one that has no command running."""
        self._launcher = launcher
        self._runs: dict[int, Run] = {}
        self._heard_at = time.monotonic()

    def serve(self, silence_s: float) -> None:
        """Answer requests, each when it is done."""
        lines = Lines()
        while time.monotonic() - self._heard_at < silence_s:
            ready, able = self._wait(silence_s)
            self._go_on(ready, able)  # first: a request may close these descriptors, and get their numbers anew
            if 0 in ready:
                self._heard_at = time.monotonic()
                piece = os.read(0, 65536)
                if not piece:
                    return
                for line in lines.feed(piece):
                    self.answer(json.loads(line))
            self._tell_ended()

    def _wait(self, timeout_s: float) -> tuple[list[int], list[int]]:
        """Wait for something to do; return the descriptors to read, and those to write."""
        runs = self._runs.values()
        readers = [descriptor for run in runs for descriptor in (*run.read, run.ended) if descriptor >= 0]
        writers = [run.stdin for run in runs if run.stdin >= 0]
        ready, able, _ = select.select([0, *readers], writers, [], timeout_s)
        return ready, able

    def _go_on(self, ready: list[int], able: list[int]) -> None:
        """Do for the commands what they are ready for."""
        for run in self._runs.values():
            if run.stdin in able:
                run.feed()
            for descriptor in set(run.read).intersection(ready):
                run.take(descriptor)
            if run.ended in ready:
                run.reap()

    def _tell_ended(self) -> None:
        for number, run in list(self._runs.items()):
            told = run.told()
            if told:
                del self._runs[number]
                self._tell({"id": number, "ok": told})

    def answer(self, request: dict[str, Any]) -> None:
        """Do one request; a command is answered when it has ended."""
        number, name = request.pop("id"), request.pop("op")
        try:
            if name == "run":
                self._runs[number] = Run(self._launcher, **request)
                return
            if name == "end_run":
                run = self._runs.get(request["run"])
                self._tell({"id": number, "ok": run is not None and run.end()})
                return
            self._tell({"id": number, "ok": OPERATIONS[name](**request)})
        except OSError as error:
            told = {"errno": error.errno, "error": error.strerror, "path": str(error.filename or "")}
            self._tell({"id": number, **told})

    def _tell(self, value: dict[str, Any]) -> None:
        _tell(value)
        self._heard_at = time.monotonic()  # somebody read it, which may have taken long; what came meanwhile waits


def _tell(value: dict[str, Any]) -> None:
    text = json.dumps(value).encode() + b"\n"
    while text:
        text = text[os.write(1, text) :]


def main(take: Callable[[int], bytes]) -> None:
    """Serve until the connection ends; never returns."""
    launcher: dict[str, Any] = {"__name__": "launcher"}
    exec(compile(take(int(take(8))), "launch.py", "exec"), launcher)
    mark = take(int(take(8)))
    token, silence_s = take(int(take(8))).decode().split()
    sshd = os.getppid()
    born = born_at(sshd)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        os.write(1, mark + b"\n")
        hello = {"sshd": sshd, "born": born, "home": os.path.expanduser("~"), "executable": sys.executable}
        _tell({"id": 0, "ok": hello})
        Hand(launcher).serve(float(silence_s))
    except OSError:
        pass  # nobody reads any more
    finally:
        end(token, sshd, born if os.getppid() == sshd else "")
    os._exit(0)
