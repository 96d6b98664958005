"""TOML files of ours: each key checked by a table of the keys that there are, errors with their line."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.toml_lines import key_lines


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table.

    Attributes:
        form: what is accepted, as examples with ` or ` between them.
        help: what it means.
        default: what holds where it is left out.
        read: from the value that TOML gives; raises ConfigurationError.
        needed: whether a table without it is refused.
        kinds: kinds of testbed that it goes with; empty is any.
    """

    name: str
    form: str
    help: str
    read: Callable[[Any], Any]
    default: str = ""
    needed: bool = False
    kinds: tuple[str, ...] = ()


class TomlFile:
    """One file and where its keys stand."""

    def __init__(self, path: Path, what: str) -> None:
        """Read the file; `what` is what messages call it: `testbed`.

        Raises:
            ConfigurationError: it cannot be read, or is no TOML.
        """
        self.name = f"{what} file {path}"
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{self.name}: cannot be read: {error}") from error
        try:
            self.data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"{self.name}: not TOML: {error}") from error
        self._lines = key_lines(text)

    def at(self, *keys: str | int) -> str:
        """Return `testbed file F, line N` of a key; of one that is not there, the line of what it misses in."""
        while keys and keys not in self._lines:
            keys = keys[:-1]
        return f"{self.name}, line {self._lines[keys]}" if keys else self.name

    @contextmanager
    def locating(self, *keys: str | int) -> Iterator[None]:
        """Put file and line of a key before the message of a ConfigurationError."""
        try:
            yield
        except ConfigurationError as error:
            raise ConfigurationError(f"{self.at(*keys)}: {error}") from error

    def check_names(self, path: tuple[str | int, ...], table: Mapping[str, Any], known: Sequence[str]) -> None:
        """Raise ConfigurationError where a table has a key that there is not."""
        for name in table:
            if name not in known:
                raise ConfigurationError(
                    f"{self.at(*path, name)}: unknown key {name!r}; accepted: {', '.join(sorted(known))}"
                )

    def read(self, path: tuple[str | int, ...], table: Mapping[str, Any], keys: Sequence[Key]) -> dict[str, Any]:
        """Return what a table's values are read as.

        Raises:
            ConfigurationError: an unknown or missing key, or a value that its key does not accept.
        """
        readers = {key.name: key for key in keys}
        self.check_names(path, table, list(readers))
        missing = next((key for key in keys if key.needed and not key.kinds and key.name not in table), None)
        if missing:
            raise ConfigurationError(f"{self.at(*path)}: {missing.name} is missing; accepted: {missing.form}")
        values = {}
        for name, value in table.items():
            try:
                values[name] = readers[name].read(value)
            except ConfigurationError as error:
                said = str(error) if str(error).startswith(f"{name} = ") else f"{name}: {error}"
                raise ConfigurationError(f"{self.at(*path, name)}: {said}") from error
        return values


def text(value: Any) -> str:
    """Accept a text."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{value!r} is not a text in quotes")
    return value


def whole(value: Any) -> int:
    """Accept a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigurationError(f"{value!r} is not a whole number")
    return value


def listed(item: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    """Accept a list of one or more, each as `item` does, none twice."""

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ConfigurationError(f"{value!r} is not a list in [ ]")
        if not value:
            raise ConfigurationError("[] is empty; accepted: one or more, or leave the key out")
        items = tuple(item(one) for one in value)
        twice = next((one for one in items if items.count(one) > 1), None)
        if twice is not None:
            raise ConfigurationError(f"{twice!r} is there twice; accepted: each once")
        return items

    return read


def table(value: Any) -> dict[str, Any]:
    """Accept a table of one key or more."""
    if not isinstance(value, dict) or not value:
        raise ConfigurationError(f"{value!r}: accepted: a table of one key or more")
    return value
