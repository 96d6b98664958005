"""From what an offer says of a flow to the frames themselves: as they are sent, and as they shall arrive."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_nfv.model.offer import FlowOffer
from pytest_nfv.rings.frames import Frames
from pytest_nfv.rings.port import U8
from pytest_nfv.trafgen.tuples import with_tuples


def _octets(text: str) -> U8:
    return np.frombuffer(bytes.fromhex(text), np.uint8)


def _table(flow: FlowOffer, texts: Sequence[str]) -> Frames:
    distinct = [_octets(text) for text in texts]
    table = Frames.mixed(distinct, flow.cycle or (0,))
    return table if flow.tuples == 1 else with_tuples(table, flow.tuples, distinct)


def sent_frames(flow: FlowOffer) -> Frames:
    """Return the frames that the flow sends.

    Raises:
        ConfigurationError: several 5-tuples of frames that have none.
    """
    return _table(flow, [one.template for one in flow.shapes])


def arriving_frames(flow: FlowOffer) -> Frames:
    """Return the frames as they shall arrive.

    Raises:
        ConfigurationError: several 5-tuples of frames that have none.
    """
    return _table(flow, [one.expected or one.template for one in flow.shapes])


def longest_arriving(flow: FlowOffer) -> int:
    """Return the octets of the longest frame that shall arrive, without FCS."""
    return max(len(one.expected or one.template) // 2 for one in flow.shapes)
