"""Our hand on a far host: one process a connection, that reads and writes small files and ends what was started.

Not imported but sent (`ssh_wire`), so that nothing of this package has to be there. It answers requests, a line
of JSON each: `{"id": 1, "op": "read", "paths": [...]}`. When its stdin ends, or nothing came for `SILENCE_S`,
which is how a cut cable looks from here, it kills every process that carries the connection's token, and then
sshd's process for the connection, which would wait for hours.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

SILENCE_S = 20.0
END_S = 2.0
TOKEN_VARIABLE = "PYTEST_NFV_CONNECTION"


def read(paths: list[str]) -> dict[str, str]:
    """Return the texts of those that can be read."""
    found = {}
    for path in paths:
        try:
            found[path] = read_one(path)
        except OSError:
            continue
    return found


def read_one(path: str) -> str:
    """Return a file's text; octets that are no UTF-8 are replaced."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def write(path: str, text: str) -> None:
    """Write a file."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def send(pid: int, number: int) -> bool:
    """Send a signal to a command and those in its process group; return whether it was there."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    return True


def end(token: str, sshd: int, born: str) -> int:
    """End what is left of a lost connection: its processes, then sshd's; return how many processes it was."""
    killed = sweep(token)
    if born and born_at(sshd) == born:
        os.kill(sshd, signal.SIGKILL)
    return killed


def sweep(token: str) -> int:
    """Kill every process that carries the token until there is none; return how many it was."""
    wanted = f"{TOKEN_VARIABLE}={token}".encode()
    killed: set[int] = set()
    deadline = time.monotonic() + END_S
    while left := [pid for pid in _processes() if carries(pid, wanted)]:
        if time.monotonic() > deadline:
            break
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            except OSError:
                continue  # ended meanwhile
        time.sleep(0.005)  # until the kernel has ended them
    return len(killed)


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal() and int(name) != os.getpid()]


def carries(pid: int, wanted: bytes) -> bool:
    """Whether a process has the variable in its environment; a dead one has none."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return wanted in file.read().split(b"\0")
    except OSError:
        return False


def born_at(pid: int) -> str:
    """Return when a process began, in the kernel's ticks; empty where there is none (proc(5), starttime)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


OPERATIONS: dict[str, Callable[..., Any]] = {
    "beat": lambda: None,
    "read": read,
    "read_one": read_one,
    "write": write,
    "send": send,
    "end": end,
}


def answer(line: bytes) -> dict[str, Any]:
    """Do one request."""
    request = json.loads(line)
    number, name = request.pop("id"), request.pop("op")
    try:
        return {"id": number, "ok": OPERATIONS[name](**request)}
    except OSError as error:
        return {"id": number, "errno": error.errno, "error": error.strerror, "path": str(error.filename or "")}


def _tell(value: dict[str, Any]) -> None:
    text = json.dumps(value).encode() + b"\n"
    while text:
        text = text[os.write(1, text) :]


def _serve(silence_s: float) -> None:
    rest = b""
    while select.select([0], [], [], silence_s)[0]:
        piece = os.read(0, 65536)
        if not piece:
            return
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            _tell(answer(line))


def main(take: Callable[[int], bytes]) -> None:
    """Serve until the connection ends; never returns."""
    mark = take(int(take(8)))
    token, silence_s = take(int(take(8))).decode().split()
    sshd = os.getppid()
    born = born_at(sshd)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        os.write(1, mark + b"\n")
        hello = {"sshd": sshd, "born": born, "home": os.path.expanduser("~"), "executable": sys.executable}
        _tell({"id": 0, "ok": hello})
        _serve(float(silence_s))
    except OSError:
        pass  # nobody reads any more
    finally:
        end(token, sshd, born if os.getppid() == sshd else "")
    os._exit(0)
