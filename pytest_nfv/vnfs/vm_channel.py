"""The guest's control channel: a command in, its status and output out, a line each.

`vm_init.sh` is the other end. Every word travels in base64, so that nothing is ever quoted.
"""

from __future__ import annotations

import base64
import binascii
import os
import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts.protocol import Completed

ANSWER_OCTETS_MAX = 16 << 20
_LOOK_EVERY_S = 0.1
_END_S = 1.0
_PIECE_OCTETS = 1 << 16
_EMPTY = "-"


class Channel:
    """A socket that QEMU connects to, and the guest behind it. Once it is broken, every call says so."""

    def __init__(self, path: Path, name: str, last_words: Callable[[], str]) -> None:
        """Serve `path`; errors begin with `name` and end with what `last_words` returns.

        Raises:
            DeploymentError: it cannot be served.
        """
        self._name = name
        self._path, self._last_words = path, last_words
        self._rest = b""
        self._broken = ""
        self._guest: socket.socket | None = None
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listener.bind(str(path))
            self._listener.listen(1)
        except OSError as error:
            self._listener.close()
            raise DeploymentError(f"{name}: control channel {path}: {error.strerror or error}") from error

    def await_ready(self, within_s: float, ended: Callable[[], str]) -> str:
        """Wait until the guest is set up; return its kernel's release.

        Args:
            within_s: deadline.
            ended: returns why nothing will come any more, empty while there is hope.

        Raises:
            DeploymentError: it is not ready by then, or never will be.
        """
        deadline = time.monotonic() + within_s
        if self._guest is None:
            self._await(self._listener, deadline, ended, "QEMU does not connect")
            self._guest, _ = self._listener.accept()
        word, _, release = self._line(deadline, ended, "it is not up").partition(" ")
        if word != "ready":
            raise self._now_broken(f"it said {word[:80]!r} where it should say that it is ready")
        return release

    def run(self, argv: Sequence[str], stdin: str, within_s: float, ended: Callable[[], str]) -> Completed:
        """Run a command in the guest, to the end.

        Raises:
            DeploymentError: it has not ended by the deadline, or the guest is gone. The guest is of no use then.
        """
        if self._broken or self._guest is None:
            raise DeploymentError(f"{self._name}: {self._broken or 'it is not started'}")
        deadline = time.monotonic() + within_s
        self._send(" ".join(map(_packed, (stdin, *argv))) + "\n", deadline, ended)
        status, *words = self._line(deadline, ended, f"{' '.join(argv)!r} is not done").split(" ")
        try:
            stdout, stderr = map(_unpacked, words)
            return Completed(tuple(argv), int(status), stdout, stderr)
        except ValueError as error:
            raise self._now_broken(f"its answer to {' '.join(argv)!r} cannot be read: {error}") from error

    def _send(self, line: str, deadline: float, ended: Callable[[], str]) -> None:
        assert self._guest is not None
        left = memoryview(line.encode())
        while left:
            if not select.select([], [self._guest], [], _LOOK_EVERY_S)[1]:
                self._hope(deadline, ended, "it takes no command")
                continue
            try:
                left = left[self._guest.send(left[:_PIECE_OCTETS], socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._now_broken(self._end(ended)) from error

    def _line(self, deadline: float, ended: Callable[[], str], otherwise: str) -> str:
        assert self._guest is not None
        pieces = [self._rest]
        while b"\n" not in pieces[-1]:
            self._await(self._guest, deadline, ended, otherwise)
            try:
                piece = self._guest.recv(_PIECE_OCTETS)
            except OSError:
                piece = b""
            if not piece:
                raise self._now_broken(self._end(ended))
            pieces.append(piece)
            if sum(map(len, pieces)) > ANSWER_OCTETS_MAX:
                raise self._now_broken(f"an answer is longer than {ANSWER_OCTETS_MAX} octets")
        line, _, self._rest = b"".join(pieces).partition(b"\n")
        return line.decode("ascii", "replace")

    def _end(self, ended: Callable[[], str]) -> str:
        """Return why the other end closed: QEMU closes its sockets a little before it has ended."""
        deadline = time.monotonic() + _END_S
        while not (why := ended()) and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY_S / 10)
        return why or "the control channel is closed"

    def _await(self, one: socket.socket, deadline: float, ended: Callable[[], str], otherwise: str) -> None:
        while not select.select([one], [], [], _LOOK_EVERY_S)[0]:
            self._hope(deadline, ended, otherwise)

    def _hope(self, deadline: float, ended: Callable[[], str], otherwise: str) -> None:
        if why := ended():
            raise self._now_broken(why)
        if time.monotonic() >= deadline:
            raise self._now_broken(f"{otherwise} by its deadline")

    def _now_broken(self, why: str) -> DeploymentError:
        self._broken = why
        return DeploymentError(f"{self._name}: {why}{self._last_words()}")

    def close(self) -> None:
        """Close and remove the socket; safe to call twice."""
        self._broken = self._broken or "it is stopped"
        for one in (self._guest, self._listener):
            if one is not None:
                one.close()
        with suppress(FileNotFoundError):
            os.unlink(self._path)


def _packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode() or _EMPTY


def _unpacked(word: str) -> str:
    try:
        return "" if word == _EMPTY else base64.b64decode(word, validate=True).decode("utf-8", "replace")
    except binascii.Error as error:
        raise ValueError(f"{word[:40]!r}: {error}") from error
