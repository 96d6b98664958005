"""A command on a far host: its streams pumped between the channel and whoever takes them."""

from __future__ import annotations

import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

import paramiko

from pytest_nfv.errors import CommandError
from pytest_nfv.hosts import ssh_wire
from pytest_nfv.hosts.ssh_link import BROKEN, ConnectionLost, Link
from pytest_nfv.hosts.tail import Tail

START_S = 10.0
LOST = 255
"""Status of a command whose connection was lost, as ssh(1) has it."""
_PIECE = 65536
_END_S = 5.0
Sink = Callable[[bytes], None]
"""Takes what came; nothing is the end."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to start.

    Attributes:
        host: its name in messages.
        env: added to the environment there; options: the launcher's.
    """

    host: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    def payload(self, mark: str) -> bytes:
        """Return it as it goes over the wire.

        Raises:
            CommandError: no command can be given that.
        """
        try:
            return ssh_wire.command(mark, self.argv, self.env, self.options)
        except ValueError as error:
            raise CommandError(self.host, self.argv, None, str(error)) from error


class FarCommand:
    """A command from its start to its end; what it writes goes to two sinks, from threads of its own.

    The sinks are told the end whatever happens.
    """

    def __init__(self, link: Link, order: Order, stdout: Sink, stderr: Sink) -> None:
        """Start it.

        Raises:
            CommandError: it could not be started.
            NoMoreSessions: as `Link.execute`.
        """
        self.link = link
        self._order = order
        mark = secrets.token_hex(16)
        self._sieve = ssh_wire.Sieve(mark)
        self._changed = threading.Condition()
        self._over = False
        try:
            self.channel = link.execute(order.payload(mark))
        except BaseException as error:
            stdout(b"")
            stderr(b"")
            if isinstance(error, ConnectionLost):
                raise self._lost() from error
            raise
        self._threads = [
            threading.Thread(target=self._pump_stdout, args=(mark.encode() + b"\n", stdout), daemon=True),
            threading.Thread(target=self._pump_stderr, args=(stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        try:
            self._await_start()
        except BaseException:
            self.channel.close()
            raise

    def _await_start(self) -> None:
        sieve = self._sieve
        with self._changed:
            self._changed.wait_for(lambda: sieve.failed is not None or sieve.pid or self._over, START_S)
        if sieve.failed is not None:
            raise CommandError(self._order.host, self._order.argv, None, sieve.failed)
        if sieve.pid is None:
            if self.link.settled():
                raise self._lost()
            raise CommandError(self._order.host, self._order.argv, None, f"not started after {START_S:g} s")

    def _lost(self) -> CommandError:
        why = f"the connection was lost: {self.link.lost}"
        return CommandError(self._order.host, self._order.argv, None, "", why)

    @property
    def pid(self) -> int:
        """Its process id over there."""
        assert self._sieve.pid is not None
        return self._sieve.pid

    def poll(self) -> int | None:
        """Return how it ended, or None while it runs."""
        if self._sieve.status is not None:
            return self._sieve.status
        return LOST if self._over or self.link.lost else None

    def wait(self, timeout_s: float) -> int | None:
        """Wait until it has ended; return how, or None where it has not."""
        with self._changed:
            self._changed.wait_for(lambda: self.poll() is not None, timeout_s)
        return self.poll()

    def drained(self, deadline: float) -> bool:
        """Wait until both streams have ended; return whether they have."""
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it and its process group; one that has ended, or is out of reach, is left alone."""
        with suppress(ConnectionLost, ProcessLookupError):
            self.link.ask("send", pid=self.pid, number=int(number))

    def loss(self) -> str:
        """Return why it is not known how it ended; empty where it is, or where it runs."""
        if self._sieve.status is not None or self.poll() is None:
            return ""
        why = self.link.settled()
        return f"the connection was lost: {why}" if why else "what started it was killed"

    def _pump_stdout(self, mark: bytes, sink: Sink) -> None:
        rest = b""
        while mark not in rest:  # what comes before it, a shell's start-up files printed
            piece = self._received(self.channel.recv)
            if not piece:
                sink(b"")
                return
            rest = rest[-len(mark) :] + piece
        piece = rest.partition(mark)[2] or self._received(self.channel.recv)
        while piece:
            sink(piece)
            piece = self._received(self.channel.recv)
        sink(b"")

    def _pump_stderr(self, sink: Sink) -> None:
        while piece := self._received(self.channel.recv_stderr):
            if clean := self._sieve.feed(piece):
                sink(clean)
            with self._changed:
                self._changed.notify_all()
        if rest := self._sieve.rest():
            sink(rest)
        sink(b"")
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _received(self, receive: Callable[[int], bytes]) -> bytes:
        try:
            return receive(_PIECE)
        except OSError:
            return b""


class _IntoPipe:
    """A sink that writes into a pipe, until its reader goes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._broken = False

    def __call__(self, piece: bytes) -> None:
        if not piece:
            self.close()
        while piece and not self._broken:
            try:
                piece = piece[os.write(self._descriptor, piece) :]
            except OSError:
                self._broken = True

    def close(self) -> None:
        """End it; safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self._broken = -1, True


class FarProcess:
    """A far command in the background; implements `hosts.protocol.Process`.

    Its streams are pipes of ours, so that one can wait for them as for a local process's.
    """

    def __init__(self, link: Link, order: Order) -> None:
        """Start it.

        Raises:
            CommandError: it could not be started.
            NoMoreSessions: as `Link.execute`.
        """
        (ours, to), (out, out_end), (err, err_end) = (os.pipe() for _ in range(3))
        self._stdin = os.fdopen(to, "w", encoding="utf-8")
        self._stdout = os.fdopen(out, encoding="utf-8", errors="replace")
        self._tail = Tail(os.fdopen(err, encoding="utf-8", errors="replace"))
        sinks = (_IntoPipe(out_end), _IntoPipe(err_end))
        try:
            self._command = FarCommand(link, order, *sinks)
        except BaseException:
            os.close(ours)
            self._stdin.close()
            self._stdout.close()
            self._tail.close()
            raise
        threading.Thread(target=_feed, args=(ours, self._command.channel), daemon=True).start()

    @property
    def pid(self) -> int:
        """Process id over there, which is also its session's and its process group's."""
        return self._command.pid

    @property
    def stdin(self) -> IO[str]:
        """Its standard input."""
        return self._stdin

    @property
    def stdout(self) -> IO[str]:
        """Its standard output."""
        return self._stdout

    def poll(self) -> int | None:
        """Return the exit status (negative: the signal that ended it), or None; 255: the connection was lost."""
        return self._command.poll()

    def stop(self, timeout_s: float = 2.0) -> int:
        """Close its stdin, then ask (SIGTERM), then kill, each after `timeout_s`; return the exit status."""
        with suppress(OSError):  # what it did not read is of no use any more
            self._stdin.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._command.wait(timeout_s) is not None:
                break
            self._command.send(number)
        status = self._command.wait(_END_S)
        self._stdout.close()
        self._command.channel.close()
        self._command.drained(time.monotonic() + _END_S)
        self._tail.close()
        return LOST if status is None else status

    def stderr_tail(self) -> str:
        """Return the last lines that it wrote to stderr, and how the connection was lost, where it was."""
        return self._tail.text(ended=self.poll() is not None) + self._command.loss()


def _feed(descriptor: int, channel: paramiko.Channel) -> None:
    """Pass on what is written into a pipe, and its end."""
    with suppress(*BROKEN), open(descriptor, "rb", buffering=0) as pipe:
        while piece := pipe.read(_PIECE):
            channel.sendall(piece)
        channel.shutdown_write()
