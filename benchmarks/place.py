"""Where and how long a benchmark runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """What every row is told.

    Attributes:
        folder: for sockets and logs; removed at the end.
        device_core, generator_core: cores; runs: of each side; seconds: length of a run's window.
    """

    folder: Path
    device_core: int
    generator_core: int
    runs: int
    seconds: float
