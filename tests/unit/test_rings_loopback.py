"""The wire that the generator's floor is measured on: cheap where time is told, and still a ring of copies."""

from __future__ import annotations

import numpy as np

from pytest_nfv.rings.loopback import LoopbackPort


def test_the_stamp_of_an_arrival_is_taken_before_the_wire_copies_anything() -> None:
    copied: list[bool] = []

    def clock() -> int:
        copied.append(bool(there._in.frames.any()))
        return 7

    here, there = LoopbackPort.pair(clock=clock)
    here.prepare(np.full((1, 60), 5, np.uint8))
    here.reserve(1)
    here.commit(1)
    arrived = there.receive(8)
    assert arrived is not None
    assert (copied, arrived.stamps_ns.tolist()) == ([False], [7])
    assert (arrived.frames[0, :44] == 5).all()


def test_what_was_sent_stays_as_it_was_sent_whatever_follows() -> None:
    here, there = LoopbackPort.pair(slots=8)
    here.prepare(np.full((1, 60), 5, np.uint8))
    for number in range(5):
        here.reserve(1)[:, 0] = number
        here.commit(1)
    here.prepare(np.full((1, 60), 6, np.uint8))
    here.reserve(1)[:, 0] = 5
    here.commit(1)
    arrived = there.receive(8)
    assert arrived is not None
    numbers = np.ascontiguousarray(arrived.frames[:, 44:52]).view(np.uint64)[:, 0]
    assert numbers.tolist() == [0, 1, 2, 3, 4, 5]
    assert arrived.frames[:, 0].tolist() == [5] * 5 + [6]
