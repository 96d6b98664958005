"""The loop of a network function: take what came in, apply the function, send, over and over, on one core."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pytest_nfv.model.nf import Drop
from pytest_nfv.nfproc.batch import FRAMES_MAX, I8, MALFORMED, REASONS, ROW_OCTETS_MIN, Batch, Work
from pytest_nfv.rings.forwarding import ForwardingPort, picked
from pytest_nfv.rings.frames import I64
from pytest_nfv.rings.port import U8, Arrived

TICK_NS = 20_000_000
REST_S = 20e-6
"""For this long a loop that shares its core leaves it to others where it found nothing. To yield would not do: the
scheduler gives each that never sleeps its part, frames or no frames."""
LOOKS_A_ROUND = 64  # idle rounds between two looks at the clock
_ETHERNET = 14


@dataclass(slots=True)
class NicCounts:
    """Frames of one vNIC.

    Attributes:
        received: came in.
        sent: left, wherever they came in.
        dropped: by the function, of those that came in here; `tx_full`: of those that should have left here.
    """

    received: int = 0
    sent: int = 0
    dropped: dict[Drop, int] = field(default_factory=lambda: dict.fromkeys(Drop, 0))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        dropped = {reason.value: count for reason, count in self.dropped.items()}
        return {"received": self.received, "sent": self.sent, "dropped": dropped}


class Loop:
    """One function between two ports, with counters since it was made.

    All frames that came in are among those that left and those that were dropped, at any time between two batches.

    Attributes:
        counts: by vNIC.
        rounds, busy: looks at both ports, and those that found something; busy_ns: what the latter took, of the
            thread's processor time where it shares its core, of all time where it has one to itself.
    """

    def __init__(
        self,
        ports: Sequence[ForwardingPort],
        work: Work,
        longest: int,
        batch: int = FRAMES_MAX,
        *,
        share: bool = False,
    ) -> None:
        """Use these two ports.

        Args:
            ports: vNIC 0 and 1, their transmit slots arranged.
            work: the function.
            longest: octets of a frame, at most, as arranged; longer ones are malformed.
            batch: frames taken at once, at most.
            share: let others have the core whenever there was nothing to do.
        """
        self._ports, self._work, self._longest, self._batch = tuple(ports), work, longest, batch
        self.counts = tuple(NicCounts() for _ in ports)
        self._overruns = [0 for _ in ports]
        self.rounds = self.busy = self.busy_ns = 0
        self._share = share
        # A thread's own clock leaves out what others had the core for, and its sleep; it costs a system call.
        self._clock = time.thread_time_ns if share else time.monotonic_ns
        self._began_ns = self._clock()

    def run(self, tick: Callable[[], bool]) -> None:
        """Go on until `tick`, called every 20 ms or so, returns False.

        Args:
            tick: also sees to what is asked meanwhile.

        Raises:
            GeneratorError: a port's peer went away, or did what it must not; or a function of a user's own failed.
        """
        next_ns = 0
        with _no_collector():
            while True:
                busy = self.turn()
                if not busy and self._share:
                    time.sleep(REST_S)
                # After every batch: a user's own function may take its time, and whoever asks waits meanwhile.
                if (busy or self.rounds % LOOKS_A_ROUND == 0) and time.monotonic_ns() >= next_ns:
                    if not tick():
                        return
                    self._overruns = [port.overruns() for port in self._ports]  # sees whether the peer lives
                    next_ns = time.monotonic_ns() + TICK_NS

    def turn(self) -> bool:
        """Take one batch of each port; return whether there was any frame."""
        found = False
        began_ns = self._clock()
        for nic, port in enumerate(self._ports):
            arrived = port.receive(self._batch)
            if arrived is not None:
                found = True
                try:
                    self._pass(nic, arrived)
                finally:
                    port.release()  # frames that a function failed on are not for the next run
        self.rounds += 1
        if found:
            self.busy += 1
            self.busy_ns += self._clock() - began_ns
        return found

    def _pass(self, nic: int, arrived: Arrived) -> None:
        frames, octets = arrived.frames, arrived.octets
        counts = self.counts[nic]
        counts.received += len(octets)
        width = frames.shape[1]
        most = max(min(width, self._longest) - _ETHERNET, 0)
        whole = (octets - _ETHERNET).view(np.uint64) <= np.uint64(most)
        if not whole.all():  # no Ethernet header, or longer than the MTU
            frames, octets = frames[whole], octets[whole]
            counts.dropped[Drop.MALFORMED] += len(whole) - len(octets)
            if not len(octets):
                return
        if width < ROW_OCTETS_MIN:
            wider: U8 = np.zeros((len(frames), ROW_OCTETS_MIN), np.uint8)
            wider[:, :width] = frames
            frames = wider
        ways = self._work(Batch(nic, frames, octets))
        if isinstance(ways, int):
            self._go(nic, ways, frames, octets)
        else:
            self._part(nic, ways, frames, octets)

    def _part(self, nic: int, ways: I8, frames: U8, octets: I64) -> None:
        """Let frames go different ways, of each way in their order."""
        width = int(octets.max())
        for way in range(int(ways.min()), len(self._ports)):
            rows = np.flatnonzero(ways == way)
            if len(rows) == len(ways):
                self._go(nic, way, frames, octets)
            elif len(rows):
                self._go(nic, way, picked(frames, rows, width) if way >= 0 else frames[:0], octets[rows])

    def _go(self, nic: int, way: int, frames: U8, octets: I64) -> None:
        """Send frames by vNIC `way`, or count why they are dropped."""
        if way < 0:
            self.counts[nic].dropped[REASONS[MALFORMED - way]] += len(octets)
            return
        taken = self._ports[way].forward(frames, octets)
        counts = self.counts[way]
        counts.sent += taken
        if taken < len(octets):
            counts.dropped[Drop.TX_FULL] += len(octets) - taken

    def told(self) -> dict[str, Any]:
        """Return all counters as plain JSON values."""
        nics = [
            {**counts.to_json(), "overruns": overruns}
            for counts, overruns in zip(self.counts, self._overruns, strict=True)
        ]
        return {
            "nics": nics,
            "function": dict(self._work.told()),
            "rounds": self.rounds,
            "busy": self.busy,
            "busy_ns": self.busy_ns,
            "ran_ns": self._clock() - self._began_ns,
        }


@contextmanager
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
