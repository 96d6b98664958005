"""One trial on one core: send what is due, take what arrived, until all is offered and the counters rest."""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.offer import LEARNING_FLOW, FlowOffer, Offer, Report
from pytest_nfv.rings.port import Port
from pytest_nfv.trafgen.inbox import Clock, FlowInbox, Inbox
from pytest_nfv.trafgen.lane import Lane
from pytest_nfv.trafgen.report import Span, build_report, stall_limit_s
from pytest_nfv.trafgen.signature import head

POLL_NS = 250_000
POLL_FRAMES = 512
TICK_NS = 20_000_000
LATE_NS = 20_000  # a shorter span between two looks is the loop's own work, and no stall
LEARNING_FRAMES = 3
_LOCAL_EXPERIMENTAL = 0x88B5

Tick = Callable[[float, int, int], None]
"""Called every 20 ms with (seconds since the start, frames sent, frames received); may raise to end the trial."""


class Trial:
    """The work of one offer, or the half of it that the offer's role says.

    One that only receives does so until `finish` is called (by the tick), and takes every frame that the offer
    calls for as sent. The clock gives CLOCK_MONOTONIC in ns, as the ports' stamps do.

    Where the ports stamp what arrives by the time of the look, it looks after every batch sent: a later look would
    be told as latency. Where the kernel stamps (`stamped`), that can wait until there is more to take at once.

    Raises:
        ConfigurationError: the flows do not fit the ports.
    """

    def __init__(
        self,
        ports: Sequence[Port],
        offer: Offer,
        tick: Tick,
        clock: Clock = time.monotonic_ns,
        *,
        stamped: bool = False,
    ) -> None:
        self._poll_ns, self._poll_frames = (POLL_NS, POLL_FRAMES) if stamped else (0, 0)
        self._clock = clock
        self._offer = offer
        self._tick = tick
        self._lanes: dict[int, Lane] = {}
        turns: dict[int, list[FlowOffer]] = {}
        for flow in offer.flows:
            turns.setdefault(flow.direction.tx, []).append(flow)
        if offer.role != "receive":
            for port, flows in turns.items():
                _check_turns(port, flows)
                self._lanes[port] = Lane(ports[port], flows, offer.burst, rewrite=offer.rewrite)
        self._flows = [self._flow_inbox(flow, turns[flow.direction.tx].index(flow)) for flow in offer.flows]
        self._inboxes = {
            port: Inbox(
                ports[port],
                [flow for flow in self._flows if flow.offer.direction.rx == port],
                offer.latency_every,
                clock,
            )
            for port in (range(len(ports)) if offer.role != "send" else ())
        }
        self._span = Span()
        limit_s = stall_limit_s(self._inboxes, self._flows)
        self._stall_ns = limit_s * 1e9 if limit_s else float("inf")
        self._next_tick_ns = 0
        self._start_ns = 0
        self._finish = False

    def _flow_inbox(self, flow: FlowOffer, turn: int) -> FlowInbox:
        lane = self._lanes.get(flow.direction.tx)
        return FlowInbox(flow, (lambda: flow.frames) if lane is None else (lambda: lane.sent(turn)))

    def finish(self) -> None:
        """End the wait for frames from elsewhere: all were sent."""
        self._finish = True

    def run(self, listening: Callable[[], None] = lambda: None) -> Report:
        """Offer, settle, count; `listening` is called once frames sent from now on will be counted."""
        with _no_collector():
            before = resource.getrusage(resource.RUSAGE_SELF)
            self._start_ns = self._clock()
            for inbox in self._inboxes.values():
                inbox.start(self._start_ns)
            self._begin()
            listening()
            if self._lanes:
                self._send_all()
            else:
                self._receive_until_told()
            if self._inboxes:
                self._settle()
            after = resource.getrusage(resource.RUSAGE_SELF)
        return build_report(self._offer, self._lanes, self._inboxes, self._flows, self._span, (before, after))

    def _begin(self) -> None:
        now = self._clock()
        self._start_ns = now
        self._next_tick_ns = now + TICK_NS
        for lane in self._lanes.values():
            lane.start(now)

    def _send_all(self) -> None:
        lanes, inboxes = tuple(self._lanes.values()), tuple(self._inboxes.values())
        clock, looked_late = self._clock, self._looked_late
        poll_ns, poll_frames = self._poll_ns, self._poll_frames
        looked = polled = clock()
        polled_at = 0
        while True:
            now = clock()
            if now - looked > LATE_NS:
                looked_late(now - looked)
            looked = now
            idle = True
            position = 0
            for lane in lanes:
                if lane.send(now):
                    idle = False
                position += lane.position
            if idle or now - polled > poll_ns or position - polled_at >= poll_frames:
                polled, polled_at = now, position
                for inbox in inboxes:
                    inbox.drain()
                if now > self._next_tick_ns:
                    self._look_up(now)
            if idle and all(lane.pacer.over(now) for lane in lanes):
                break

    def _looked_late(self, gap_ns: int) -> None:
        """Take a span between two looks into the account."""
        self._span.longest_stall_ns = max(self._span.longest_stall_ns, gap_ns)
        if gap_ns > self._stall_ns:
            self._span.stalled_ns += gap_ns

    def _receive_until_told(self) -> None:
        inboxes, clock = tuple(self._inboxes.values()), self._clock
        looked = clock()
        while not self._finish:
            for inbox in inboxes:
                inbox.drain()
            now = clock()
            if now - looked > LATE_NS:
                self._looked_late(now - looked)
            looked = now
            if now > self._next_tick_ns:
                self._look_up(now)

    def _look_up(self, now_ns: int) -> None:
        self._next_tick_ns = now_ns + TICK_NS
        sent = sum(lane.position for lane in self._lanes.values())
        received = sum(inbox.received for inbox in self._inboxes.values())
        for inbox in self._inboxes.values():
            inbox.overruns()
        self._tick((now_ns - self._start_ns) / 1e9, sent, received)

    def _settle(self) -> None:
        inboxes = tuple(self._inboxes.values())
        clock = self._clock
        started = moved_at = looked = clock()
        quiet_ns, deadline = self._offer.quiet_s * 1e9, started + self._offer.settle_s * 1e9
        moved = sum(inbox.moved for inbox in inboxes)
        while True:
            taken = sum(inbox.drain() for inbox in inboxes)
            now = clock()
            if now - looked > LATE_NS:
                self._looked_late(now - looked)
            looked = now
            if taken and (count := sum(inbox.moved for inbox in inboxes)) != moved:
                moved, moved_at = count, now
            elif now - moved_at >= quiet_ns:
                break
            if now >= deadline:
                self._span.unsettled = True
                break
            if now > self._next_tick_ns:
                self._look_up(now)
        self._span.settle_ns = moved_at - started


def _check_turns(port: int, flows: Sequence[FlowOffer]) -> None:
    kinds = {
        (flow.rate_pps, flow.frames, tuple(len(one.template) for one in flow.shapes), flow.cycle, flow.tuples)
        for flow in flows
    }
    if len(kinds) > 1:
        raise ConfigurationError(
            f"flows out of port {port} differ in rate, number of frames, frame size or number of 5-tuples; "
            "accepted: equal ones, as they take turns"
        )


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


def learning_frame(address: str) -> bytes:
    """Return a broadcast frame from `address` that only teaches a switch (RFC 2544 section 23).

    Raises:
        ConfigurationError: no MAC address.
    """
    try:
        source = bytes.fromhex(address.replace(":", ""))
    except ValueError:
        source = b""
    if len(source) != 6:
        raise ConfigurationError(f"port address {address!r}: accepted: a MAC address such as 02:00:00:00:00:01")
    return b"\xff" * 6 + source + _LOCAL_EXPERIMENTAL.to_bytes(2, "big") + bytes(46)


def learn(ports: Sequence[Port], addresses: Sequence[str]) -> None:
    """Send learning frames from every port."""
    for port, address in zip(ports, addresses, strict=True):
        port.prepare(np.frombuffer(learning_frame(address), np.uint8)[None, :])
        for number in range(LEARNING_FRAMES):
            words = port.reserve(1)
            words[:, 0] = head(LEARNING_FLOW) + number
            words[:, 1] = time.monotonic_ns()
            port.commit(1)
