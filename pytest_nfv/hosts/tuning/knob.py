"""One value that can be read and written: a file of sysfs or procfs, or a word of an interface's driver."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pytest_nfv.hosts.tuning.link_knobs import LINK_KNOBS, LinkKnob

_FILE = "file"


class Knob(Protocol):
    """What the journal names by its key, and finds again by it."""

    @property
    def key(self) -> str:
        """`file:/sys/...`, `tso:eth1`."""
        ...

    def read(self) -> str:
        """Return the value as it is now.

        Raises:
            OSError: it is not there, or not to be read.
        """
        ...

    def write(self, value: str) -> None:
        """Change it.

        Raises:
            OSError: refused.
        """
        ...


@dataclass(frozen=True, slots=True)
class FileKnob:
    """A file of one value, as sysfs and procfs have them."""

    path: Path

    @property
    def key(self) -> str:
        """The file's name, after its kind."""
        return f"{_FILE}:{self.path}"

    def read(self) -> str:
        """Return its text without the end of line."""
        return self.path.read_text(encoding="utf-8", errors="replace").strip()

    def write(self, value: str) -> None:
        """Write a line; a file that is gone is not made anew."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(descriptor, f"{value}\n".encode())  # at once, as the kernel takes it
        finally:
            os.close(descriptor)


def knob_of(key: str) -> Knob:
    """Return the knob that a key names.

    Raises:
        ValueError: it names none.
    """
    kind, colon, where = key.partition(":")
    if colon and kind == _FILE and where.startswith("/"):
        return FileKnob(Path(where))
    if colon and kind in LINK_KNOBS:
        return LinkKnob.of(kind, where)
    raise ValueError(f"{key!r} names nothing that can be set")
