"""Starts one command the way every command of a run starts: entered, pinned, and bound to its parent's life.

Run by path with `python -I -S`, so it imports next to nothing and is through in some ten milliseconds:

    launch.py [--parent PID] [--report FD] [--user PATH] [--net PATH] [--cgroup PATH] [--cores 0,1]
              [--enclosed yes] -- COMMAND [ARGUMENT ...]

It enters namespaces and a control group, pins itself, asks to be killed when its parent ends (where told which
that is), and becomes the command. What goes wrong before is told on stderr and on the descriptor of `--report`,
with exit status 127; the descriptor closes by itself when the command has taken over.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
# Numbers, because importing `signal` takes longer than all else.
SIG_DFL, SIG_IGN, SIGKILL, SIGPIPE, SIGTERM, SIGXFSZ = 0, 1, 9, 13, 15, 25
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
CLONE_NEWNS, CLONE_NEWPID = 0x00020000, 0x20000000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
ENDING = (1, 2, 3, 4, 5, 6, 7, 8, SIGKILL, 11, SIGPIPE, 14, SIGTERM)  # others may stop a process, or do nothing
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


def bind_to(parent: int) -> None:
    """Have this process killed when `parent` ends."""
    # Entering a user namespace changes credentials, which clears the death signal: so it is asked for after that.
    _called(_libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "cannot ask for the death signal")
    if os.getppid() != parent:
        raise OSError(0, f"the parent process {parent} has ended already")


def _join(group: str) -> None:
    try:
        with open(f"{group}/cgroup.procs", "w", encoding="ascii") as processes:
            processes.write(str(os.getpid()))
    except OSError as error:
        raise OSError(error.errno, f"cannot join control group {group}: {error.strerror}") from error


def _enclose(report: int) -> None:
    """Go on in PID and mount namespaces of its own, with a /proc and a /sys of what is seen there.

    Three processes come of it: this one, which waits and ends as the command ends; the first of the new namespace,
    which does the same and reaps what is left to it; and the command. Each is killed with the one before it, and
    the namespace's other processes with its first.
    """
    _called(_libc.unshare(CLONE_NEWPID | CLONE_NEWNS), "cannot make PID and mount namespaces")
    for place in ("outside", "inside"):
        child = os.fork()
        if child:
            os.closerange(3, max(report, 2) + 1)
            _libc.signal(SIGTERM, ctypes.c_void_p(SIG_IGN))  # for the command, which is in the same process group
            _wait(child)
        _libc.signal(SIGTERM, ctypes.c_void_p(SIG_DFL))
        _called(_libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "cannot ask for the death signal")
        if place == "outside":
            _called(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "cannot keep mounts private")
            for kind in (b"proc", b"sysfs"):
                target = {b"proc": b"/proc", b"sysfs": b"/sys"}[kind]
                _called(_libc.mount(kind, target, kind, 0, None), f"cannot mount {target.decode()}")


def _wait(child: int) -> None:
    """Wait until `child` has ended, and end as it did."""
    while True:
        ended, status = os.wait()
        if ended == child:
            break
    # The first process of a PID namespace cannot end by a signal of its own: it says 128 + signal, as shells do.
    code = os.waitstatus_to_exitcode(status)
    first = os.getpid() == 1
    number = -code if code < 0 else code - 128
    if number in ENDING and not first:
        _libc.signal(number, ctypes.c_void_p(SIG_DFL))
        os.kill(os.getpid(), number)
    os._exit(code if code >= 0 else 128 - code)


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
        if options.get("--cgroup"):
            _join(options["--cgroup"])
        if options.get("--parent"):
            bind_to(int(options["--parent"]))
        if options.get("--enclosed"):
            _enclose(report)
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
