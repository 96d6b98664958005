"""The standard streams of the generator process: whole lines in, whole lines out, never in the way of a trial."""

from __future__ import annotations

import json
import os
import select
from typing import Any

from pytest_nfv.trafgen.messages import LINE_OCTETS_MAX

_CHUNK = 1 << 16


class Hangup(Exception):
    """The other end is gone: end quietly."""


class Control:
    """Lines over two file descriptors."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._in, self._out = read_fd, write_fd
        self._rest = b""

    def line(self, *, wait: bool) -> str | None:
        """Return the next line; None where there is none yet and `wait` is false.

        Raises:
            Hangup: end of file, or a line beyond all bounds.
        """
        while b"\n" not in self._rest:
            if not wait and not select.select([self._in], [], [], 0)[0]:
                return None
            chunk = os.read(self._in, _CHUNK)
            if not chunk or len(self._rest) > LINE_OCTETS_MAX:
                raise Hangup
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode("utf-8", "replace")

    def tell(self, event: str, **content: Any) -> None:
        """Write one event.

        Raises:
            Hangup: nobody reads any more.
        """
        data = (json.dumps({"event": event, **content}) + "\n").encode()
        try:
            while data:
                data = data[os.write(self._out, data) :]
        except BrokenPipeError as error:
            raise Hangup from error

    def tell_if_read(self, event: str, **content: Any) -> None:
        """Write one short event, or drop it where the reader is behind: a full pipe must not hold a trial up."""
        if select.select([], [self._out], [], 0)[1]:
            self.tell(event, **content)
