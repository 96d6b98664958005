"""What engines between two interfaces, `kernel` and `xdp`, tell alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class EngineCounts:
    """What the vNICs and the function have counted since they were made.

    Attributes:
        rx_frames, tx_frames: of each vNIC, as its interface counts them.
        drops: frames by reason: those of `model.nf.Drop` that the engine tells apart, and the interfaces' own.
    """

    rx_frames: tuple[int, ...]
    tx_frames: tuple[int, ...]
    drops: Mapping[str, int] = field(default_factory=dict)
