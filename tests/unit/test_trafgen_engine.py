"""Whole trials over a wire of memory, whose far end does to the frames what the test says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.offer import FlowOffer, Offer, Report
from pytest_nfv.model.trial import Direction, FlowCounts
from pytest_nfv.rings.frames import Prepared
from pytest_nfv.rings.loopback import LoopbackPort
from pytest_nfv.rings.port import U64, Arrived, Port
from pytest_nfv.trafgen.engine import LEARNING_FRAMES, Trial, learn, learning_frame

RATE = 50_000.0
FRAMES = 5_000
Fault = Callable[[Arrived], Arrived]


class Clock:
    """Every look takes 2 us: the loop is never held up."""

    def __init__(self) -> None:
        self.now_ns = 10**12

    def __call__(self) -> int:
        self.now_ns += 2_000
        return self.now_ns


class FaultyPort:
    """A port whose arrivals pass through `fault` first."""

    def __init__(self, port: Port, fault: Fault) -> None:
        self.port, self.fault = port, fault

    @property
    def burst_max(self) -> int:
        return self.port.burst_max

    @property
    def receive_slots(self) -> int:
        return self.port.receive_slots

    def prepare(self, frames: Prepared) -> None:
        self.port.prepare(frames)

    def expect(self, octets: int) -> None:
        self.port.expect(octets)

    def reserve(self, count: int) -> U64:
        return self.port.reserve(count)

    def commit(self, count: int) -> tuple[int, int]:
        return self.port.commit(count)

    def receive(self, limit: int) -> Arrived | None:
        arrived = self.port.receive(limit)
        if arrived is None:
            return None
        changed = self.fault(arrived)
        if len(changed.octets):
            return changed
        self.port.release()
        return None

    def release(self) -> None:
        self.port.release()

    def overruns(self) -> int:
        return self.port.overruns()

    def close(self) -> None:
        self.port.close()


def pick(arrived: Arrived, rows: np.ndarray) -> Arrived:
    return Arrived(arrived.frames[rows], arrived.octets[rows], arrived.stamps_ns[rows])


def sequences(arrived: Arrived) -> np.ndarray:
    return np.ascontiguousarray(arrived.frames[:, 44:48]).view(np.uint32)[:, 0]


def template(flow: int, octets: int = 60) -> str:
    return (bytes([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 1, flow, 0x88, 0xB5]) + bytes(octets - 14)).hex()


def flow(number: int = 0, tx: int = 0, frames: int = FRAMES, octets: int = 60) -> FlowOffer:
    return FlowOffer(number, Direction(tx, 1 - tx), RATE, frames, template(number, octets))


def run(fault: Fault = lambda arrived: arrived, flows: Sequence[FlowOffer] = (flow(),), **offer: Any) -> Report:
    clock = Clock()
    here, there = LoopbackPort.pair(clock=clock)
    ports = (here, FaultyPort(there, fault))
    learn(ports, ["02:00:00:00:00:01", "02:00:00:00:00:02"])
    return Trial(ports, Offer(tuple(flows), settle_s=1.0, quiet_s=0.02, **offer), lambda *_: None, clock).run()


def only(report: Report) -> FlowCounts:
    (counts,) = report.flows
    return counts


def test_a_good_wire_returns_every_frame_once() -> None:
    report = run()
    assert only(report) == FlowCounts(Direction(0, 1), FRAMES, FRAMES, FRAMES)
    (latency,) = report.latency
    assert latency.samples == FRAMES
    assert latency.min_ns >= 0


def test_lost_frames_are_lost_and_nothing_else() -> None:
    counts = only(run(lambda arrived: pick(arrived, np.flatnonzero(sequences(arrived) % 10 != 3))))
    assert counts == FlowCounts(Direction(0, 1), FRAMES, FRAMES, FRAMES * 9 // 10)


def test_copies_are_duplicated() -> None:
    def twice(arrived: Arrived) -> Arrived:
        numbers = sequences(arrived)
        return pick(arrived, np.repeat(np.arange(len(numbers)), np.where(numbers % 100 == 7, 3, 1)))

    counts = only(run(twice))
    assert counts == FlowCounts(Direction(0, 1), FRAMES, FRAMES, FRAMES, duplicated=2 * FRAMES // 100)


def test_frames_out_of_order_are_received_and_reordered() -> None:
    held: list[Arrived] = []

    def late(arrived: Arrived) -> Arrived:
        """Keep every frame whose number ends in 00 back until number 50 of the same hundred is there."""
        out = []
        for row, number in enumerate(sequences(arrived)):
            one = pick(arrived, np.array([row]))
            if number % 100 == 0:
                held.append(Arrived(one.frames.copy(), one.octets.copy(), one.stamps_ns.copy()))
            else:
                out.append(one)
            if number % 100 == 50:
                out.append(held.pop())
        joined = [
            np.concatenate(parts) for parts in zip(*((o.frames, o.octets, o.stamps_ns) for o in out), strict=True)
        ]
        return Arrived(*joined) if out else pick(arrived, np.zeros(0, np.int64))

    counts = only(run(late))
    assert counts == FlowCounts(Direction(0, 1), FRAMES, FRAMES, FRAMES, reordered=FRAMES // 100)


def test_changed_octets_are_corruption_and_hence_loss() -> None:
    def scratch(arrived: Arrived) -> Arrived:
        frames = arrived.frames.copy()
        frames[sequences(arrived) % 50 == 1, 30] ^= 8
        return Arrived(frames, arrived.octets, arrived.stamps_ns)

    counts = only(run(scratch))
    bad = FRAMES // 50
    assert counts == FlowCounts(Direction(0, 1), FRAMES, FRAMES, FRAMES - bad, corrupted=bad)


def test_numbers_that_were_never_sent_are_corruption() -> None:
    def renumber(arrived: Arrived) -> Arrived:
        frames = arrived.frames.copy()
        frames[sequences(arrived) == 17, 47] = 0x40
        return Arrived(frames, arrived.octets, arrived.stamps_ns)

    assert only(run(renumber)) == FlowCounts(Direction(0, 1), FRAMES, FRAMES, FRAMES - 1, corrupted=1)


def test_strangers_are_foreign() -> None:
    def stranger(arrived: Arrived) -> Arrived:
        rows = np.flatnonzero(sequences(arrived) % 1000 == 5)
        frames = np.concatenate([arrived.frames, np.zeros((len(rows), arrived.frames.shape[1]), np.uint8)])
        octets = np.concatenate([arrived.octets, np.full(len(rows), 60)])
        return Arrived(frames, octets, np.concatenate([arrived.stamps_ns, arrived.stamps_ns[rows]]))

    counts = only(run(stranger))
    assert counts == FlowCounts(Direction(0, 1), FRAMES, FRAMES, FRAMES, foreign=FRAMES // 1000)


def test_both_ways_at_once_are_counted_apart() -> None:
    drop = lambda arrived: pick(arrived, np.flatnonzero(sequences(arrived) % 2 == 0))  # noqa: E731 - one expression
    there, back = run(drop, [flow(0, 0), flow(1, 1)]).flows
    assert there == FlowCounts(Direction(0, 1), FRAMES, FRAMES, FRAMES // 2)
    assert back == FlowCounts(Direction(1, 0), FRAMES, FRAMES, FRAMES)


def test_flows_of_one_port_take_turns() -> None:
    flows = [flow(number, frames=1001) for number in range(3)]
    counts = run(flows=flows).flows
    assert counts == tuple(FlowCounts(Direction(0, 1), 1001, 1001, 1001) for _ in flows)


def test_flows_of_one_port_must_be_alike() -> None:
    with pytest.raises(ConfigurationError, match="flows out of port 0 differ in rate"):
        run(flows=[flow(0), flow(1, octets=80)])


def test_what_a_full_ring_refuses_is_offered_and_lost() -> None:
    clock = Clock()
    here, there = LoopbackPort.pair(slots=100, clock=clock)

    class Deaf(FaultyPort):
        def receive(self, limit: int) -> Arrived | None:
            return None

    offer = Offer((flow(frames=1000),), quiet_s=0.01)
    report = Trial((here, Deaf(there, lambda arrived: arrived)), offer, lambda *_: None, clock).run()
    assert only(report) == FlowCounts(Direction(0, 1), 1000, 1000, 0)
    assert report.refused == (900,)


def test_who_sends_without_pause_still_takes_what_arrives_in_time() -> None:
    clock = Clock()
    ports = LoopbackPort.pair(slots=1024, clock=clock)
    fast = FlowOffer(0, Direction(0, 1), 1e9, 50_000, template(0))  # always owed more than a burst
    report = Trial(ports, Offer((fast,), quiet_s=0.01), lambda *_: None, clock).run()
    counts = only(report)
    assert counts.sent > 1024
    assert (counts.lost, report.refused) == (0, (0,))


def test_a_frame_of_the_trial_before_is_not_counted() -> None:
    clock = Clock()
    here, there = LoopbackPort.pair(clock=clock)
    kept: list[Arrived] = []

    def replay(arrived: Arrived) -> Arrived:
        if not kept:
            kept.append(
                Arrived(arrived.frames[:1].copy(), arrived.octets[:1].copy(), arrived.stamps_ns[:1].copy())
            )
        old = kept[0]
        return Arrived(
            np.concatenate([arrived.frames, old.frames]),
            np.concatenate([arrived.octets, old.octets]),
            np.concatenate([arrived.stamps_ns, old.stamps_ns]),
        )

    ports = (here, FaultyPort(there, replay))
    offer = Offer((flow(frames=10),), quiet_s=0.01)
    assert only(Trial(ports, offer, lambda *_: None, clock).run()).duplicated > 0
    again = only(Trial(ports, offer, lambda *_: None, clock).run())
    assert (again.received, again.duplicated) == (10, 0)
    assert again.foreign > 0


def test_bursts_go_out_together() -> None:
    moments: set[int] = set()

    def note(arrived: Arrived) -> Arrived:
        moments.update(np.ascontiguousarray(arrived.frames[:, 52:60]).view(np.uint64)[:, 0].tolist())
        return arrived

    assert only(run(note, burst=50)).received == FRAMES
    assert len(moments - {0}) == FRAMES // 50 + LEARNING_FRAMES


@pytest.mark.parametrize("burst", [0, 50])
def test_every_frame_is_a_latency_sample_whether_sent_alone_or_in_a_burst(burst: int) -> None:
    (latency,) = run(burst=burst).latency
    assert latency.samples == FRAMES


def test_frames_of_a_batch_have_the_latency_of_their_own_arrival() -> None:
    def spread(arrived: Arrived) -> Arrived:
        stamps = np.ascontiguousarray(arrived.frames[:, 52:60]).view(np.int64)[:, 0]
        return Arrived(arrived.frames, arrived.octets, stamps + 1000 * (1 + sequences(arrived) % 50))

    (latency,) = run(spread, burst=50).latency
    assert (latency.samples, latency.min_ns, latency.max_ns) == (FRAMES, 1000, 50_000)
    assert latency.mean_ns == 25_500


def test_neither_further_copies_nor_corrupted_frames_are_samples() -> None:
    def twice_and_broken(arrived: Arrived) -> Arrived:
        frames = np.repeat(arrived.frames, 2, axis=0)
        broken = np.repeat(sequences(arrived) % 10 == 3, 2)
        frames[broken, 20] ^= 1
        return Arrived(frames, np.repeat(arrived.octets, 2), np.repeat(arrived.stamps_ns, 2))

    report = run(twice_and_broken, burst=50)
    assert report.latency[0].samples == only(report).received == FRAMES * 9 // 10


@pytest.mark.parametrize(("every", "part"), [(0, 0), (10, FRAMES // 10)])
def test_latency_is_sampled_as_often_as_asked(every: int, part: int) -> None:
    report = run(latency_every=every)
    if not part:
        assert report.latency == ()
    else:
        assert 0 < report.latency[0].samples <= part


def test_a_tick_may_end_the_trial() -> None:
    def stop(elapsed_s: float, sent: int, received: int) -> None:
        raise KeyboardInterrupt

    here, there = LoopbackPort.pair()
    with pytest.raises(KeyboardInterrupt):
        Trial((here, there), Offer((flow(frames=10**9),)), stop).run()


def test_a_load_that_cannot_be_offered_is_told() -> None:
    here, there = LoopbackPort.pair()
    fast = FlowOffer(0, Direction(0, 1), 1e9, 50_000_000, template(0))
    report = Trial((here, there), Offer((fast,), quiet_s=0.01), lambda *_: None).run()
    counts = only(report)
    assert 0 < counts.not_sent < counts.intended
    assert "were not sent" in report.trouble[0]
    assert report.health.stall_limit_s == pytest.approx(there.receive_slots / 1e9)


def test_a_learning_frame_needs_a_mac_address() -> None:
    assert len(learning_frame("02:00:00:00:00:01")) == 60
    with pytest.raises(ConfigurationError, match="port address 'eth0': accepted: a MAC address"):
        learning_frame("eth0")
