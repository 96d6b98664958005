"""The far end of one command over SSH: starts it, tells its process id, waits, tells how it ended.

Not imported but sent (`ssh_wire`), so that nothing of this package has to be there; `take` reads so many octets of
stdin: the launcher's text, a mark, environment variables, the launcher's options, the command; a field each.

stdout is the command's alone, after a first line with the mark: what a shell's start-up files print comes before
it. Our own words go to stderr, behind the mark, which nobody can guess: `MARK pid 123`, `MARK failed REASON`,
`MARK ended STATUS`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

UNBOUND = "--unbound"


def main(take: Callable[[int], bytes]) -> None:
    """Start the command and wait for it; never returns."""
    launcher: dict[str, Any] = {"__name__": "launcher"}
    exec(compile(_field(take), "launch.py", "exec"), launcher)
    mark, environment, options, command = (_field(take) for _ in range(4))
    launcher["bind_to"](os.getppid())  # sshd's process for the connection: where it ends, so do we
    os.write(1, mark + b"\n")
    told, report = os.pipe()
    child = os.fork()
    if not child:
        os.setsid()
        for word in _words(environment):
            name, _, value = word.partition("=")
            os.environ[name] = value
        words = _words(options)
        bound = [] if UNBOUND in words else ["--parent", str(os.getppid())]
        words = [word for word in words if word != UNBOUND]
        launcher["main"]([*bound, "--report", str(report), *words, "--", *_words(command)])
    os.close(report)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):  # it is the command that ends these
        os.dup2(nothing, stream)
    trouble = b"".join(iter(lambda: os.read(told, 4096), b"")).decode(errors="replace")
    _say(mark, f"failed {trouble}" if trouble else f"pid {child}")
    _, status = os.waitpid(child, 0)
    _say(mark, f"ended {os.waitstatus_to_exitcode(status)}")
    os._exit(0)


def _field(take: Callable[[int], bytes]) -> bytes:
    return take(int(take(8)))


def _words(field: bytes) -> list[str]:
    return [os.fsdecode(word) for word in field.split(b"\0")[:-1]]


def _say(mark: bytes, text: str) -> None:
    with suppress(OSError):  # nobody is left to hear it
        os.write(2, mark + b" " + text.encode() + b"\n")
