"""The receiving side of one port in one trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from pytest_nfv.model.offer import FlowOffer
from pytest_nfv.rings.port import U64, Arrived, Port
from pytest_nfv.trafgen.checker import I64, Checker, Intact
from pytest_nfv.trafgen.histogram import Histogram
from pytest_nfv.trafgen.tables import arriving_frames, longest_arriving
from pytest_nfv.trafgen.tracker import Mask, Tracker

BATCH = 1024
Clock = Callable[[], int]


@dataclass(slots=True)
class FlowInbox:
    """What came back of one flow.

    Attributes:
        sent: tells how many frames of the flow were offered so far.
        unsampled: frames that pass before the next batch is sampled; 0 and below: the next one is.
    """

    offer: FlowOffer
    sent: Callable[[], int]
    tracker: Tracker = field(default_factory=Tracker)
    latency: Histogram = field(default_factory=Histogram)
    corrupted: int = 0
    unsampled: int = 0


class Inbox:
    """Takes everything that arrives at one port.

    Latency is sampled of every frame, from its own stamp to the arrival that its port tells. Where the offer asks
    for samples of every n frames only, whole batches received pass unsampled, and of others every frame is.

    Attributes:
        foreign: frames at this port that are not ours.
    """

    def __init__(self, port: Port, flows: Sequence[FlowInbox], latency_every: int, clock: Clock) -> None:
        self._port = port
        self.flows = tuple(flows)
        self._every = latency_every
        self._clock = clock
        self.foreign = 0
        port.expect(max((longest_arriving(flow.offer) for flow in flows), default=0) or 60)
        self._arriving = [arriving_frames(flow.offer) for flow in flows]
        self._overruns_before = port.overruns()

    def start(self, now_ns: int) -> None:
        """Drop what is left of earlier trials, and begin."""
        left = self._port.receive_slots
        while left > 0 and (arrived := self._port.receive(BATCH)) is not None:
            left -= len(arrived.octets)
            self._port.release()
        self._overruns_before = self._port.overruns()
        self._checker = Checker(
            [(flow.offer.flow, arriving) for flow, arriving in zip(self.flows, self._arriving, strict=True)],
            now_ns,
            [flow.tracker.unwrap for flow in self.flows],
        )

    def drain(self) -> int:
        """Take one batch; return how many frames it had."""
        arrived = self._port.receive(BATCH)
        if arrived is None:
            return 0
        count, now_ns = len(arrived.octets), self._clock()
        if not self._follows(arrived, count, now_ns):
            self._sort_out(arrived, now_ns)
        self._port.release()
        return count

    def _follows(self, arrived: Arrived, count: int, now_ns: int) -> bool:
        """Count the batch where it is just what comes next, as on a good path; return whether it was."""
        if len(self.flows) != 1:
            return False
        flow = self.flows[0]
        if flow.tracker.next + count > flow.sent():
            return False
        words = self._checker.follow(arrived, flow.tracker.next, now_ns)
        if words is None:
            return False
        flow.tracker.follow(count)
        if self._every:
            self._sample(flow, words[:, 1], arrived.stamps_ns, None)
        return True

    def _sort_out(self, arrived: Arrived, now_ns: int) -> None:
        sorted_out = self._checker.sort(arrived, now_ns)
        for index, intact in sorted_out.intact.items():
            self._count(self.flows[index], intact)
        for index, corrupted in sorted_out.corrupted.items():
            self.flows[index].corrupted += corrupted
        self.foreign += sorted_out.foreign

    def _count(self, flow: FlowInbox, intact: Intact) -> None:
        numbers = flow.tracker.unwrap(intact.sequences)
        sent = flow.sent()
        if numbers.max() >= sent or numbers.min() < 0:
            good = (numbers >= 0) & (numbers < sent)
            flow.corrupted += len(numbers) - int(good.sum())
            numbers = numbers[good]
            intact = Intact(intact.sequences[good], intact.stamps[good], intact.arrived_ns[good])
        first = flow.tracker.add(numbers)
        if self._every and len(numbers):
            self._sample(flow, intact.stamps, intact.arrived_ns, first)

    def _sample(self, flow: FlowInbox, stamps: U64, arrived_ns: I64, first: Mask | None) -> None:
        if not self._passes(flow, len(stamps)):
            latencies_ns = arrived_ns - stamps.view(np.int64)
            flow.latency.add(latencies_ns if first is None else latencies_ns[first])

    def _passes(self, flow: FlowInbox, count: int) -> bool:
        """Whether a batch passes unsampled: fewer than n frames came since the last one that was sampled."""
        passes = flow.unsampled > 0
        flow.unsampled += (0 if passes else self._every) - count
        return passes

    @property
    def moved(self) -> int:
        """A number that grows with every frame of ours; foreign ones keep no trial waiting."""
        return sum(flow.tracker.received + flow.tracker.duplicated + flow.corrupted for flow in self.flows)

    @property
    def received(self) -> int:
        """First intact arrivals so far."""
        return sum(flow.tracker.received for flow in self.flows)

    @property
    def slots(self) -> int:
        """Frames that the receive ring holds."""
        return self._port.receive_slots

    def overruns(self) -> int:
        """Return how often the receive ring had no room in this trial, as `Port.overruns` counts.

        Raises:
            GeneratorError: the port went away.
        """
        return self._port.overruns() - self._overruns_before
