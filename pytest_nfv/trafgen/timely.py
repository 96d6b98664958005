"""Time stamps of a trial."""

from __future__ import annotations

import numpy as np

from pytest_nfv.rings.port import U64


def timely(stamps: U64, start_ns: int, now_ns: int) -> bool:
    """Whether all lie between the two; the difference of an earlier one wraps round, and is beyond the second."""
    return bool((stamps - np.uint64(start_ns)).max() <= now_ns - start_ns)
