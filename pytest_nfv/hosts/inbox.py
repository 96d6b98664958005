"""The agent's requests, until there is nobody left to make any."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import suppress

_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Inbox:
    """Yields lines; ends with the stream, with the parent process, or on a signal that asks for an end.

    Empty lines ask for nothing: they are the heartbeat of an asking end on another host. Where there is to be one,
    silence ends it, too.

    The parent is watched beside the stream, since some other child of it may hold the stream's writing end.
    Signals are told through a pipe, so that a request is never cut in half: what it made is always on the books.
    """

    def __init__(self, descriptor: int, parent: int, silence_s: float | None = None) -> None:
        """Read from `descriptor`, on behalf of process `parent`, for as long as no `silence_s` go by unheard."""
        self._descriptor = descriptor
        self._silence_s = silence_s
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in _ENDING:
            signal.signal(number, lambda *_: None)
        self._ends = [self._reader]
        with suppress(OSError):  # not in every seccomp profile; the stream's end is enough for most
            self._ends.append(os.pidfd_open(parent))
        self._orphan = os.getppid() != parent

    def __iter__(self) -> Iterator[bytes]:
        """Yield request after request."""
        rest = b""
        while not self._orphan:
            ready = select.select([self._descriptor, *self._ends], [], [], self._silence_s)[0]
            if not ready or set(ready) & set(self._ends):
                return
            piece = os.read(self._descriptor, 65536)
            if not piece:
                return
            *lines, rest = (rest + piece).split(b"\n")
            yield from (line for line in lines if line.strip())

    def close(self) -> None:
        """Give the descriptors back; from here on signals are ignored."""
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        for descriptor in (*self._ends, self._writer):
            os.close(descriptor)
