"""One command on a far host, run to its end within a deadline: by the hand, or a channel for much."""

from __future__ import annotations

import base64
import signal
import threading
import time
from contextlib import suppress

import paramiko

from pytest_nfv.errors import CommandError
from pytest_nfv.hosts.ssh_link import BROKEN, ConnectionLost, Link
from pytest_nfv.hosts.ssh_process import FarCommand, Order

_AT_ONCE = 65536
_END_S = 3.0


def run(
    link: Link, order: Order, stdin: bytes, timeout_s: float, *, much: bool = False
) -> tuple[int, bytes, bytes]:
    """Return status, stdout and stderr; `much` where it may write as much as a file has.

    Raises:
        CommandError: it could not be started or ran past the deadline, or the connection was lost.
        NoMoreSessions: as `Link.execute`.
    """
    if len(stdin) <= _AT_ONCE and not much:
        return _by_hand(link, order, stdin, timeout_s)
    deadline = time.monotonic() + timeout_s
    out: list[bytes] = []
    err: list[bytes] = []
    command = FarCommand(link, order, out.append, err.append)
    try:
        _write(command.channel, stdin)
        drained = command.drained(deadline)
    except BaseException:  # Ctrl-C: it must not go on
        _kill(command)
        raise
    late = "" if drained else f"not done after {timeout_s:g} s"
    if late:
        _kill(command)
    status, why = command.poll(), command.loss() or late
    command.channel.close()
    if why or status is None:
        raise CommandError(order.host, order.argv, None, b"".join(err).decode("utf-8", "replace"), why)
    return status, b"".join(out), b"".join(err)


def _by_hand(link: Link, order: Order, stdin: bytes, timeout_s: float) -> tuple[int, bytes, bytes]:
    order.payload("")  # raises where no command can be given that
    try:
        told, late = link.run(order.argv, order.env, order.options, stdin, timeout_s)
    except ConnectionLost as error:
        raise CommandError(order.host, order.argv, None, "", f"the connection was lost: {link.lost}") from error
    except OSError as error:  # no process to be had, or no pipe
        raise CommandError(order.host, order.argv, None, str(error)) from error
    if told["failed"]:
        raise CommandError(order.host, order.argv, None, told["failed"])
    out, err = (base64.b64decode(told[stream]) for stream in ("stdout", "stderr"))
    if late:
        why = f"not done after {timeout_s:g} s"
        raise CommandError(order.host, order.argv, None, err.decode("utf-8", "replace"), why)
    return int(told["status"]), out, err


def _write(channel: paramiko.Channel, stdin: bytes) -> None:
    """Pass on what it reads: a little at once, much from a thread, as it may write before it reads."""
    if len(stdin) <= _AT_ONCE:
        _write_all(channel, stdin)
    else:
        threading.Thread(target=_write_all, args=(channel, stdin), daemon=True).start()


def _write_all(channel: paramiko.Channel, stdin: bytes) -> None:
    with suppress(*BROKEN):  # it ended, or reads no more
        channel.sendall(stdin)
        channel.shutdown_write()


def _kill(command: FarCommand) -> None:
    command.send(signal.SIGKILL)
    command.drained(time.monotonic() + _END_S)
    command.channel.close()
