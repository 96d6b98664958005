"""What goes over the wire to start something on a far host, and how its own words are told from the command's.

The command line that sshd hands to a shell is fixed: no argv, path or value is ever part of it. They follow on
stdin, as fields of a length and so many octets, and a Python there (`BOOT`) becomes the command. So there is
nothing to quote, and nothing of it in a process list or a log of the far host.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

PROVISIONED = "~/.local/share/pytest-nfv/venv/bin/python"
NO_PYTHON = "pytest-nfv: no python3 here"
_HERE = Path(__file__).parent

# One line without single quotes, exclamation marks and dollars: shells of any kind pass it on as it is.
BOOT = (
    r'exec("import os\ndef take(n):\n d=bytes()\n while len(d)<n:\n  p=os.read(0,n-len(d))\n'
    r'  if not p: os._exit(1)\n  d+=p\n return d\nexec(take(int(take(8))))\nmain(take)")'
)
_FIND = (
    'for p in "$@"; do case "$p" in "~/"*) p="$HOME/${p#??}";; esac; '
    'command -v "$p" >/dev/null 2>&1 && exec "$p" -I -S -c "$0"; done; '
    f'echo "{NO_PYTHON}" >&2; exit 127'
)


def command_line(python: str) -> str:
    """Return the command line for sshd: the first Python that is there reads what follows on stdin.

    Args:
        python: path of an interpreter to be tried first, or empty.
    """
    tried = [*([python] if python else []), "python3", PROVISIONED]
    return "exec " + shlex.join(["/bin/sh", "-c", _FIND, BOOT, *tried])


def field(content: bytes) -> bytes:
    """Return one field."""
    return b"%8d" % len(content) + content


def words(texts: Sequence[str]) -> bytes:
    """Return one field of several texts.

    Raises:
        ValueError: one has a NUL in it.
    """
    if any("\0" in text for text in texts):
        raise ValueError("embedded null byte")
    return field(b"".join(os.fsencode(text) + b"\0" for text in texts))


def hand(mark: str, token: str, silence_s: float) -> bytes:
    """Return what starts a hand (`hosts/hand.py`)."""
    return field(_text("hand.py")) + field(mark.encode()) + field(f"{token} {silence_s}".encode())


def command(mark: str, argv: Sequence[str], env: Mapping[str, str], options: Sequence[str]) -> bytes:
    """Return what starts a command (`hosts/carry.py`).

    Args:
        mark: of our own words in its stderr.
        argv: the command.
        env: added to its environment.
        options: the launcher's.

    Raises:
        ValueError: a word or a value cannot be given to any command.
    """
    if any(not name or "=" in name for name in env):
        raise ValueError(f"illegal environment variable name in {sorted(env)}")
    variables = words([f"{name}={value}" for name, value in env.items()])
    return (
        field(_text("carry.py")) + field(_text("launch.py")) + field(mark.encode())
        + variables + words(options) + words(argv)
    )  # fmt: skip


def _text(name: str) -> bytes:
    return (_HERE / name).read_bytes()


class Sieve:
    """Takes our own words out of a command's stderr; they come whole, but anywhere in it.

    Attributes:
        pid: of the command; failed: why it was not started; status: how it ended; None while that is not known.
    """

    def __init__(self, mark: str) -> None:
        """Make one for a mark."""
        self._mark = mark.encode() + b" "
        self._rest = b""
        self.pid: int | None = None
        self.failed: str | None = None
        self.status: int | None = None

    def feed(self, piece: bytes) -> bytes:
        """Return what of it is the command's; the rest of what may be ours is kept for the next piece."""
        text = self._rest + piece
        clean = b""
        while (at := text.find(self._mark)) >= 0:
            told, end, after = text[at + len(self._mark) :].partition(b"\n")
            if not end:
                break
            self._hear(told.decode(errors="replace"))
            clean, text = clean + text[:at], after
        kept = len(text) - at if at >= 0 else self._begun(text)
        self._rest = text[len(text) - kept :]
        return clean + text[: len(text) - kept]

    def rest(self) -> bytes:
        """Return what was kept, at the end."""
        return self._rest

    def _begun(self, text: bytes) -> int:
        """Return how many octets at the end could be the beginning of a mark."""
        longest = min(len(text), len(self._mark) - 1)
        return next((n for n in range(longest, 0, -1) if text.endswith(self._mark[:n])), 0)

    def _hear(self, told: str) -> None:
        word, _, value = told.partition(" ")
        if word == "pid":
            self.pid = int(value)
        elif word == "failed":
            self.failed = value
        elif word == "ended":
            self.status = int(value)
