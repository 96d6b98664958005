"""Holding a host: waiting until its lock is ours, or saying who has it."""

from __future__ import annotations

import getpass
import os
import platform
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts.run_id import RUN_VARIABLE
from pytest_nfv.units import Duration

POLL_S = 0.5
_COMMAND_LETTERS = 120


@dataclass(frozen=True, slots=True)
class Claim:
    """Who wants a host.

    Attributes:
        who: user and machine.
        command: what was started.
        run_id: the run that will hold it.
        pid: its process, on that machine.
        inside: the run that this one was started by; empty where there is none.
    """

    who: str
    command: str
    run_id: str
    pid: int
    inside: str = ""

    @classmethod
    def of_this_process(cls, run_id: str, command: Sequence[str]) -> Claim:
        """Return the claim of a run of this process, that was started as `command`."""
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # no name for it on this machine
            user = f"user {os.geteuid()}"
        shown = shlex.join(command)
        if len(shown) > _COMMAND_LETTERS:
            shown = f"{shown[:_COMMAND_LETTERS]}..."
        who = f"{user}@{platform.node()}"
        return cls(who, shown, run_id, os.getpid(), os.environ.get(RUN_VARIABLE, ""))

    def to_json(self) -> dict[str, Any]:
        """Return what the agent's `hold` takes."""
        told = {"who": self.who, "command": self.command, "run": self.run_id}
        return told | {"pid": self.pid, "inside": self.inside}


class Lockable(Protocol):
    """A host whose lock can be asked for; a `Lab` is one."""

    def hold(self, claim: Claim) -> Mapping[str, Any] | None:
        """Take the lock where it is free; return what its holder says of itself where it is not."""
        ...


Hold = Callable[[Mapping[str, Lockable]], None]
"""`hold` of one run, with everything but the hosts given."""


def hold(
    hosts: Mapping[str, Lockable], claim: Claim, timeout_s: float, on_wait: Callable[[str], None] = lambda _: None
) -> None:
    """Take the locks of hosts, by name, waiting for those that are not free.

    All runs take them in the order of their names, so that two that want the same do not wait for one another.

    Args:
        hosts: what is asked, by the host's name.
        claim: told to those who want the same hosts.
        timeout_s: how long to wait for all of them together; 0 asks once.
        on_wait: told whom we wait for, once for each holder.

    Raises:
        DeploymentError: a host is not free in time; names the holder.
    """
    deadline = time.monotonic() + timeout_s
    for name in sorted(hosts):
        told = ""
        while (found := hosts[name].hold(claim)) is not None:
            left = deadline - time.monotonic()
            held = f"host {name} is held by {holder(found)}"
            if left <= 0:
                raise DeploymentError(f"{held}; waited {Duration(timeout_s)} (--nfv-lock-timeout)")
            if held != told:
                told = held
                on_wait(f"{held}; waiting, for {Duration(timeout_s)} at most (--nfv-lock-timeout)")
            time.sleep(min(POLL_S, left))


def holder(told: Mapping[str, Any], now: datetime | None = None) -> str:
    """Return what a holder says of itself in one line; any user may have written it."""
    now = now or datetime.now()
    since = told.get("since")
    try:
        when = datetime.fromtimestamp(since) if isinstance(since, int | float) else None
    except (OverflowError, OSError, ValueError):
        when = None
    text = _line(told.get("who")) or "a run that has not said whose it is"
    if when is not None:
        text += f" since {when:%H:%M}" if when.date() == now.date() else f" since {when:%Y-%m-%d %H:%M}"
    facts = ", ".join(f"{name} {_line(told[name])}" for name in ("run", "pid") if told.get(name))
    facts += f": {_line(told['command'])}" if told.get("command") else ""
    return f"{text} ({facts})" if facts else text


def _line(value: object) -> str:
    text = "" if value is None else str(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text[: _COMMAND_LETTERS + 3])
