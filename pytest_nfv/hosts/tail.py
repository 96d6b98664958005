"""The last lines of a stream, read as they come so that the writer never waits."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import IO

LINES_KEPT = 200
LINE_OCTETS = 4096
_END_DEADLINE_S = 1.0


class Tail:
    """Reads a text stream in a thread of its own and keeps its end."""

    def __init__(self, stream: IO[str]) -> None:
        """Start reading `stream`, which is this object's from now on."""
        self._stream = stream
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._thread = threading.Thread(target=self._read, name="pytest-nfv stderr", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        # A line without an end comes in pieces, so that no writer can make us keep more than the bound.
        with suppress(OSError, ValueError):
            while line := self._stream.readline(LINE_OCTETS):
                self._lines.append(line)

    def text(self, *, ended: bool = False) -> str:
        """Return what is kept; where the writer has `ended`, wait for what is still in the pipe."""
        if ended:
            self._thread.join(_END_DEADLINE_S)
        return "".join(tuple(self._lines))

    def close(self) -> None:
        """Read to the end and close. A stream that a stray child still holds open is left to the thread."""
        self._thread.join(_END_DEADLINE_S)
        if not self._thread.is_alive():
            self._stream.close()
