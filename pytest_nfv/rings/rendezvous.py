"""How the two ends of a UNIX socket meet: one serves the path, the other connects to it, whoever starts first."""

from __future__ import annotations

import os
import select
import socket
import stat
import time
from pathlib import Path
from typing import Literal, get_args

from pytest_nfv.errors import ConfigurationError, GeneratorError

Role = Literal["client", "server"]
ROLES: tuple[Role, ...] = get_args(Role)
PATH_OCTETS_MAX = 107
MEET_S = 10.0
_TRY_EVERY_S = 0.02
_NOBODY = (FileNotFoundError, ConnectionRefusedError, BlockingIOError)


class Rendezvous:
    """One path, in one role. A server removes its socket again, and the remains of one that is dead."""

    def __init__(self, path: str, role: Role, name: str) -> None:
        """Check the path; as a server listen on it.

        Raises:
            ConfigurationError: no path for a socket.
            GeneratorError: it cannot be served.
        """
        if not path or len(os.fsencode(path)) > PATH_OCTETS_MAX:
            raise ConfigurationError(f"{name}: accepted: a path of 1 to {PATH_OCTETS_MAX} octets")
        self.path = path
        self._name = name
        self._listener: socket.socket | None = None
        self._mine = (0, 0)
        if role == "server":
            self._listener = self._listen()

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._remove_remains()
            listener.bind(self.path)
            listener.listen(1)
            found = os.stat(self.path)
        except OSError as error:
            listener.close()
            raise GeneratorError(f"{self._name}: cannot be served: {error.strerror or error}") from error
        except GeneratorError:
            listener.close()
            raise
        self._mine = (found.st_dev, found.st_ino)
        return listener

    def _remove_remains(self) -> None:
        try:
            mode = os.stat(self.path).st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise GeneratorError(f"{self._name}: cannot be served: there is a file that is no socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(self.path)
            except ConnectionRefusedError:
                os.unlink(self.path)
                return
        raise GeneratorError(f"{self._name}: cannot be served: another process serves it")

    def meet(self, wait_s: float = MEET_S) -> socket.socket:
        """Return a connection to the other end.

        Raises:
            GeneratorError: it did not come, or is not served, within `wait_s`.
        """
        deadline = time.monotonic() + wait_s
        if self._listener is not None:
            ready, _, _ = select.select([self._listener], [], [], wait_s)
            if not ready:
                raise GeneratorError(f"{self._name}: no peer connected within {wait_s:g} s")
            return self._listener.accept()[0]
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(0)  # a server that accepts nobody says so at once
            try:
                connection.connect(self.path)
                return connection
            except OSError as error:
                connection.close()
                if not isinstance(error, _NOBODY):
                    raise GeneratorError(f"{self._name}: cannot connect: {error.strerror or error}") from error
                if time.monotonic() >= deadline:
                    raise GeneratorError(
                        f"{self._name}: nobody serves the socket since {wait_s:g} s: {error.strerror}"
                    ) from error
            time.sleep(_TRY_EVERY_S)

    def fileno(self) -> int:
        """Return the listening descriptor; -1 for a client."""
        return -1 if self._listener is None else self._listener.fileno()

    def close(self) -> None:
        """Stop listening and remove the socket, where it is still ours; safe to call twice."""
        if self._listener is None:
            return
        self._listener.close()
        self._listener = None
        try:
            found = os.stat(self.path)
            if (found.st_dev, found.st_ino) == self._mine:
                Path(self.path).unlink()
        except FileNotFoundError:
            return
