"""The contract of a port: prepared slots out, arrived frames in, both as numpy views.

A batch is a view into the ring itself. `reserve` hands out the signature words of the next transmit slots,
which hold the template already; the generator writes them and calls `commit`. `receive` hands out what has
arrived; the views die with `release`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pytest_nfv.rings.frames import Prepared

U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Arrived:
    """Frames in arrival order, `n` of them, as views that live until `release`.

    Attributes:
        frames: shape (n, snap), octets from destination MAC on, no FCS; rows may be longer than their frame.
        octets: shape (n,), length of each frame without FCS, int64.
        stamps_ns: shape (n,), arrival on CLOCK_MONOTONIC in ns, int64; kernel stamps where the port has them,
            otherwise the time of this call.
    """

    frames: U8
    octets: npt.NDArray[np.int64]
    stamps_ns: npt.NDArray[np.int64]


class Port(Protocol):
    """One port of the generator or of a VNF."""

    @property
    def burst_max(self) -> int:
        """Frames that may be sent back to back without overrunning the far ring by that alone."""
        ...

    @property
    def receive_slots(self) -> int:
        """Frames that the receive ring holds; how long a stall it hides follows from that."""
        ...

    def prepare(self, frames: Prepared) -> None:
        """Fill the transmit slots with the first of `frames`: a table, or templates of one length in turn."""
        ...

    def expect(self, octets: int) -> None:
        """Make ready to receive whole frames of up to `octets`, FCS left out; longer ones may be cut off.

        What had arrived before may be dropped. Raises GeneratorError where the port cannot.
        """
        ...

    def reserve(self, count: int) -> U64:
        """Return the signature words of up to `count` free slots, shape (m, 2), in sending order; m may be 0."""
        ...

    def commit(self, count: int) -> tuple[int, int]:
        """Send the first `count` reserved slots; return (taken, refused), which sum to at most `count`.

        Refused frames were offered and dropped by the device's full ring. Frames in neither were not sent,
        and their slots are reserved again first.
        """
        ...

    def receive(self, limit: int) -> Arrived | None:
        """Return up to `limit` arrived frames, or None."""
        ...

    def release(self) -> None:
        """Give the slots of the last `receive` back."""
        ...

    def overruns(self) -> int:
        """Return how often the receive ring had no room, since the port was opened.

        Frames, where a kernel puts them there and counts; in shared memory, looks that found the ring full.
        """
        ...

    def close(self) -> None:
        """Give everything back; safe to call twice."""
        ...
