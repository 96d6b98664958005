"""Two ports joined by a wire of plain memory, in one process: to calibrate, and to test without privilege.

The wire is a ring of copies: what `commit` takes is at once at the far end. A full ring refuses, as a veth's does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.offer import SIGNATURE_OCTETS, PortSpec
from pytest_nfv.rings.frames import I64, Frames, Prepared
from pytest_nfv.rings.port import U8, U64, Arrived
from pytest_nfv.rings.slots import AsideSlots

SLOTS = 4096
BURST_MAX = 64


class _Wire:
    """One way: `written` and `read` count frames since the start.

    What was put on is copied when it is looked at, or when its sender goes on: at the far end it is at once, and a
    stamp taken before the copy holds as little of the wire's own work as one taken of a ring of shared memory.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.frames: U8 = np.zeros((slots, SIGNATURE_OCTETS), np.uint8)
        self.octets = np.zeros(slots, np.int64)
        self.written = self.read = 0
        self._pending: tuple[U8, I64, int] | None = None

    def widen(self, octets: int) -> None:
        if octets > self.frames.shape[1]:
            wider = np.zeros((self.slots, octets), np.uint8)
            wider[:, : self.frames.shape[1]] = self.frames
            self.frames = wider

    def put(self, frames: U8, octets: I64) -> int:
        """Take what there is room for, of these lengths; return how many. `frames` stay until `settle`."""
        self.settle()
        count = min(len(frames), self.slots - (self.written - self.read))
        self._pending = frames, octets, count
        self.written += count
        return count

    def settle(self) -> None:
        """Copy what was put on last."""
        if self._pending is None:
            return
        (frames, octets, count), self._pending = self._pending, None
        at = (self.written - count + np.arange(count)) % self.slots
        self.frames[at, : frames.shape[1]] = frames[:count]
        self.octets[at] = octets[:count]


class LoopbackPort:
    """One end."""

    def __init__(self, out: _Wire, back: _Wire, clock: Callable[[], int]) -> None:
        self._out, self._in, self._clock = out, back, clock
        self._held = 0

    @classmethod
    def pair(
        cls, slots: int = SLOTS, clock: Callable[[], int] = time.monotonic_ns
    ) -> tuple[LoopbackPort, LoopbackPort]:
        """Return the two ends of a new wire; the clock gives ns."""
        there, back = _Wire(slots), _Wire(slots)
        return cls(there, back, clock), cls(back, there, clock)

    @classmethod
    def open_all(cls, specs: Sequence[PortSpec]) -> tuple[LoopbackPort, ...]:
        """Join the ports two by two, in their order.

        Raises:
            ConfigurationError: an odd number of ports.
        """
        if len(specs) % 2:
            raise ConfigurationError(
                f"{len(specs)} loopback ports: accepted: an even number, as each wire has two ends"
            )
        return tuple(end for _ in range(len(specs) // 2) for end in cls.pair())

    @property
    def burst_max(self) -> int:
        """Well below the wire's slots."""
        return BURST_MAX

    @property
    def receive_slots(self) -> int:
        """Slots of the wire."""
        return self._in.slots

    def prepare(self, frames: Prepared) -> None:
        """Fill the transmit slots."""
        self._out.settle()
        table = Frames.of(frames)
        width = -(-table.longest // 8) * 8
        rows = np.zeros((AsideSlots.rows_for(table, BURST_MAX), width), np.uint8)
        self._slots = AsideSlots(table, rows, BURST_MAX)
        self._words: U64 = rows[:, width - SIGNATURE_OCTETS :].view(np.uint64)
        self._out.widen(table.longest)

    def expect(self, octets: int) -> None:
        """Widen the slots of the wire."""
        self._in.widen(octets)

    def reserve(self, count: int) -> U64:
        """Return the signature words of the next slots."""
        self._out.settle()
        count = min(count, BURST_MAX)
        first = self._slots.ready(count)
        return self._words[first : first + count]

    def commit(self, count: int) -> tuple[int, int]:
        """Copy the frames to the far end; what the full ring has no room for is refused."""
        first = self._slots.first
        taken = self._out.put(self._slots.left(0, count), self._slots.octets[first : first + count])
        self._slots.went(count)
        return taken, count - taken

    def arrange(self, octets: int) -> None:
        """Widen the slots of the wire."""
        self._out.widen(octets)

    def forward(self, frames: U8, octets: I64) -> int:
        """Copy the frames to the far end, as far as there is room."""
        return self._out.put(frames[:, : int(octets.max())], octets)

    def receive(self, limit: int) -> Arrived | None:
        """Return what arrived, up to the end of the ring; the stamp is the time of this call."""
        first = self._in.read % self._in.slots
        count = min(limit, self._in.written - self._in.read, self._in.slots - first)
        if not count:
            return None
        stamp_ns = self._clock()
        self._in.settle()
        self._held = count
        rows = slice(first, first + count)
        return Arrived(self._in.frames[rows], self._in.octets[rows], np.full(count, stamp_ns, np.int64))

    def release(self) -> None:
        """Free the slots."""
        self._in.read += self._held
        self._held = 0

    def overruns(self) -> int:
        """None: a full ring refuses at the sender."""
        return 0

    def close(self) -> None:
        """Nothing is held."""
