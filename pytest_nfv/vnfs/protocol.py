"""What engines between two interfaces, `kernel` and `xdp`, tell alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class VnicCounters:
    """Frames of one vNIC since it was made.

    Attributes:
        rx_frames: taken in; tx_frames: put out.
        rx_drops: on their way in, by reason; tx_drops: on their way out.
        dropped: by the function, of those that came in here, by reason; empty where it does not tell them apart.
    """

    rx_frames: int
    tx_frames: int
    rx_drops: Mapping[str, int] = field(default_factory=dict)
    tx_drops: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EngineCounts:
    """What the vNICs and the function have counted since they were made.

    Attributes:
        nics: of vNIC 0 and 1, as their interfaces count, and the function where it tells vNICs apart.
        drops: by the function, by reason, of frames of either direction, where it does not.
    """

    nics: tuple[VnicCounters, ...]
    drops: Mapping[str, int] = field(default_factory=dict)
