"""What a network function gets and gives: a batch of frames in, a way for each out.

A function of a user's own is a callable that takes a `Batch` and returns `Ways` (docs/vnfs.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from pytest_nfv.model.nf import Drop
from pytest_nfv.rings.frames import I64
from pytest_nfv.rings.port import U8

I8 = npt.NDArray[np.int8]
U32 = npt.NDArray[np.uint32]

FRAMES_MAX = 512
"""Frames of a batch, at most."""
ROW_OCTETS_MIN = 64
"""Octets of a row, at least: what lies behind a frame is anything, and may be read."""

REASONS = (Drop.MALFORMED, Drop.NO_ROUTE, Drop.TTL, Drop.POLICY)
MALFORMED, NO_ROUTE, TTL, POLICY = -1, -2, -3, -4
"""The way of a frame that is dropped: less than the number of `REASONS`, from -1 on."""

Ways: TypeAlias = "int | I8"
"""Where frames go: one number for all, or one for each, shape (n,): the vNIC to leave by, or a reason to drop."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Frames that came in by one vNIC, in their order, n of them.

    Attributes:
        nic: the vNIC, 0 or 1; the other one is `1 - nic`.
        frames: shape (n, w), w at least 64: octets from the destination MAC address on, no FCS, at least 14 and at
            most w of them. They lie in the ring itself: what is written here is what is sent. Nothing of it may be
            kept beyond the call.
        octets: shape (n,), the frames' lengths; not to be changed.
    """

    nic: int
    frames: U8
    octets: I64


class Work(Protocol):
    """A network function that is ready to run."""

    def __call__(self, batch: Batch) -> Ways:
        """Change the frames where they lie, and say where each goes."""
        ...

    def told(self) -> Mapping[str, int]:
        """Return counters of its own."""
        ...
