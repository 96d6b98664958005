"""One live connection to a far host, with a hand there; it notices its own end."""

from __future__ import annotations

import base64
import itertools
import json
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import paramiko

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts import ssh_connect, ssh_wire
from pytest_nfv.hosts.hand import SILENCE_S, TOKEN_VARIABLE, Lines

ANSWER_S = 10.0
BROKEN = (OSError, EOFError, paramiko.SSHException)
"""What a channel raises when its connection is lost."""
_BEAT_S = 2.0
_SILENT_S = 15.0
_SETTLE_S = 1.0


class ConnectionLost(DeploymentError):
    """It was there and is gone."""


class NoMoreSessions(DeploymentError):
    """sshd lets this connection start no more commands for now (MaxSessions)."""


class Link:
    """A connection, from open to lost or closed; then another one is made.

    Attributes:
        lost: why it is of no use any more; empty while it is.
        hello: what the hand said first: `home`, `executable` (its Python), and `sshd` and `born`, for `end`.
        token: what processes of this connection carry in their environment.
    """

    def __init__(self, name: str, address: str, python: str, config_file: Path | None) -> None:
        """Connect and start the hand.

        Raises:
            DeploymentError: no connection, or no Python there.
        """
        self.name = name
        self.lost = ""
        self.token = secrets.token_hex(8)
        self._python = python
        self._connection = ssh_connect.connect(name, address, config_file)
        self._transport: paramiko.Transport = self._connection.transport
        self._answers: dict[int, dict[str, Any]] = {}
        self._came = threading.Condition()
        self._numbers = itertools.count(1)
        self._sending = threading.Lock()
        self._heard_at = time.monotonic()
        self._ended = threading.Event()
        try:
            self._hand = self._start_hand()
            self.hello: dict[str, Any] = self._answer(0, ssh_connect.CONNECT_S, "start")["ok"]
            threading.Thread(target=self._beat, name="pytest-nfv ssh beat", daemon=True).start()
        except BaseException:
            self.close()
            raise

    def _start_hand(self) -> paramiko.Channel:
        mark = secrets.token_hex(16)
        channel = self.execute(ssh_wire.hand(mark, self.token, SILENCE_S))
        arguments = (channel, mark.encode() + b"\n")
        threading.Thread(target=self._listen, args=arguments, name="pytest-nfv ssh", daemon=True).start()
        return channel

    def execute(self, payload: bytes, timeout_s: float = ANSWER_S) -> paramiko.Channel:
        """Open a channel and start what `payload` says (`ssh_wire`).

        Raises:
            ConnectionLost: no connection any more.
            NoMoreSessions: sshd refuses another one on this connection.
        """
        try:
            channel = self._transport.open_session(timeout=timeout_s)
            channel.settimeout(timeout_s)
            channel.exec_command(ssh_wire.command_line(self._python))
            channel.sendall(payload)
            channel.settimeout(None)
        except paramiko.ChannelException as error:
            raise NoMoreSessions(f"{self.name}: sshd starts no more commands on a connection: {error}") from error
        except BROKEN as error:
            self._lose(f"starting a command: {error or type(error).__name__}")
            raise self.loss() from error
        return channel

    @property
    def marks(self) -> dict[str, str]:
        """Environment variables of what is to end with the connection."""
        return {TOKEN_VARIABLE: self.token}

    def ask(self, op: str, timeout_s: float = ANSWER_S, **arguments: Any) -> Any:
        """Have the hand do something.

        Raises:
            OSError: what the far kernel says.
            ConnectionLost: no connection any more, or no answer in time.
        """
        number = next(self._numbers)
        try:
            self._send({"id": number, "op": op, **arguments})
        except BROKEN as error:
            self._lose(str(error) or type(error).__name__)
        return self._checked(self._answer(number, timeout_s, op))

    @staticmethod
    def _checked(answer: dict[str, Any]) -> Any:
        if "error" in answer:
            raise OSError(answer["errno"], answer["error"], answer["path"] or None)
        return answer["ok"]

    def run(
        self, argv: Sequence[str], env: Mapping[str, str], options: Sequence[str], stdin: bytes, timeout_s: float
    ) -> tuple[dict[str, Any], bool]:
        """Have the hand run a command to its end; return its last words, and whether it was ended for being late.

        Raises:
            OSError: what the far kernel says.
            ConnectionLost: no connection any more.
        """
        number = next(self._numbers)
        request = {"argv": list(argv), "env": dict(env), "options": list(options)}
        late = False
        try:
            self._send({"id": number, "op": "run", "stdin": base64.b64encode(stdin).decode(), **request})
            with self._came:
                late = not self._came.wait_for(lambda: self.lost or number in self._answers, timeout_s)
            if late:
                self.ask("end_run", run=number)
        except BROKEN as error:
            self._lose(str(error) or type(error).__name__)
        except BaseException:  # Ctrl-C: it must not go on
            self.ask("end_run", run=number)
            raise
        return self._checked(self._answer(number, ANSWER_S, "run")), late

    def _send(self, request: dict[str, Any]) -> None:
        with self._sending:
            self._hand.sendall(json.dumps(request).encode() + b"\n")

    def _answer(self, number: int, timeout_s: float, op: str) -> dict[str, Any]:
        with self._came:
            self._came.wait_for(lambda: self.lost or number in self._answers, timeout_s)
            if number in self._answers:
                return self._answers.pop(number)
        self._lose(f"no answer to {op} within {timeout_s:g} s")
        raise self.loss()

    def _listen(self, channel: paramiko.Channel, mark: bytes) -> None:
        before, lines = b"", Lines()
        channel.settimeout(_SILENT_S)  # of what is sent, too
        while not self.lost:
            try:
                piece = channel.recv(65536)
            except TimeoutError:
                continue
            if not piece:
                self._lose(self._last_words(channel))
                return
            self._heard_at = time.monotonic()
            if mark not in before:  # what a shell's start-up files print
                before += piece
                piece = before.partition(mark)[2]
            for line in lines.feed(piece):
                self._take(json.loads(line))

    def _beat(self) -> None:
        """Say every moment that we are there, also while an answer comes that takes long."""
        while not self._ended.wait(_BEAT_S):
            silent_s = time.monotonic() - self._heard_at
            if silent_s > _SILENT_S:
                self._lose(f"nothing heard for {silent_s:.0f} s")
            else:
                with suppress(*BROKEN):  # heard of by recv, in a moment
                    self._send({"id": -1, "op": "beat"})

    def _take(self, answer: dict[str, Any]) -> None:
        if answer["id"] >= 0:
            with self._came:
                self._answers[answer["id"]] = answer
                self._came.notify_all()

    def _last_words(self, channel: paramiko.Channel) -> str:
        said = b""
        with suppress(TimeoutError):
            while piece := channel.recv_stderr(65536):
                said += piece
        text = said.decode(errors="replace").strip()
        if ssh_wire.NO_PYTHON in text:
            return "no python3 there, which starts every command; apt-get install python3"
        return text or str(self._transport.get_exception() or "") or "the other end closed it"

    def _lose(self, why: str) -> None:
        with self._came:
            self.lost = self.lost or why
            self._came.notify_all()
        self._ended.set()
        ssh_connect.close(self._connection)

    def settled(self) -> str:
        """Return why the connection was lost, where a channel has ended and it is about to be noticed."""
        with self._came:
            self._came.wait_for(lambda: self.lost, _SETTLE_S)
        return self.lost

    def loss(self) -> ConnectionLost:
        """Return the error for what this connection was needed for."""
        return ConnectionLost(f"{self.name}: the connection was lost: {self.lost}")

    def close(self) -> None:
        """End the connection, and with it what was started over it, unless unbound; safe to call twice."""
        self._lose("closed")
