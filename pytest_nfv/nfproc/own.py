"""Functions of a user's own: found by name, and their answers checked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from traceback import walk_tb
from typing import Any

import numpy as np

from pytest_nfv.errors import ConfigurationError, GeneratorError
from pytest_nfv.model.nf import Own
from pytest_nfv.model.routes import NICS
from pytest_nfv.nfproc.batch import I8, REASONS, Batch, Ways


def found(function: Own) -> Callable[[Batch], Any]:
    """Return the callable; a class is called once, without arguments, and what it makes is called with batches.

    Raises:
        ConfigurationError: no such module, or nothing callable of that name in it.
    """
    module, _, name = function.function.partition(":")
    if function.folder and function.folder not in sys.path:
        sys.path.insert(0, function.folder)
    try:
        value: Any = getattr(import_module(module), name)
        value = value() if isinstance(value, type) else value
    except (Exception, SystemExit) as error:  # whatever their module raises as it is imported is theirs to read
        raise ConfigurationError(
            f"function {function.function!r}: {_told(error)}; accepted: module:name, in "
            f"{function.folder or 'an installed module'}"
        ) from error
    if not callable(value):
        raise ConfigurationError(f"function {function.function!r}: {type(value).__name__} cannot be called")
    made: Callable[[Batch], Any] = value
    return made


def _told(error: BaseException) -> str:
    """Return an error's kind, message, and the line that raised it."""
    *_, (frame, line) = walk_tb(error.__traceback__)
    return f"{type(error).__name__}: {error} ({frame.f_code.co_filename}, line {line})"


class Checked:
    """Their callable, and a look at what it returns."""

    def __init__(self, function: Own) -> None:
        """Find the callable.

        Raises:
            ConfigurationError: there is none.
        """
        self._name = function.function
        self._call = found(function)

    def told(self) -> Mapping[str, int]:
        """Nothing of its own."""
        return {}

    def __call__(self, batch: Batch) -> Ways:
        """Call it.

        Raises:
            GeneratorError: it raised, or returned something else than ways.
        """
        octets = batch.octets.view()
        octets.flags.writeable = False  # they are the ring's own
        try:
            ways: Any = self._call(Batch(batch.nic, batch.frames, octets))
        except (Exception, SystemExit) as error:  # theirs, whatever it is
            raise GeneratorError(f"function {self._name}: {_told(error)}") from error
        if isinstance(ways, int | np.integer) and not isinstance(ways, bool):
            self._check(int(ways), int(ways))
            return int(ways)
        if not isinstance(ways, np.ndarray) or ways.shape != (len(batch.frames),) or ways.dtype.kind not in "iu":
            kind = f"{ways.dtype} of shape {ways.shape}" if isinstance(ways, np.ndarray) else type(ways).__name__
            raise GeneratorError(
                f"function {self._name}: it returned {kind}: accepted: a whole number, or an integer array of "
                f"shape ({len(batch.frames)},)"
            )
        self._check(int(ways.min()), int(ways.max()))
        checked: I8 = ways.astype(np.int8)
        return checked

    def _check(self, least: int, most: int) -> None:
        if least < -len(REASONS) or most >= NICS:
            wrong = least if least < -len(REASONS) else most
            raise GeneratorError(
                f"function {self._name}: it returned {wrong}: accepted: vNIC 0 or 1, or {-len(REASONS)} to -1 "
                "to drop"
            )
