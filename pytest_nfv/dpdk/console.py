"""testpmd's interactive console, over its standard streams: a command in, text up to the next prompt out."""

from __future__ import annotations

import os
import select
import time

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts.protocol import Process

START_S = 30.0
ANSWER_S = 5.0
PROMPT = b"testpmd> "
_KEPT_OCTETS = 4096
_TAIL_LINES = 15


class Console:
    """Speaks with one testpmd whose stdout is line-buffered, so that a prompt comes after what it follows."""

    def __init__(self, process: Process, name: str) -> None:
        """Take over `process`, whose stdout nobody else reads; errors begin with `name`."""
        self._process = process
        self._name = name
        self._last = b""

    def greeting(self) -> str:
        """Return what it says until its first prompt.

        Raises:
            DeploymentError: it ended, or gives no prompt; with its last words.
        """
        return self._until(b"", START_S, "it does not come up")

    def ask(self, command: str) -> str:
        """Return the answer to a command; an empty one asks for a prompt alone.

        Raises:
            DeploymentError: it ended, or does not answer; with its last words.
        """
        while self._ready(0.0) and self._take():
            pass  # a link's event, told unasked
        try:
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise self.trouble(f"it reads no more ({error})") from error
        return self._until(f"{command}\r\n".encode(), ANSWER_S, f"no answer to {command!r}")

    def _until(self, echo: bytes, within_s: float, why: str) -> str:
        deadline = time.monotonic() + within_s
        text = b""
        while True:
            _, echoed, answer = text.partition(echo) if echo else (b"", b"", text)
            if PROMPT in answer and (echoed or not echo):
                return answer.partition(PROMPT)[0].decode("utf-8", "replace")
            if not self._ready(max(0.0, deadline - time.monotonic())):
                raise self.trouble(f"{why} within {within_s:g} s")
            piece = self._take()
            if not piece:
                raise self.trouble(why)
            text += piece

    def _ready(self, timeout_s: float) -> bool:
        return bool(select.select([self._process.stdout.fileno()], [], [], timeout_s)[0])

    def _take(self) -> bytes:
        piece = os.read(self._process.stdout.fileno(), 65536)
        self._last = (self._last + piece)[-_KEPT_OCTETS:]
        return piece

    def trouble(self, why: str) -> DeploymentError:
        """Return an error that tells how it ended, where it did, and its last words."""
        status = self._process.poll()
        if status is None:
            ended = why
        elif status < 0:
            ended = f"it was ended by signal {-status}"
        else:
            ended = f"it ended with exit status {status}"
        said = (self._process.stderr_tail() + "\n" + self._last.decode("utf-8", "replace")).splitlines()
        tail = "\n".join([line for line in said if line.strip()][-_TAIL_LINES:])
        return DeploymentError(f"{self._name}: {ended}" + (f"\n{tail}" if tail else ""))
