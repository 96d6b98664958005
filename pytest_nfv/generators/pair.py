"""Two generators as one: the first sends, the second receives, each on a core of its own.

They share the machine's clock, so that the one-way latency from the one's stamp to the other's is meaningful.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.generators.protocol import Half, Progress
from pytest_nfv.model.catching_up import pushed
from pytest_nfv.model.offer import FlowOffer, Offer, PortSpec, Report
from pytest_nfv.model.trial import Direction, FlowCounts, Latency


class Pair:
    """Implements `generators.protocol.Generator` on two halves.

    Each has ports of its own, by their numbers in the whole: a sender's port 0 and a receiver's port 1 may lie in
    two network namespaces.
    """

    name: ClassVar[str] = "pair"

    def __init__(self, sender: Half, receiver: Half, sends_on: Sequence[int], receives_on: Sequence[int]) -> None:
        self._sender = sender
        self._receiver = receiver
        self._tx = {port: place for place, port in enumerate(sends_on)}
        self._rx = {port: place for place, port in enumerate(receives_on)}

    @property
    def version(self) -> str:
        """The sender's; both are of one package."""
        return self._sender.version

    def pid(self) -> int:
        """Return the sender's process; `pids` has both."""
        return self._sender.pid()

    def pids(self) -> tuple[int, int]:
        """Return the sender's and the receiver's process."""
        return self._sender.pid(), self._receiver.pid()

    def open(self, ports: Sequence[PortSpec]) -> None:
        """Open every port at the half that it belongs to, the receiver's first.

        Raises:
            GeneratorError: a port cannot be opened; names it.
            CapabilityMissing: the machine lacks what such a port takes; says how to get it.
        """
        self._receiver.open([ports[port] for port in self._rx])
        self._sender.open([ports[port] for port in self._tx])

    def learn(self) -> None:
        """Send learning frames from every port (RFC 2544 section 23)."""
        self._receiver.learn()
        self._sender.learn()

    def offer(self, offer: Offer, progress: Progress | None = None) -> Report:
        """Run one trial. An exception meanwhile ends it on both sides.

        Raises:
            GeneratorError: one of the two died or refused.
            ConfigurationError: a flow whose ends neither half has.
        """
        for flow in offer.flows:
            if flow.direction.tx not in self._tx or flow.direction.rx not in self._rx:
                raise ConfigurationError(
                    f"flow {flow.flow}: direction {flow.direction}: accepted: out of port "
                    f"{', '.join(map(str, self._tx))}, into port {', '.join(map(str, self._rx))}"
                )

        def told(elapsed_s: float, sent: int, received: int) -> None:
            heard = self._receiver.heard()
            if progress is not None:
                progress(elapsed_s, sent, heard)

        self._receiver.listen(_of(offer, "receive", [self._local_rx(flow) for flow in offer.flows]))
        try:
            sent = self._sender.offer(_of(offer, "send", [self._local_tx(flow) for flow in offer.flows]), told)
            received = self._receiver.finish()
        except BaseException:  # whatever it is, it goes on; the receiver shall not
            self._receiver.abort()
            raise
        return merged(offer, sent, received)

    def floor(self, offer: Offer) -> tuple[Latency, ...]:
        """None: its halves are two processes, and no wire of memory joins them."""
        return ()

    def _local_tx(self, flow: FlowOffer) -> Direction:
        return replace(flow.direction, tx=self._tx[flow.direction.tx])

    def _local_rx(self, flow: FlowOffer) -> Direction:
        return replace(flow.direction, rx=self._rx[flow.direction.rx])

    def close(self) -> None:
        """End both; safe to call twice."""
        try:
            self._sender.close()
        finally:
            self._receiver.close()


def _of(offer: Offer, role: str, ways: Sequence[Direction]) -> Offer:
    flows = tuple(replace(flow, direction=way) for flow, way in zip(offer.flows, ways, strict=True))
    return replace(offer, role=role, flows=flows)


def merged(offer: Offer, sent: Report, received: Report) -> Report:
    """Return one report of two halves of `offer`: what the sender sent, what the receiver received.

    A stall of the sender only makes it offer less, so that the receiver's is the one to look at.
    """
    counts = tuple(map(_flow, offer.flows, sent.flows, received.flows))
    ways = {
        (own.direction.tx, own.direction.rx): flow.direction
        for flow, own in zip(offer.flows, received.flows, strict=True)
    }
    health = replace(
        received.health,
        cpu_s=sent.health.cpu_s + received.health.cpu_s,
        involuntary_switches=sent.health.involuntary_switches + received.health.involuntary_switches,
    )
    return replace(
        sent,
        flows=counts,
        settle_s=received.settle_s,
        health=health,
        latency=tuple(
            replace(one, direction=ways[one.direction.tx, one.direction.rx]) for one in received.latency
        ),
        trouble=(*sent.trouble, *received.trouble, *_pushed(offer, counts, sent)),
    )


def _pushed(offer: Offer, counts: Sequence[FlowCounts], sent: Report) -> list[str]:
    """Return what neither half can say alone: the receiver's loss may come from the sender's catching up."""
    if offer.maximum or not sent.catching_up:
        return []
    said = [pushed(count, *caught) for count, caught in zip(counts, sent.catching_up, strict=True)]
    return [line for line in said if line]


def _flow(flow: FlowOffer, sent: FlowCounts, received: FlowCounts) -> FlowCounts:
    return replace(received, direction=flow.direction, intended=sent.intended, sent=sent.sent)
