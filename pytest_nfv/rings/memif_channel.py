"""The sockets of memif: control channels, and the listener of a server. Nothing here blocks."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.memif_link import Said, close_all
from pytest_nfv.rings.memif_messages import MESSAGE_OCTETS, REASON_OCTETS, Disconnect, Message, pack, parse, text
from pytest_nfv.rings.memif_options import MemifOptions

_DESCRIPTORS_MAX = 4


class Gone(GeneratorError):
    """The peer ended the connection, with a reason or without."""


class Channel:
    """A connected control socket."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        connection.setblocking(False)
        self._socket = connection
        self.name = name

    def fileno(self) -> int:
        """Return the descriptor, to wait on."""
        return self._socket.fileno()

    def say(self, said: Said) -> None:
        """Send a message.

        Raises:
            Gone: the peer left, or does not read.
        """
        try:
            socket.send_fds(self._socket, [pack(said.message)], said.descriptors)
        except OSError as error:
            raise Gone(f"{self.name}: the peer is gone: {error.strerror or error}") from error

    def heard(self) -> Said | None:
        """Return the next message; None where there is none yet.

        Raises:
            Gone: the peer says that this is the end, or just went.
            GeneratorError: it sent nonsense.
        """
        try:
            data, descriptors, flags, _ = socket.recv_fds(
                self._socket, 2 * MESSAGE_OCTETS, _DESCRIPTORS_MAX, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return None
        except OSError as error:
            raise Gone(f"{self.name}: the peer is gone: {error.strerror or error}") from error
        try:
            return Said(self._read(data, flags), tuple(descriptors))
        except GeneratorError:
            close_all(descriptors)
            raise

    def _read(self, data: bytes, flags: int) -> Message:
        if not data:
            raise Gone(f"{self.name}: the peer is gone: it closed its control socket")
        if flags & socket.MSG_CTRUNC:
            raise GeneratorError(f"{self.name}: the peer sent a message with too many descriptors")
        try:
            message = parse(data)
        except ValueError as error:
            raise GeneratorError(f"{self.name}: the peer sent {error}") from error
        if isinstance(message, Disconnect):
            raise Gone(f"{self.name}: the peer disconnected: {text(message.reason) or 'no reason given'}")
        return message

    def check(self) -> None:
        """Raise where the peer is gone or speaks out of turn; nothing is to be said while rings run.

        Raises:
            GeneratorError: says which.
        """
        said = self.heard()
        if said is not None:
            close_all(said.descriptors)
            raise GeneratorError(f"{self.name}: the peer sent {type(said.message).__name__} while connected")

    def close(self, reason: str) -> None:
        """Say goodbye where the peer still listens; safe to call twice."""
        if self._socket.fileno() >= 0:
            with contextlib.suppress(GeneratorError):
                self.say(Said(Disconnect(0, reason.encode("ascii", "replace")[: REASON_OCTETS - 1])))
        self._socket.close()


class Listener:
    """The socket of a server: removed again with it, as are the remains of one that is dead."""

    def __init__(self, options: MemifOptions) -> None:
        self._name = options.name
        self._path = None if options.socket.startswith("@") else options.socket
        self._mine = (0, 0)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._socket.setblocking(False)
            self._bind(options.bound)
        except OSError as error:
            self._socket.close()
            raise GeneratorError(f"{self._name}: cannot be served: {error.strerror or error}") from error

    def _bind(self, address: str) -> None:
        if self._path is not None and _is_dead(self._path):
            os.unlink(self._path)
        self._socket.bind(address)
        self._socket.listen()
        if self._path is not None:
            found = os.stat(self._path)
            self._mine = (found.st_dev, found.st_ino)

    def fileno(self) -> int:
        """Return the descriptor, to wait on."""
        return self._socket.fileno()

    def accept(self) -> Channel | None:
        """Return a new connection, if there is one."""
        try:
            return Channel(self._socket.accept()[0], self._name)
        except BlockingIOError:
            return None

    def close(self) -> None:
        """Stop, and remove the socket where it is still ours; safe to call twice."""
        if self._socket.fileno() < 0:
            return
        self._socket.close()
        if self._path is not None:
            with contextlib.suppress(FileNotFoundError):
                found = os.stat(self._path)
                if (found.st_dev, found.st_ino) == self._mine:
                    Path(self._path).unlink()


def _is_dead(path: str) -> bool:
    """Whether there is a socket that nobody listens on."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except BlockingIOError:
            return False
    return False
