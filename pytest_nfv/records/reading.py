"""Reading JSON with messages that say where: file, key, what is there, what is accepted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.records.errors import RecordError

T = TypeVar("T")
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Node:
    """One value inside a JSON document, with the way to it.

    Keys that nobody asks for are left alone: a later version may add some without changing the schema's number.

    Attributes:
        value: the JSON value.
        path: keys and indices from the document's root: `results[2].measurements[0].kind`.
        source: the file, or another word for where the document is from.
    """

    value: Any
    path: str = ""
    source: str = "record"

    def fail(self, accepted: str) -> NoReturn:
        """Raise the error that names this value.

        Raises:
            RecordError: always.
        """
        shown = repr(self.value)
        shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
        raise RecordError(f"{self.source}: {self.path or 'the document'} is {shown}; accepted: {accepted}")

    def key(self, name: str) -> Node:
        """Return the value under a key that must be there."""
        if not isinstance(self.value, dict):
            self.fail(f"an object with the key {name!r}")
        path = f"{self.path}.{name}" if self.path else name
        if name not in self.value:
            raise RecordError(f"{self.source}: {path} is missing; accepted: a record as pytest-nfv writes it")
        return Node(self.value[name], path, self.source)

    def later_key(self, name: str) -> Node:
        """Return the value under a key that came after the schema's first records; null where it is missing."""
        known = isinstance(self.value, dict) and name not in self.value
        return Node(None, f"{self.path}.{name}", self.source) if known else self.key(name)

    def text(self) -> str:
        """Return a string."""
        if not isinstance(self.value, str):
            self.fail("a text")
        return self.value

    def one_of(self, *choices: str) -> str:
        """Return a string out of a closed list."""
        if self.value not in choices:
            self.fail(", ".join(choices))
        return self.text()

    def flag(self) -> bool:
        """Return true or false."""
        if not isinstance(self.value, bool):
            self.fail("true or false")
        return self.value

    def count(self) -> int:
        """Return a whole number; counts of lost frames may be below zero where counters disagree."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            self.fail("a whole number")
        return self.value

    def number(self) -> float:
        """Return a finite number."""
        if (
            isinstance(self.value, bool)
            or not isinstance(self.value, int | float)
            or not math.isfinite(self.value)
        ):
            self.fail("a finite number")
        return float(self.value)

    def maybe(self, read: Callable[[Node], T]) -> T | None:
        """Return None for null, what `read` makes of it otherwise."""
        return None if self.value is None else read(self)

    def items(self) -> Iterator[Node]:
        """Return the nodes of a list."""
        if not isinstance(self.value, list):
            self.fail("a list")
        return (Node(one, f"{self.path}[{i}]", self.source) for i, one in enumerate(self.value))

    def table(self) -> dict[str, Node]:
        """Return the nodes of an object, by key."""
        if not isinstance(self.value, dict):
            self.fail("an object")
        return {name: self.key(name) for name in self.value}

    def plain(self) -> dict[str, Any]:
        """Return an object whose inside is nobody's contract: facts, options."""
        return {name: node.value for name, node in self.table().items()}

    def texts(self) -> tuple[str, ...]:
        """Return a list of strings."""
        return tuple(one.text() for one in self.items())

    def counts(self) -> dict[str, int]:
        """Return an object of whole numbers."""
        return {name: one.count() for name, one in self.table().items()}

    def percentiles(self) -> dict[float, float]:
        """Return an object whose keys are percentiles as text and whose values are numbers."""
        found = {}
        for name, one in self.table().items():
            try:
                percentile = float(name)
            except ValueError:
                percentile = math.nan
            if not 0 <= percentile <= 100:
                self.fail(f"percentiles from 0 to 100 as keys, not {name!r}")
            found[percentile] = one.number()
        return found

    def made(self, make: Callable[[], T]) -> T:
        """Return what `make` makes, its own complaint extended by where the value is.

        Raises:
            RecordError: a value is of the right type and out of range.
        """
        try:
            return make()
        except RecordError:
            raise
        except ConfigurationError as error:
            raise RecordError(f"{self.source}: {self.path}: {error}") from error
