"""What both directions of the driver's side of a queue share.

Entry i of the table is slot i's buffer for good, and the rings are entered in order, so that next to nothing is
written: a transmit batch costs its signatures and the index (`virtqueue_transmit`), a receive batch that is given
back the index (`virtqueue_receive`).

What the device returns is compared with what it was given. In order and of one length, as poll-mode devices do
it, that is one comparison a batch; any other legal return is sorted out; an illegal one is an error.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.port import U8, U64
from pytest_nfv.rings.virtqueue import QUIET, Virtqueue, fence

LOW = np.uint64(0xFFFFFFFF)
"""The half of a used entry that names the buffer."""


@dataclass(frozen=True, slots=True)
class Buffers:
    """Slots of equal size, one behind the other.

    Attributes:
        area: shape (octets,), the memory; address: where the device sees its start.
    """

    area: U8
    address: int

    def addresses(self, slots: int, stride: int, lead: int) -> U64:
        """Return where the device finds octet `lead` of each slot of `stride` octets."""
        return np.uint64(self.address + lead) + np.arange(slots, dtype=np.uint64) * np.uint64(stride)


class Doorbell:
    """The eventfd by which the device is told, where it asks for that, that something was made available."""

    def __init__(self, ring: Virtqueue, fd: int) -> None:
        self._flags = ring.returned
        self._fd = fd

    def ring(self) -> None:
        """Tell, unless the device polls."""
        fence()
        if not self._flags[0] & QUIET:
            with contextlib.suppress(BlockingIOError):  # the counter is full: it was told often enough
                os.eventfd_write(self._fd, 1)


def check_heads(heads: U64, out: npt.NDArray[np.bool_], name: str) -> None:
    """Check that `heads` are entries which the device has, each once; `out` says which, by slot.

    Raises:
        GeneratorError: names the first that is not.
    """
    beyond = heads >= len(out)
    if beyond.any():
        wrong, why = int(heads[beyond.argmax()]), f"the ring has {len(out)} entries"
    elif not out[heads].all():
        wrong, why = int(heads[out[heads].argmin()]), "it was not given to it"
    elif np.bincount(heads.astype(np.int64), minlength=1).max() > 1:
        wrong, why = int(np.bincount(heads.astype(np.int64)).argmax()), "it was given to it once"
    else:
        return
    raise GeneratorError(f"{name}: the peer returned entry {wrong}, but {why}")
