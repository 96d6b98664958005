"""How the memif ports of a process get connected, all at once: two of them may be each other's peers."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.memif_channel import Channel, Gone, Listener
from pytest_nfv.rings.memif_link import Agreed, Dialogue, RingPlace, Said, join, serve
from pytest_nfv.rings.memif_options import MemifOptions

_TRY_EVERY_S = 0.02
_LOOK_EVERY_S = 0.001


class Talk:
    """A dialogue over a channel."""

    def __init__(self, channel: Channel, dialogue: Dialogue) -> None:
        self.channel = channel
        self._dialogue = dialogue
        self._say(next(dialogue))

    def _say(self, said: Said | None) -> None:
        if said is not None:
            self.channel.say(said)

    def go_on(self) -> bool:
        """Answer what was heard; return whether all is agreed.

        Raises:
            Gone: the peer left.
            GeneratorError: it broke the protocol, which it is told.
        """
        try:
            while (said := self.channel.heard()) is not None:
                self._say(self._dialogue.send(said))
        except StopIteration as end:
            self._say(end.value)
            return True
        except GeneratorError as error:
            self.channel.close(str(error))
            raise
        return False


class Meeting(Protocol):
    """Something that is to get connected."""

    name: str

    def go_on(self) -> bool:
        """Do what can be done now; return whether it is connected."""
        ...

    @property
    def problem(self) -> str:
        """What it waits for."""
        ...


class ClientMeeting:
    """One port that connects to a server, again and again while there is none, or none with its interface yet."""

    def __init__(self, options: MemifOptions, memory: tuple[int, int], rings: Sequence[RingPlace]) -> None:
        self.name = options.name
        self.problem = "nobody serves the socket"
        self._options, self._memory, self._rings = options, memory, tuple(rings)
        self._talk: Talk | None = None
        self._next_try = 0.0

    @property
    def channel(self) -> Channel | None:
        """The connection, where there is one."""
        return self._talk.channel if self._talk is not None else None

    def go_on(self) -> bool:
        """Connect, or go on talking.

        Raises:
            GeneratorError: the peer cannot be what is wanted.
        """
        if self._talk is None:
            if time.monotonic() < self._next_try:
                return False
            self._next_try = time.monotonic() + _TRY_EVERY_S
            connection = self._connect()
            if connection is None:
                return False
            self._talk = Talk(Channel(connection, self.name), join(self._options, self._memory, self._rings))
            self.problem = "the server does not answer"
        try:
            return self._talk.go_on()
        except Gone as error:  # a server may have its interface a moment later
            self.problem, self._talk = str(error), None
            return False

    def _connect(self) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.setblocking(False)
        try:
            connection.connect(self._options.bound)
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError) as error:
            connection.close()
            self.problem = f"nobody serves the socket: {error.strerror}"
            return None
        except OSError as error:
            connection.close()
            raise GeneratorError(f"{self.name}: cannot connect: {error.strerror or error}") from error
        return connection

    def close(self) -> None:
        """End the connection; safe to call twice."""
        if self._talk is not None:
            self._talk.channel.close("closed")


class ServerMeeting:
    """All ports that are served on one socket, until each has its client."""

    def __init__(self, options: Sequence[MemifOptions], done: Callable[[Channel, Agreed], None]) -> None:
        """Listen; `done` is told of each client."""
        self.name = options[0].name
        self._wanted = {one.id: one for one in options}
        self._done = done
        self._talks: list[tuple[Talk, Agreed]] = []
        self.listener = Listener(options[0])

    @property
    def problem(self) -> str:
        """Who is missing."""
        return f"no peer connected as id {', '.join(map(str, sorted(self._wanted)))}"

    def go_on(self) -> bool:
        """Accept, and go on talking.

        Raises:
            GeneratorError: a client that cannot be served.
        """
        while self._wanted and (channel := self.listener.accept()) is not None:
            agreed = Agreed()
            with contextlib.suppress(Gone):
                self._talks.append((Talk(channel, serve(self._wanted, channel.name, agreed)), agreed))
        for talk, agreed in tuple(self._talks):
            try:
                ready = talk.go_on()
            except Gone:  # it may come back
                self._talks.remove((talk, agreed))
                agreed.close()
                continue
            if ready:
                self._talks.remove((talk, agreed))
                del self._wanted[agreed.id]
                self._done(talk.channel, agreed)
        return not self._wanted

    def close(self) -> None:
        """Give up what is not connected yet; safe to call twice."""
        for talk, agreed in self._talks:
            talk.channel.close("closed")
            agreed.close()
        self._talks = []
        self.listener.close()


def meet(meetings: Sequence[Meeting], wait_s: float) -> None:
    """Connect all.

    Raises:
        GeneratorError: one is not connected within `wait_s`, or cannot be.
    """
    deadline = time.monotonic() + wait_s
    waiting = list(meetings)
    while waiting:
        waiting = [one for one in waiting if not one.go_on()]
        if waiting and time.monotonic() >= deadline:
            raise GeneratorError(f"{waiting[0].name}: not connected within {wait_s:g} s: {waiting[0].problem}")
        if waiting:
            time.sleep(_LOOK_EVERY_S)
