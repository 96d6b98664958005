"""The 16 octets that end every frame of ours (`model/offer.py` has the layout), as arithmetic on words."""

from __future__ import annotations

import numpy as np

from pytest_nfv.model.offer import LEARNING_FLOW, MAGIC
from pytest_nfv.rings.port import U64

SEQUENCES = 1 << 32


def head(flow: int) -> int:
    """Return word 0 of the flow's frame number 0."""
    return MAGIC << 48 | flow << 32


LEARNING_HEAD = head(LEARNING_FLOW)


class Numbering:
    """Word 0 of the frames of one port, in sending order: its flows take turns, frame by frame."""

    def __init__(self, flows: tuple[int, ...], room: int) -> None:
        turns = len(flows)
        slots = np.arange(room + turns)
        self._turns = turns
        self._heads: U64 = np.array([head(flow) for flow in flows], np.uint64)[slots % turns]
        self._rounds: U64 = (slots // turns).astype(np.uint64)
        self._ready: U64 = self._heads + self._rounds

    def write(self, words: U64, position: int) -> None:
        """Write `words`, shape (m,), for the frames from number `position` of the port on."""
        first, count = position % self._turns, len(words)
        base = position // self._turns % SEQUENCES
        rows = slice(first, first + count)
        if base + len(self._rounds) < SEQUENCES:
            np.add(self._ready[rows], np.uint64(base), out=words)
        else:
            words[:] = self._heads[rows] + (self._rounds[rows] + np.uint64(base)) % np.uint64(SEQUENCES)

    def sent(self, turn: int, position: int) -> int:
        """Return how many of the first `position` frames of the port were the flow's whose turn is `turn`."""
        return (position - turn + self._turns - 1) // self._turns
