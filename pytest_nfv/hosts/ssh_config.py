"""What ~/.ssh/config says about a host: read as OpenSSH reads it, as far as paramiko knows the words."""

from __future__ import annotations

import glob
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_nfv.errors import ConfigurationError

DEEPEST_INCLUDE = 16  # as in OpenSSH
_INCLUDE = re.compile(r"\s*include(?:\s*=\s*|\s+)(.+?)\s*", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?P<host>\[[0-9a-fA-F:.]+\]|[^@:\s-][^@:\s]*)(?::(?P<port>[0-9]{1,5}))?"
)
_KNOWN = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
_KNOWN_TO_ALL = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")


@dataclass(frozen=True, slots=True)
class Address:
    """What ssh(1) is given.

    Attributes:
        host: a name in ~/.ssh/config, or of the network, or an address.
        user, port: empty and None leave it to the file.
    """

    host: str
    user: str = ""
    port: int | None = None

    @classmethod
    def of(cls, text: str) -> Address:
        """Read `[user@]host[:port]`.

        Raises:
            ConfigurationError: it is none.
        """
        found = _ADDRESS.fullmatch(text)
        if not found or int(found["port"] or 1) not in range(1, 65536):
            raise ConfigurationError(
                f"ssh address {text!r}: accepted: [user@]host[:port]; an IPv6 host in brackets"
            )
        return cls(found["host"].strip("[]"), found["user"] or "", int(found["port"]) if found["port"] else None)


def config_text(file: Path | None) -> str:
    """Return the text of one file, or of the user's and the system's, with what they include in its place.

    Raises:
        ConfigurationError: `file` cannot be read.
    """
    if file is not None:
        try:
            return "".join(_lines(file, 0))
        except OSError as error:
            raise ConfigurationError(
                f"ssh configuration {file}: {error.strerror}; accepted: as ssh -F takes it"
            ) from error
    files = [Path("~/.ssh/config").expanduser(), Path("/etc/ssh/ssh_config")]
    return "".join(line for path in files if path.is_file() for line in _lines(path, 0))


def _lines(path: Path, depth: int) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            include = _INCLUDE.fullmatch(line)
            if include is None or depth == DEEPEST_INCLUDE:
                yield line if line.endswith("\n") else line + "\n"
                continue
            for pattern in shlex.split(include[1]):
                for found in sorted(glob.glob(_below(path.parent, pattern))):
                    yield from _lines(Path(found), depth + 1)


def _below(folder: Path, pattern: str) -> str:
    return os.path.join(folder, os.path.expanduser(pattern))


def known_hosts(user_files: str | None, system_files: str | None) -> list[Path]:
    """Return the files with the keys of known hosts that are there.

    Args:
        user_files: value of UserKnownHostsFile; None where not set.
        system_files: value of GlobalKnownHostsFile; likewise.
    """
    names = [*(shlex.split(user_files) if user_files else _KNOWN)]
    names += shlex.split(system_files) if system_files else _KNOWN_TO_ALL
    return [path for name in names if (path := Path(name).expanduser()).is_file()]
