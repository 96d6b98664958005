"""Which class is which generator; a row is imported when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pytest_nfv.errors import ConfigurationError

DRIVERS = {
    "builtin": "pytest_nfv.generators.builtin:Builtin",
}


def driver(name: str) -> type[Any]:
    """Return the class of the generator `name`.

    Raises:
        ConfigurationError: no such generator; lists those there are.
    """
    if name not in DRIVERS:
        raise ConfigurationError(f"generator {name!r}: accepted: {', '.join(sorted(DRIVERS))}")
    module, _, attribute = DRIVERS[name].partition(":")
    found: type[Any] = getattr(import_module(module), attribute)
    return found
