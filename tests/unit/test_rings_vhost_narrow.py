"""Fewer receive slots with the device where frames are long, and all of them again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.rings import virtqueue_receive
from tests.unit.virtqueue_rig import HEADER, OCTETS, a_rig

NARROWING = st.lists(
    st.one_of(
        st.tuples(st.just("narrow"), st.sampled_from([60, 300, 1200]), st.just(0)),
        st.tuples(st.just("device"), st.integers(1, 16), st.integers(0, 2**32 - 1)),
        st.tuples(st.just("driver"), st.integers(1, 16), st.just(0)),
    ),
    max_size=60,
)


@given(steps=NARROWING, in_order=st.booleans())
def test_fewer_slots_with_the_device_and_more_again(steps: list[tuple[str, int, int]], in_order: bool) -> None:
    size = 16
    with pytest.MonkeyPatch.context() as patch, a_rig(size) as rig:
        patch.setattr(virtqueue_receive, "NARROWEST", 2)
        patch.setattr(virtqueue_receive, "CACHED_OCTETS", 16 * 128)  # 16 slots of 60 octets, 4 of 300, 2 of 1200
        queue = rig.receiver()
        has: list[int] = []
        given_back = seen = 0
        for step, amount, seed in steps:
            if step == "narrow":
                queue.narrow(amount)
                assert queue.window == {60: 16, 300: 4, 1200: 2}[amount]
            elif step == "device":
                has += rig.available()
                assert len(set(has)) == len(has) <= size  # no slot twice
                turns = has[:amount] if in_order else random.Random(seed).sample(has, min(amount, len(has)))
                for head in turns:
                    rig.buffer(head)[HEADER : HEADER + OCTETS] = given_back % 256
                    given_back += 1
                    has.remove(head)
                    rig.give_back([(head, HEADER + OCTETS)])
            else:
                arrived = queue.receive(amount)
                if arrived is not None:
                    count = len(arrived.octets)
                    assert arrived.frames[:, :OCTETS].tolist() == [
                        [(seen + n) % 256] * OCTETS for n in range(count)
                    ]
                    seen += count
                    queue.release()
        while (arrived := queue.receive(size)) is not None:
            assert arrived.frames[:, 0].tolist() == [(seen + n) % 256 for n in range(len(arrived.octets))]
            seen += len(arrived.octets)
            queue.release()
        assert seen == given_back
        has += rig.available()
        assert len(has) >= queue.window  # nothing was forgotten
