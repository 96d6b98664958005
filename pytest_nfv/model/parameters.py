"""Parameters that come as texts, by key: those of a port, those of a switch. Errors name owner, key and value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from pytest_nfv.errors import ConfigurationError

T = TypeVar("T", bound=str)
_DIGITS_MAX = 18


def one_of(owner: str, given: Mapping[str, str], key: str, accepted: Sequence[T], default: T) -> T:
    """Return a parameter that is one of some words; `default` where it is not given.

    Raises:
        ConfigurationError: it is another.
    """
    value = given.get(key, default)
    for one in accepted:
        if value == one:
            return one
    raise ConfigurationError(f"{owner}: {key} {value!r}: accepted: {', '.join(accepted)}")


def whole(owner: str, given: Mapping[str, str], key: str, default: int, least: int, most: int) -> int:
    """Return a parameter that is a whole number; `default`, whatever it is, where it is not given.

    Raises:
        ConfigurationError: it is none, or out of range.
    """
    text = given.get(key)
    if text is None:
        return default
    digits = text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX
    if not (digits and least <= int(text) <= most):
        raise ConfigurationError(f"{owner}: {key} {text!r}: accepted: a whole number from {least} to {most}")
    return int(text)


def power_of_two(owner: str, given: Mapping[str, str], key: str, default: int, least: int, most: int) -> int:
    """Return a parameter that is a power of two, as entries of a ring are; else as `whole`.

    Raises:
        ConfigurationError: it is none, or out of range.
    """
    number = whole(owner, given, key, default, least, most)
    if number & (number - 1):
        raise ConfigurationError(f"{owner}: {key} {number}: accepted: a power of two")
    return number
