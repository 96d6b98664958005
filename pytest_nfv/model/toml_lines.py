"""Where each key of a TOML text stands, which `tomllib` does not say.

>>> key_lines('[host.dut1]' + chr(10) + 'ports.p0 = { interface = "eth1" }')[("host", "dut1", "ports", "p0")]
2
"""

from __future__ import annotations

import re
import tomllib

Path = tuple[str | int, ...]
"""Keys from the outside in; the tables of an array, and an array's values, go by number."""

_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:\\.|[^"\\])*"' r"|'[^']*'",
    re.DOTALL,
)
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN = re.compile(r"\d{4}-\d\d-\d\d \d\d:[^,\]}\s#]+|[^,\]}\s#]+")  # a date may have a space before its time
_BETWEEN = re.compile(r"(?:\s|#[^\n]*)*")


def key_lines(text: str) -> dict[Path, int]:
    """Return the line of each key, table and value of an array, from 1.

    A table's is that of its head; where it has none, of the first key in it.

    Args:
        text: what `tomllib` has accepted; of anything else the answer is of no use.
    """
    return _Scanner(text).document()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._lines: dict[Path, int] = {}
        self._tables: dict[Path, int] = {}  # of each array of tables: how many so far

    def document(self) -> dict[Path, int]:
        inside: Path = ()
        self._skip()
        while self._at < len(self._text):
            if self._next("["):
                inside = self._head()
            else:
                self._pair(inside)
            self._skip()
        return self._lines

    def _head(self) -> Path:
        line, array = self._line(), self._text.startswith("[[", self._at)
        self._at += 2 if array else 1
        *outer, last = self._key()
        self._at = self._text.index("]", self._at) + (2 if array else 1)
        path: Path = ()
        for part in outer:
            path = self._latest((*path, part))
            self._lines.setdefault(path, line)
        path = (*path, last)
        if array:
            self._lines.setdefault(path, line)
            self._tables[path] = self._tables.get(path, 0) + 1
        path = self._latest(path)
        self._lines[path] = line
        return path

    def _latest(self, path: Path) -> Path:
        """Return the path of what a head means: of an array of tables, its last one so far."""
        return (*path, self._tables[path] - 1) if path in self._tables else path

    def _pair(self, inside: Path) -> None:
        path = inside
        for part in self._key():
            path = (*path, part)
            self._lines.setdefault(path, self._line())
        self._at = self._text.index("=", self._at) + 1
        self._value(path)

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip()
            if match := _STRING.match(self._text, self._at):
                parts.append(str(tomllib.loads(f"key = {match[0]}")["key"]))
            else:
                match = _BARE.match(self._text, self._at)
                if match is None:
                    raise ValueError(f"line {self._line()}: no key")
                parts.append(match[0])
            self._at = match.end()
            self._skip()
            if not self._next("."):
                return parts
            self._at += 1

    def _value(self, path: Path) -> None:
        self._skip()
        if self._next("["):
            self._array(path)
        elif self._next("{"):
            self._inline(path)
        else:
            match = _STRING.match(self._text, self._at) or _PLAIN.match(self._text, self._at)
            if match is None:
                raise ValueError(f"line {self._line()}: no value")
            self._at = match.end()

    def _array(self, path: Path) -> None:
        number = 0
        self._open()
        while not self._next("]"):
            self._lines[(*path, number)] = self._line()
            self._value((*path, number))
            number += 1
            self._separated()
        self._at += 1

    def _inline(self, path: Path) -> None:
        self._open()
        while not self._next("}"):
            self._pair(path)
            self._separated()
        self._at += 1

    def _open(self) -> None:
        self._at += 1
        self._skip()

    def _separated(self) -> None:
        self._skip()
        if self._next(","):
            self._open()

    def _next(self, character: str) -> bool:
        return self._text.startswith(character, self._at)

    def _skip(self) -> None:
        """Go past white space, ends of lines and comments."""
        match = _BETWEEN.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1
