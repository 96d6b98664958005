"""One request, one answer, each a line of JSON, over a process's standard streams."""

from __future__ import annotations

import json
import os
import select
import threading
import time
from collections.abc import Mapping
from typing import Any

from pytest_nfv.hosts.protocol import Process


class LinesBroken(Exception):
    """The other end died, said nothing in time, or said nonsense; internal to `hosts`."""


class LinesLate(LinesBroken):
    """It said nothing in time."""


class JsonLines:
    """The asking end."""

    def __init__(self, process: Process) -> None:
        """Speak with `process`, whose stdout nobody else reads."""
        self._process = process
        self._rest = b""
        self._writing = threading.Lock()

    def tell(self, request: Mapping[str, Any]) -> None:
        """Send a request.

        Raises:
            LinesBroken: the other end reads no more.
        """
        self._write(json.dumps(request) + "\n")

    def beat(self) -> None:
        """Send an empty line, which asks nothing; from any thread.

        Raises:
            LinesBroken: the other end reads no more.
        """
        self._write("\n")

    def _write(self, text: str) -> None:
        try:
            with self._writing:
                self._process.stdin.write(text)
                self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise LinesBroken(f"it reads no more ({error})") from error

    def answer(self, timeout_s: float) -> dict[str, Any]:
        """Return the next answer.

        Raises:
            LinesBroken: none came within `timeout_s`, or what came is no JSON object.
        """
        line = self._line(time.monotonic() + timeout_s, timeout_s)
        try:
            value = json.loads(line)
        except ValueError as error:
            raise LinesBroken(f"it answered {line[:200]!r}, which is not JSON") from error
        if not isinstance(value, dict):
            raise LinesBroken(f"it answered {line[:200]!r}, which is not an object")
        return value

    def pending(self) -> bool:
        """Whether something came, or the other end ended: `answer` would have something to do."""
        return b"\n" in self._rest or bool(select.select([self._process.stdout.fileno()], [], [], 0)[0])

    def _line(self, deadline: float, timeout_s: float) -> bytes:
        # Read below the text layer: its buffer would hide a second line from select.
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._rest:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([descriptor], [], [], left)[0]:
                raise LinesLate(f"it did not answer within {timeout_s:g} s")
            piece = os.read(descriptor, 65536)
            if not piece:
                raise LinesBroken("it ended")
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        return line
