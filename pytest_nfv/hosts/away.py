"""Which interfaces of the host are with a run, told without netlink, which costs too much to ask here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ADOPTED = "adopted.json"
"""Journal of the host's interfaces that a run took (`adopted.py`), in the run's directory."""


def runs_with(interface: str, runs: Path) -> list[str]:
    """Return the ids of the runs whose journals say that they have an interface.

    Args:
        interface: its name on the host.
        runs: where the runs' directories are.
    """
    return [path.parent.name for path in sorted(runs.glob(f"*/{ADOPTED}")) if interface in _names(path)]


def _names(path: Path) -> Iterator[str]:
    with suppress(OSError, ValueError, KeyError, TypeError):  # given back meanwhile
        for one in json.loads(path.read_text(encoding="utf-8")):
            yield one["interface"]
