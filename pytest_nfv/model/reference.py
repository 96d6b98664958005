"""Figures from elsewhere that stand beside ours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import TypeVar

from pytest_nfv.errors import ConfigurationError

UNITS = ("pps", "s", "share", "times")
"""Frames a second per direction; seconds; a part, of which 1 is all; one figure over another."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A figure from elsewhere to show beside ours: a paper's, a vendor's. Nothing is ever judged by it.

    Attributes:
        source: whose figure it is, in a few words.
        value: theirs, in `unit`, one of `UNITS`.
        what: what it is of: `vnf0's part of a core`; "" for the rate that the measurement itself found.
        ours: the measured one, in the same unit; None where it is that rate, or nothing here compares.
    """

    source: str
    value: float
    unit: str = "pps"
    what: str = ""
    ours: float | None = None

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ConfigurationError(f"Reference(unit={self.unit!r}): accepted: {', '.join(UNITS)}")
        for name, value in (("value", self.value), ("ours", self.ours)):
            if value is not None and not isfinite(value):
                raise ConfigurationError(f"Reference({name}={value!r}): accepted: a finite number")

    @property
    def of_rate(self) -> bool:
        """Whether it stands beside the rate that the measurement itself found."""
        return self.unit == "pps" and not self.what


Self = TypeVar("Self", bound="Referenced")


class Referenced:
    """A result that figures from elsewhere can be put beside."""

    __slots__ = ()
    references: list[Reference]

    def beside(self: Self, references: Iterable[Reference]) -> Self:
        """Put figures beside this result, in terminal, reports and record; return the result."""
        self.references.extend(references)
        return self
