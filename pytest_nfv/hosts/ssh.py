"""Another machine by SSH: commands as on this one, each bound to the connection, and so to this process's life."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pytest_nfv.errors import CommandError
from pytest_nfv.hosts import far_copy
from pytest_nfv.hosts.carry import UNBOUND
from pytest_nfv.hosts.local import write_whole
from pytest_nfv.hosts.protocol import COPY_DEADLINE_S, Completed, Entry, Process
from pytest_nfv.hosts.run_id import RUN_VARIABLE
from pytest_nfv.hosts.ssh_config import Address
from pytest_nfv.hosts.ssh_wire import PROVISIONED

if TYPE_CHECKING:
    from pytest_nfv.hosts.ssh_link import Link
    from pytest_nfv.hosts.ssh_process import Order

T = TypeVar("T")


class _Connections:
    """The connections to one far host: made when needed, anew after a loss, more where one has no session left."""

    def __init__(self, name: str, address: str, python: str, config_file: Path | None) -> None:
        Address.of(address)
        self.name = name
        self.python = python
        self._arguments = (name, address, python, config_file)
        self._lock = threading.RLock()
        self._live: list[Link] = []
        self._lost: list[Link] = []

    def first(self) -> Link:
        """Return a live connection."""
        with self._lock:
            self._lost += [link for link in self._live if link.lost]
            self._live = [link for link in self._live if not link.lost]
            return self._live[0] if self._live else self._more()

    def _more(self) -> Link:
        from pytest_nfv.hosts.ssh_link import Link

        made = Link(*self._arguments)
        self._live.append(made)
        while self._lost:  # over there they may be thought to live, and with them what they started
            gone = self._lost[-1]
            made.ask("end", token=gone.token, sshd=gone.hello["sshd"], born=gone.hello["born"])
            self._lost.pop()
        return made

    def started(self, start: Callable[[Link], T]) -> T:
        """Start something over a connection that has a session left for it."""
        from pytest_nfv.hosts.ssh_link import NoMoreSessions

        self.first()
        for link in tuple(self._live):
            try:
                return start(link)
            except NoMoreSessions:
                continue
        with self._lock:
            return start(self._more())

    def close(self) -> None:
        with self._lock:
            for link in self._live:
                link.close()
            self._live = []


class SshHost:
    """Implements `hosts.protocol.MachineHost` for another machine.

    It connects when it is first used. Once a connection is lost, every call that needed it raises, what runs there
    is ended from over there (`hosts/hand.py`), and the next call connects anew.
    """

    def __init__(
        self, address: str, run_id: str = "", *, name: str, python: str = "", config_file: Path | None = None
    ) -> None:
        """Make a host; nothing is connected yet.

        Args:
            address: `[user@]host[:port]`, or a name in ~/.ssh/config.
            run_id: what its processes are marked with, where given.
            name: what messages call it.
            python: its interpreter that has this package; where not given, where `provision` puts it.
            config_file: read instead of ~/.ssh/config, as with ssh -F.
        """
        self._name = name
        self._address = address
        self._run_id = run_id
        self._entry = Entry()
        self._far = _Connections(name, address, python, config_file)

    @property
    def name(self) -> str:
        """What messages call it."""
        return self._name

    @property
    def address(self) -> str:
        """What ssh takes to reach it."""
        return self._address

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float = 30.0,
        check: bool = True,
        cores: Sequence[int] = (),
    ) -> Completed:
        """Run to the end.

        Raises:
            CommandError: it could not be started, ran past the deadline or (with `check`) failed, or the
                connection was lost.
            DeploymentError: no connection.
        """
        status, out, err = self.run_octets(argv, stdin=stdin.encode(), timeout_s=timeout_s, cores=cores)
        stdout, stderr = out.decode("utf-8", "replace"), err.decode("utf-8", "replace")
        if check and status:
            raise CommandError(self.name, argv, status, stderr)
        return Completed(tuple(argv), status, stdout, stderr)

    def run_octets(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes,
        timeout_s: float,
        cores: Sequence[int] = (),
        much: bool = False,
    ) -> tuple[int, bytes, bytes]:
        """Run to the end; return status, stdout and stderr; `much` where it may write as much as a file has.

        Raises:
            CommandError: it could not be started or ran past the deadline, or the connection was lost.
            DeploymentError: no connection.
        """
        from pytest_nfv.hosts.ssh_run import run

        return self._far.started(
            lambda link: run(link, self._order(link, argv, cores, {}), stdin, timeout_s, much=much)
        )

    def start(
        self, argv: Sequence[str], *, cores: Sequence[int] = (), env: Mapping[str, str] | None = None
    ) -> Process:
        """Start in the background, pinned to `cores` where given; it dies with the connection, and so with us.

        Raises:
            CommandError: it could not be started.
            DeploymentError: no connection.
        """
        from pytest_nfv.hosts.ssh_process import FarProcess

        return self._far.started(lambda link: FarProcess(link, self._order(link, argv, cores, env or {})))

    def start_unbound(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Process:
        """Start in the background what outlives the connection, to put things back: its stdin ends with it.

        Raises:
            CommandError: it could not be started.
            DeploymentError: no connection.
        """
        from pytest_nfv.hosts.ssh_process import FarProcess, Order

        order = Order(self.name, tuple(argv), {**self._marks(), **(env or {})}, (UNBOUND,))
        return self._far.started(lambda link: FarProcess(link, order))

    def _order(self, link: Link, argv: Sequence[str], cores: Sequence[int], env: Mapping[str, str]) -> Order:
        from pytest_nfv.hosts.ssh_process import Order

        options = self._entry.options()
        options += ["--cores", ",".join(map(str, cores))] if cores else []
        return Order(self.name, tuple(argv), {**self._marks(), **link.marks, **env}, tuple(options))

    def _marks(self) -> dict[str, str]:
        return {RUN_VARIABLE: self._run_id} if self._run_id else {}

    @property
    def python(self) -> str:
        """Path of its interpreter that has this package, or shall have it.

        Raises:
            DeploymentError: no connection.
        """
        path = self._far.python or PROVISIONED
        return self.home + path[1:] if path.startswith("~/") else path

    @property
    def home(self) -> str:
        """Home directory of the user over there.

        Raises:
            DeploymentError: no connection.
        """
        return str(self._far.first().hello["home"])

    @property
    def interpreter(self) -> str:
        """Path of the Python over there that starts every command; it need not have this package.

        Raises:
            DeploymentError: no connection.
        """
        return str(self._far.first().hello["executable"])

    def python_version(self) -> str:
        """Return that interpreter's version.

        Raises:
            CommandError: it is not there.
            DeploymentError: no connection.
        """
        return self.run([self.python, "-I", "-S", "-V"]).stdout.split()[-1]

    def read_text(self, path: str) -> str:
        """Return a small file's text; octets that are no UTF-8 are replaced."""
        return str(self._far.first().ask("read_one", path=path))

    def read_texts(self, paths: Sequence[str]) -> dict[str, str]:
        """Return small files' texts by path, in one round trip; those that cannot be read are left out."""
        return dict(self._far.first().ask("read", paths=list(paths)))

    def write_text(self, path: str, text: str) -> None:
        """Write a small file."""
        self._far.first().ask("write", path=path, text=text)

    def put(self, local: Path, remote: str, *, timeout_s: float = COPY_DEADLINE_S) -> None:
        """Copy a file of ours onto it: the whole of it, or nothing."""
        content, mode = local.read_bytes(), local.stat().st_mode & 0o777
        self._copy(["put", remote, str(len(content)), str(mode)], content, timeout_s)

    def get(self, remote: str, local: Path, *, timeout_s: float = COPY_DEADLINE_S) -> None:
        """Copy a file of it to us: the whole of it, or nothing."""
        write_whole(local, self._copy(["get", remote], b"", timeout_s))

    def _copy(self, words: Sequence[str], content: bytes, timeout_s: float) -> bytes:
        argv = [
            self.interpreter,
            "-I",
            "-S",
            "-c",
            Path(far_copy.__file__).read_text(),
            *words,
        ]
        much = words[0] == "get"
        status, out, err = self.run_octets(argv, stdin=content, timeout_s=timeout_s, much=much)
        said = err.decode("utf-8", "replace")
        if status == far_copy.REFUSED:
            number, reason, path = json.loads(said)
            raise OSError(number, f"on {self.name}: {reason}", path)
        if status:
            raise CommandError(self.name, words, status, said)
        return out

    def within(self, entry: Entry, name: str) -> SshHost:
        """Return a host of the same machine, over the same connection, whose commands enter `entry`."""
        inner = copy(self)
        inner._name, inner._entry = name, entry
        return inner

    def reconnect(self) -> None:
        """Connect anew where the connection was lost, or was never made; end over there what was left by it.

        Raises:
            DeploymentError: no connection.
        """
        self._far.first()

    def close(self) -> None:
        """End the connection, and what was started over it, unless unbound; the next call connects anew."""
        self._far.close()
