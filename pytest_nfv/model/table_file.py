"""TOML files that hold a list of tables, such as routes or rules, read with the line of what is wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_nfv.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Entry:
    """One table of the list.

    Attributes:
        where: `route file F, line N`, of the table's head.
        values: what its keys were read as.
    """

    where: str
    values: dict[str, Any]


class TableFile:
    """One file: keys of its own, then `[[name]]` tables that all have the same keys."""

    def __init__(self, path: Path, name: str) -> None:
        """Read the file; `name` is what the tables are called, and the file in messages.

        Raises:
            ConfigurationError: it cannot be read, or is no TOML.
        """
        self._path, self._name = path, name
        try:
            self._text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{name} file {path}: cannot be read: {error}") from error
        try:
            self._data = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"{name} file {path}: not TOML: {error}") from error

    def head(self, readers: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
        """Return the keys before the tables.

        Raises:
            ConfigurationError: an unknown key, or a value that its reader does not accept.
        """
        values = {key: value for key, value in self._data.items() if key != self._name}
        return self._read(values, readers, None)

    def entries(self, readers: Mapping[str, Callable[[Any], Any]], needed: tuple[str, ...]) -> list[Entry]:
        """Return the tables, in their order.

        Raises:
            ConfigurationError: none, an unknown or missing key, or a value that its reader does not accept.
        """
        tables = self._data.get(self._name)
        if not isinstance(tables, list) or not tables or not all(isinstance(one, dict) for one in tables):
            raise ConfigurationError(
                f"{self._name} file {self._path}: accepted: at least one table [[{self._name}]]"
            )
        found = []
        for number, table in enumerate(tables):
            where = self._at(number, "")
            for key in needed:
                if key not in table:
                    raise ConfigurationError(f"{where}: {key} is missing; accepted: {', '.join(sorted(readers))}")
            found.append(Entry(where, self._read(table, readers, number)))
        return found

    def _read(
        self, table: Mapping[str, Any], readers: Mapping[str, Callable[[Any], Any]], number: int | None
    ) -> dict[str, Any]:
        values = {}
        for key, value in table.items():
            if key not in readers:
                raise ConfigurationError(
                    f"{self._at(number, key)}: unknown key {key!r}; accepted: {', '.join(sorted(readers))}"
                )
            try:
                values[key] = readers[key](value)
            except ConfigurationError as error:
                raise ConfigurationError(f"{self._at(number, key)}: {key}: {error}") from error
        return values

    def _at(self, number: int | None, key: str) -> str:
        """Return `route file F, line N`: of the key in that table, else of the table's head, else no line."""
        table, head = -1, 0
        for line, text in enumerate(self._text.splitlines(), 1):
            words = text.split("#")[0].strip()
            if words.startswith("[["):
                table += 1
                head = line if table == number else head
            inside = table == (-1 if number is None else number)
            if inside and key and words.split("=")[0].strip(" \"'") == key:
                return f"{self._name} file {self._path}, line {line}"
        return f"{self._name} file {self._path}" + (f", line {head}" if head else "")
