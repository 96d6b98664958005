"""The sending side of one port in one trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_nfv.model.offer import FlowOffer
from pytest_nfv.rings.frames import in_turn
from pytest_nfv.rings.port import Port
from pytest_nfv.trafgen.pacing import Pacer
from pytest_nfv.trafgen.signature import Numbering
from pytest_nfv.trafgen.tables import sent_frames


class Lane:
    """Sends what is due. Flows of one port take turns: they have one rate, number of frames and frame size.

    Attributes:
        position: frames offered so far, taken or refused; refused: those that the device's full ring refused;
            refused_behind: those of them that were part of catching up with the schedule.
        last_ns: time of the last batch; None before there was one.
    """

    def __init__(self, port: Port, flows: Sequence[FlowOffer], burst: int, *, rewrite: bool = False) -> None:
        self._port = port
        self._flows = tuple(flows)
        self._burst = max(1, burst)
        port.prepare(replace(in_turn([sent_frames(flow) for flow in flows]), rewrite=rewrite))
        self._numbering = Numbering(tuple(flow.flow for flow in flows), port.burst_max)
        self.rate_pps = sum(flow.rate_pps for flow in flows)
        self.position = 0
        self.refused = self.refused_behind = 0
        self._start_ns = 0
        self.last_ns: int | None = None

    def start(self, now_ns: int) -> None:
        """Begin the schedule."""
        self._start_ns = now_ns
        frames = sum(flow.frames for flow in self._flows)
        self.pacer = Pacer(self.rate_pps, frames, now_ns, self._port.burst_max, self._burst)

    def send(self, now_ns: int) -> bool:
        """Send what is due; return whether there was anything."""
        due = self.pacer.due(now_ns)
        if not due:
            return False
        while due > 0:
            words = self._port.reserve(due)
            count = len(words)
            if not count:
                break
            self._numbering.write(words[:, 0], self.position)
            words[:, 1] = now_ns
            taken, refused = self._port.commit(count)
            offered = taken + refused
            self._went_out(offered, now_ns)
            self.refused += refused
            if self.pacer.behind:
                self.refused_behind += refused
            due -= offered
            if offered < count:
                break
        return True

    def _went_out(self, offered: int, now_ns: int) -> None:
        if offered:
            self.position += offered
            self.pacer.went_out(offered)
            self.last_ns = now_ns

    @property
    def offered_for_s(self) -> float:
        """Span from when the first frame was due to the last burst, its own gap added; 0 where nothing was sent.

        A burst is the load until the next one is due: n frames on schedule are n / rate seconds, in whatever
        groups they go out. What a late first look sends was owed before it, so that look is not where it begins.
        """
        if self.last_ns is None:
            return 0.0
        last_burst = (self.position - 1) % self._burst + 1
        return (self.last_ns - self._start_ns) / 1e9 + last_burst / self.rate_pps

    def sent(self, turn: int) -> int:
        """Return how many frames of the port's flow number `turn` were offered."""
        return self._numbering.sent(turn, self.position)

    def refused_of(self, turn: int) -> int:
        """Return the flow's share of the refused frames: exact for one flow a port, else split evenly."""
        share, rest = divmod(self.refused, len(self._flows))
        return share + (turn < rest)
