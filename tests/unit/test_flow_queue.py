"""Which of several queues a frame goes to: always the same for a flow, and not one for all flows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pytest_nfv.rings.forwarding import flow_queue

FLOWS = 256


def flows(last_octet: int) -> np.ndarray:
    """Return frames that differ in one number, which ends at an octet: an address or a port that counts up."""
    frames = np.zeros((FLOWS, 60), np.uint8)
    frames[:, 26:38] = (198, 18, 0, 1, 198, 19, 0, 1, 4, 0, 0, 9)
    frames[:, last_octet] = np.arange(FLOWS)
    return frames


@pytest.mark.parametrize("queues", [2, 3, 4, 8, 16])
@pytest.mark.parametrize("last_octet", [29, 33, 35, 37], ids=["source", "target", "source port", "target port"])
def test_flows_that_count_up_are_spread_over_all_queues(last_octet: int, queues: int) -> None:
    found = np.bincount(flow_queue(flows(last_octet), queues), minlength=queues)
    assert len(found) == queues
    assert found.min() > FLOWS / queues / 2, found


@given(arrays(np.uint8, (20, 64)), st.integers(1, 16))
def test_a_flow_keeps_to_its_queue_whatever_else_is_in_its_frames(frames: np.ndarray, queues: int) -> None:
    again = 255 - frames
    again[:, 26:38] = frames[:, 26:38]
    chosen = flow_queue(frames, queues)
    assert chosen.dtype == np.int64
    assert ((chosen >= 0) & (chosen < queues)).all()
    assert (flow_queue(again, queues) == chosen).all()


def test_frames_too_short_for_a_flow_go_to_the_first() -> None:
    assert flow_queue(np.ones((3, 37), np.uint8), 4).tolist() == [0, 0, 0]
