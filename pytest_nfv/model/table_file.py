"""TOML files that hold a list of tables, such as routes or rules, read with the line of what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.toml_file import TomlFile


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
        self._file, self._name = TomlFile(path, name), name

    def head(self, readers: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
        """Return the keys before the tables.

        Raises:
            ConfigurationError: an unknown key, or a value that its reader does not accept.
        """
        values = {key: value for key, value in self._file.data.items() if key != self._name}
        return self._read(values, readers, None)

    def entries(self, readers: Mapping[str, Callable[[Any], Any]], needed: tuple[str, ...]) -> list[Entry]:
        """Return the tables, in their order.

        Raises:
            ConfigurationError: none, an unknown or missing key, or a value that its reader does not accept.
        """
        tables = self._file.data.get(self._name)
        if not isinstance(tables, list) or not tables or not all(isinstance(one, dict) for one in tables):
            raise ConfigurationError(f"{self._file.name}: accepted: at least one table [[{self._name}]]")
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
        """Return `route file F, line N`: of the key in that table, else of the table's head."""
        return self._file.at(*(() if number is None else (self._name, number)), *([key] if key else []))
