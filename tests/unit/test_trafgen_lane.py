"""How long a lane says that it offered load: neither grouping nor late looks may make a load seem higher."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_nfv.model.offer import FlowOffer
from pytest_nfv.model.trial import Direction
from pytest_nfv.rings.loopback import LoopbackPort
from pytest_nfv.trafgen.lane import Lane

START = 1_000_000_000_000
TEMPLATE = bytes(60).hex()


def lane(rate_pps: float, frames: int, burst: int, flows: int = 1) -> Lane:
    """Return a lane over a wire whose far end takes nothing; what is refused is offered."""
    here, _ = LoopbackPort.pair(slots=64)
    offers = [
        FlowOffer(flow, Direction(0, 1), rate_pps / flows, frames // flows, TEMPLATE) for flow in range(flows)
    ]
    return Lane(here, offers, burst)


def play(one: Lane, step_ns: int, until_ns: int | None = None) -> None:
    """Let it send, looking every `step_ns`, first that long after the start, until all is sent or time is up."""
    one.start(START)
    now = START + step_ns
    while not one.pacer.over(now) and (until_ns is None or now <= START + until_ns):
        one.send(now)
        now += step_ns


@pytest.mark.parametrize(
    ("frames", "burst"), [(1500, 0), (1500, 1), (1500, 100), (1500, 1500), (1457, 100), (1401, 100), (50, 100)]
)
@pytest.mark.parametrize("flows", [1, 2])
def test_frames_on_schedule_are_their_number_over_the_rate(frames: int, burst: int, flows: int) -> None:
    frames -= frames % flows
    one = lane(5_000.0, frames, burst, flows)
    play(one, 1_000)
    assert one.position == frames
    assert one.offered_for_s == pytest.approx(frames / 5_000, abs=2e-6)


@pytest.mark.parametrize(("until_ns", "frames"), [(150_000_000, 800), (5_000_000, 100)])
def test_a_burst_counts_with_its_gap_where_the_load_ends_early(until_ns: int, frames: int) -> None:
    one = lane(5_000.0, 1500, 100)
    play(one, 1_000, until_ns)
    assert one.position == frames
    assert one.offered_for_s == pytest.approx(frames / 5_000, abs=2e-6)


@given(
    rate=st.floats(1e4, 1e6),
    frames=st.integers(1, 1000),
    burst=st.integers(0, 64),
    step=st.integers(1_000, 40_000),
)
@example(rate=1e6, frames=100, burst=0, step=40_000)  # the first look finds 41 frames due
def test_the_offered_load_is_never_overstated(rate: float, frames: int, burst: int, step: int) -> None:
    one = lane(rate, frames, burst)
    play(one, step)
    on_schedule_s = one.position / rate
    assert on_schedule_s * (1 - 1e-9) <= one.offered_for_s + 1e-9
    if one.position == frames and not one.pacer.caught_up:
        assert one.offered_for_s <= on_schedule_s + 2 * step / 1e9


def test_without_a_frame_there_was_no_load() -> None:
    one = lane(5_000.0, 1500, 0)
    assert one.offered_for_s == 0.0
    one.start(START)
    one.send(START - 1)
    assert one.offered_for_s == 0.0
