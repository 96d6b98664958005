"""Trials that only send, or only receive until they are told that all was sent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.offer import FlowOffer, Offer, Report
from pytest_nfv.model.trial import Direction, FlowCounts
from pytest_nfv.rings.loopback import LoopbackPort
from pytest_nfv.rings.port import Arrived
from pytest_nfv.trafgen.checker import Checker
from pytest_nfv.trafgen.engine import Trial, learn
from pytest_nfv.trafgen.messages import read_offer
from pytest_nfv.trafgen.signature import head

WAY = Direction(0, 0)
PAYLOAD = bytes(18).hex()
FRAMES = 2_000  # fewer than the wire holds: here the receiver looks only after the sender is done


def offer(**changes: object) -> Offer:
    flow = FlowOffer(0, WAY, 1e6, FRAMES, PAYLOAD)
    return replace(Offer((flow,), settle_s=1.0, quiet_s=0.02), **changes)  # type: ignore[arg-type]  # of any field


class Clock:
    """Every look takes `step_ns`."""

    def __init__(self, step_ns: int) -> None:
        self.now_ns, self.step_ns = 10**12, step_ns

    def __call__(self) -> int:
        self.now_ns += self.step_ns
        return self.now_ns


def both(sending: Offer, receiving: Offer, step_ns: int = 2_000) -> tuple[Report, Report]:
    """Send all while the receiver listens, then tell it to finish."""
    clock = Clock(step_ns)
    here, there = LoopbackPort.pair(clock=clock)
    learn((here,), ["02:00:00:00:00:01"])
    sent: list[Report] = []

    def send() -> None:
        sent.append(Trial((here,), sending, lambda *_: None, clock).run())

    receiver = Trial((there,), receiving, lambda *_: receiver.finish(), clock)
    received = receiver.run(send)
    return sent[0], received


def test_each_counts_its_own_half() -> None:
    sent, received = both(offer(role="send"), offer(role="receive"))
    assert sent.flows == (FlowCounts(WAY, FRAMES, FRAMES, 0),)
    assert received.flows == (FlowCounts(WAY, FRAMES, 0, FRAMES),)
    assert sent.trouble == received.trouble == ()
    assert (sent.latency, sent.settle_s, sent.health.stall_limit_s) == ((), 0.0, 0.0)
    assert received.offered_for_s == 0.0
    assert received.latency[0].min_ns > 0
    assert received.health.stall_limit_s == pytest.approx(4096 / 1e6)


def test_a_sender_that_falls_short_is_trouble_unless_as_much_as_can_be_was_wanted() -> None:
    slow = 200_000  # one burst of 64 a look is less than the load
    short, received = both(offer(role="send"), offer(role="receive"), slow)
    assert 0 < short.flows[0].sent < FRAMES
    assert received.flows[0].received == short.flows[0].sent
    assert any("were not sent" in line for line in short.trouble)
    most, _ = both(offer(role="send", maximum=True), offer(role="receive", maximum=True), slow)
    assert most.flows[0].not_sent > 0
    assert most.trouble == ()


class Overrun:
    """A port whose ring had no room for a few frames more with each look."""

    def __init__(self, port: LoopbackPort) -> None:
        self._port, self._frames = port, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._port, name)

    def overruns(self) -> int:
        self._frames += 3
        return self._frames


@pytest.mark.parametrize("measured", [False, True])
def test_frames_that_a_measured_receiver_has_no_room_for_are_no_trouble(measured: bool) -> None:
    clock = Clock(2_000)
    port = Overrun(LoopbackPort.pair(clock=clock)[1])
    told = offer(role="receive", receiver_measured=measured)
    receiver = Trial((port,), told, lambda *_: receiver.finish(), clock)  # type: ignore[arg-type]  # the rest is the port's
    report = receiver.run()
    assert report.health.receive_overruns > 0
    assert any("had no room" in line for line in report.trouble) is not measured


def test_a_role_looks_at_its_own_end_of_a_flow_only() -> None:
    flow = FlowOffer(0, Direction(0, 7), 1e6, 10, bytes(60).hex())
    data = {"offer": Offer((flow,), role="send").to_json()}
    assert read_offer(data, 1).flows == (flow,)
    data["offer"]["role"] = "receive"
    with pytest.raises(ConfigurationError, match="direction 0>7: 1 ports are open"):
        read_offer(data, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"role": "watch"}, "role 'watch': accepted: both, send, receive"),
        ({"maximum": 1}, "maximum 1: accepted: true, false"),
        ({"receiver_measured": "no"}, "receiver_measured 'no': accepted: true, false"),
    ],
)
def test_what_an_offer_cannot_say_is_named(change: dict[str, object], message: str) -> None:
    flow = FlowOffer(0, Direction(0, 0), 1e6, 10, bytes(60).hex())
    with pytest.raises(ConfigurationError, match=message):
        read_offer({"offer": {**Offer((flow,)).to_json(), **change}}, 1)


def test_ports_of_payloads_take_shorter_templates() -> None:
    data = {"offer": offer().to_json()}
    assert read_offer(data, 1, 18).flows[0].template == PAYLOAD
    with pytest.raises(ConfigurationError, match="template of 18 octets: accepted: 60 and more"):
        read_offer(data, 1)


def test_a_payload_too_short_for_a_header_is_told_by_its_signature() -> None:
    template = np.frombuffer(bytes.fromhex(PAYLOAD), np.uint8)
    ours, changed, stranger = (bytearray(18) for _ in range(3))
    for frame in (ours, changed):
        frame[2:10], frame[10:18] = head(0).to_bytes(8, "little"), (5).to_bytes(8, "little")
    changed[0] ^= 1
    frames = np.frombuffer(bytes(ours + changed + stranger), np.uint8).reshape(3, 18)
    found = Checker([(0, template)], 0).sort(Arrived(frames, np.full(3, 18), np.full(3, 9)), 9)
    assert len(found.intact[0].sequences) == 1
    assert (found.corrupted[0], found.foreign) == (1, 1)
