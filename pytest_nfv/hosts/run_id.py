"""Run ids: short enough for an interface name, unique among the runs of a machine."""

from __future__ import annotations

import os
import re

from pytest_nfv.errors import ConfigurationError

RUN_VARIABLE = "PYTEST_NFV_RUN"
"""Environment variable that every process of a run carries, so that a reaper knows it."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_RANDOM_DIGITS = 4
_FORM = re.compile(r"[0-9a-z]{5,11}")


def new_run_id() -> str:
    """Return an id from this process's number and chance, at most 9 letters and digits."""
    chance = int.from_bytes(os.urandom(8), "big") % len(_DIGITS) ** _RANDOM_DIGITS
    return _base36(os.getpid()) + _base36(chance).rjust(_RANDOM_DIGITS, "0")


def checked_run_id(run_id: str) -> str:
    """Return `run_id`, or raise where it is none.

    Raises:
        ConfigurationError: it is not 5 to 11 lower-case letters and digits.
    """
    if not _FORM.fullmatch(run_id):
        raise ConfigurationError(f"run id {run_id!r}: accepted: 5 to 11 lower-case letters and digits")
    return run_id


def namespace_prefix(run_id: str) -> str:
    """Return how the names of all network namespaces of a run begin."""
    return f"nfv-{run_id}-"


def _base36(number: int) -> str:
    text = ""
    while True:
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
        if not number:
            return text
