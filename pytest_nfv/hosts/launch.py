"""Starts one command the way every command of a run starts: entered, pinned, and bound to its parent's life.

Run by path with `python -I -S`, so it imports next to nothing and is through in some ten milliseconds:

    launch.py --parent PID [--report FD] [--user PATH] [--net PATH] [--cores 0,1] -- COMMAND [ARGUMENT ...]

It enters the user and network namespaces, pins itself, asks to be killed when its parent ends, and becomes the
command. What goes wrong before that is told on stderr and on the descriptor of `--report`, with exit status 127;
the descriptor closes by itself when the command has taken over.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
SIG_DFL, SIGKILL, SIGPIPE, SIGXFSZ = 0, 9, 13, 25  # numbers, because importing `signal` takes longer than all else
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
NOT_STARTED = 127

_libc = ctypes.CDLL(None, use_errno=True)


def _called(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def _options(argv: list[str]) -> tuple[dict[str, str], list[str]]:
    split = argv.index("--")
    words = argv[:split]
    return dict(zip(words[::2], words[1::2], strict=True)), argv[split + 1 :]


def _enter(options: dict[str, str]) -> None:
    # Both are opened first: from inside the user namespace the way to the other may be closed.
    wanted = [
        (kind, flag) for kind, flag in (("--user", CLONE_NEWUSER), ("--net", CLONE_NEWNET)) if kind in options
    ]
    opened = [(os.open(options[kind], os.O_RDONLY), options[kind], flag) for kind, flag in wanted]
    for descriptor, path, flag in opened:
        _called(_libc.setns(descriptor, flag), f"cannot enter namespace {path}")
        os.close(descriptor)


def _pin(cores: str) -> None:
    try:
        os.sched_setaffinity(0, [int(core) for core in cores.split(",")])
    except OSError as error:
        raise OSError(error.errno, f"cannot pin to core {cores}: {error.strerror}") from error


def _bind_to(parent: int) -> None:
    # Entering a user namespace changes credentials, which clears the death signal: so it is asked for after that.
    _called(_libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "cannot ask for the death signal")
    if os.getppid() != parent:
        raise OSError(0, f"the parent process {parent} has ended already")


def main(argv: list[str]) -> None:
    """Become the command; return only by raising SystemExit."""
    options, command = _options(argv)
    report = int(options.get("--report", "2"))
    if report > 2:
        os.set_inheritable(report, False)
    try:
        _enter(options)
        if options.get("--cores"):
            _pin(options["--cores"])
        _bind_to(int(options["--parent"]))
        for number in (SIGPIPE, SIGXFSZ):  # Python ignores both, and the command would inherit that
            _libc.signal(number, ctypes.c_void_p(SIG_DFL))
        os.execvp(command[0], command)
    except OSError as error:
        text = f"{command[0]}: {error.strerror}" if error.filename is None else str(error)
        os.write(2, f"not started: {text}\n".encode())
        if report > 2:
            os.write(report, text.encode())
        sys.exit(NOT_STARTED)


if __name__ == "__main__":
    main(sys.argv[1:])
