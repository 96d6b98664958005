"""What the generator can offer, as measured on this machine before: a file in the user's cache.

`$XDG_CACHE_HOME/pytest-nfv/limits.json`, or below `~/.cache`. What cannot be read is measured anew, what cannot be
written is done without: a cache never breaks a run.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

KEPT_FOR_S = 7 * 86_400.0
_SCHEMA = 1

Key = Mapping[str, str]
"""What a limit depends on, in texts: testbed, machine, core, kind of port, switch, frames."""


def cache_file(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file's path; None where the user has no home. A relative cache directory does not count (XDG)."""
    given = environment.get("XDG_CACHE_HOME", "")
    home = environment.get("HOME", "")
    if os.path.isabs(given):
        return Path(given) / "pytest-nfv" / "limits.json"
    return Path(home) / ".cache" / "pytest-nfv" / "limits.json" if os.path.isabs(home) else None


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that was offered.

    Attributes:
        pps: frames a second, per direction.
        measured_s: when, in seconds since the epoch.
    """

    pps: float
    measured_s: float

    @property
    def date(self) -> str:
        """When it was measured, for people."""
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(self.measured_s))


class Limits:
    """The kept limits. What was measured by this object counts as fresh: under the conditions of this run."""

    def __init__(self, path: Path | None, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._now = now
        self._fresh: dict[str, Limit] = {}

    def of(self, key: Key) -> Limit | None:
        """Return the limit that is known; one that was measured too long ago is not."""
        name = _name(key)
        return self._fresh.get(name) or self._read().get(name)

    def fresh(self, key: Key) -> bool:
        """Whether it was measured in this run."""
        return _name(key) in self._fresh

    def keep(self, key: Key, pps: float) -> Limit:
        """Keep what was just measured, in place of what was known."""
        limit = self._fresh[_name(key)] = Limit(pps, self._now())
        self._write({**self._read(), _name(key): limit})
        return limit

    def drop(self, key: Key) -> None:
        """Forget one limit: the generator offers more than that."""
        name = _name(key)
        self._fresh.pop(name, None)
        known = self._read()
        if known.pop(name, None) is not None:
            self._write(known)

    def forget(self) -> int:
        """Forget all; return how many there were."""
        known = self._read()
        self._fresh.clear()
        self._write({})
        return len(known)

    def all(self) -> list[tuple[Key, Limit]]:
        """Return everything that is kept."""
        return [(json.loads(name), limit) for name, limit in sorted(self._read().items())]

    def _read(self) -> dict[str, Limit]:
        if self._path is None:
            return {}
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            found = [_entry(one) for one in data["limits"]] if data["schema"] == _SCHEMA else []
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return {}
        now = self._now()
        return {name: limit for name, limit in found if 0 <= now - limit.measured_s <= KEPT_FOR_S}

    def _write(self, known: Mapping[str, Limit]) -> None:
        """Write all of it beside the file and rename it there; where that fails, the run goes on without."""
        if self._path is None:
            return
        entries = [
            {"of": json.loads(name), "offered_pps": one.pps, "measured_at_epoch_s": one.measured_s}
            | {"date": one.date}
            for name, one in sorted(known.items())
        ]
        beside: Path | None = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile("w", dir=self._path.parent, delete=False, encoding="utf-8") as file:
                beside = Path(file.name)
                json.dump({"schema": _SCHEMA, "limits": entries}, file, indent=1)
            beside.replace(self._path)
        except OSError:
            _remove(beside)


def _remove(path: Path | None) -> None:
    if path is not None:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            return  # a cache directory that went read-only meanwhile keeps what it has


def _name(key: Key) -> str:
    return json.dumps(dict(key), sort_keys=True)


def _entry(one: Any) -> tuple[str, Limit]:
    limit = Limit(float(one["offered_pps"]), float(one["measured_at_epoch_s"]))
    if not (math.isfinite(limit.pps) and limit.pps > 0 and math.isfinite(limit.measured_s)):
        raise ValueError(limit)
    return _name({str(name): str(value) for name, value in one["of"].items()}), limit
