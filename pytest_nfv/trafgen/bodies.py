"""Whether frames have the octets that they must have, many frames at a time.

Frames lie one slot apart. Compared there, numpy writes an octet of answer for each octet compared, which for long
frames is as much memory again; copied side by side, a piece that the caches hold at a time, one memcmp(3) does.
"""

from __future__ import annotations

import numpy as np

from pytest_nfv.rings.port import U8

PIECE_OCTETS = 1 << 16
SMALL_OCTETS = 1 << 12
"""What is compared in place: to copy would not pay."""


class Body:
    """The octets that are alike in all frames of a flow, shape (octets,)."""

    def __init__(self, octets: U8) -> None:
        self.octets: U8 = octets.copy()
        self._rows = max(1, PIECE_OCTETS // max(1, len(octets)))
        self._wanted = self.octets.tobytes() * self._rows
        self._piece = bytearray(self._wanted)
        self._side_by_side: U8 = np.frombuffer(self._piece, np.uint8).reshape(self._rows, len(octets))

    def __len__(self) -> int:
        return len(self.octets)

    def is_of_all(self, frames: U8) -> bool:
        """Say whether all frames, shape (n, octets or more), begin with it."""
        length = len(self.octets)
        if frames.shape[0] * length <= SMALL_OCTETS:
            return bool((frames[:, :length] == self.octets).all())
        for first in range(0, len(frames), self._rows):
            rows = frames[first : first + self._rows, :length]
            # Rows behind a shorter piece still hold what the piece before had, which was equal.
            self._side_by_side[: len(rows)] = rows
            if self._piece != self._wanted:
                self._piece[:] = self._wanted
                return False
        return True
