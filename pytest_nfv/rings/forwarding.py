"""Ports that send frames which came in elsewhere, as a VNF does: any octets, any lengths, one copy a frame.

A port sends either what was prepared (`Port.prepare`) or what is forwarded; whichever was asked for last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.rings.frames import I64
from pytest_nfv.rings.port import U8, Port

_ODD = np.uint64(0x9E3779B97F4A7C15)


@runtime_checkable
class ForwardingPort(Port, Protocol):
    """A port that a network function can own."""

    def arrange(self, octets: int) -> None:
        """Lay the transmit slots out for frames of up to `octets`, FCS left out, that `forward` brings.

        Raises:
            ConfigurationError: longer than the MTU allows.
            GeneratorError: the peer is gone, or holds on to frames sent before.
        """
        ...

    def forward(self, frames: U8, octets: I64) -> int:
        """Copy frames into the ring and send them; return how many were taken.

        For the others the ring had no room. Where a port has one queue, the first ones are those taken.

        Args:
            frames: shape (n, w), n from 1 on; each row begins with its frame.
            octets: shape (n,), their lengths, at most w and at most what was arranged for.
        """
        ...


class Lengths:
    """What the slots of a ring say of the lengths of their frames, so that it is written only where it changes."""

    def __init__(self, slots: int, stated: int) -> None:
        """All slots of `slots` say `stated`."""
        self._slots = slots
        self._usual, self._run = stated, slots

    def widest(self, octets: I64) -> tuple[int, bool]:
        """Return the longest of a batch, and whether that is what every slot says for every frame of it."""
        if (octets == self._usual).all():
            told = self._run >= self._slots
            self._run += len(octets)
            return self._usual, told
        longest = int(octets.max())
        if int(octets.min()) == longest:
            self._usual, self._run = longest, len(octets)
        else:
            self._run = 0
        return longest, False


def copy_frames(target: U8, frames: U8, width: int) -> None:
    """Copy the first `width` octets of each row: numpy moves an element of that size at once."""
    element = f"V{width}"
    target[:, :width].view(element)[:, 0] = frames[:, :width].view(element)[:, 0]


def picked(frames: U8, rows: I64, width: int) -> U8:
    """Return copies of the first `width` octets of some rows, moved as `copy_frames` does."""
    elements = frames[:, :width].view(f"V{width}")[rows]
    octets: U8 = elements.view(np.uint8)
    return octets


def flow_queue(frames: U8, queues: int) -> I64:
    """Return for each frame which of several queues its flow keeps to: by octets 26 to 37, as 5-tuples have them.

    Frames too short for that go to queue 0.
    """
    if frames.shape[1] < 38:
        return np.zeros(len(frames), np.int64)
    words = frames[:, 26:38].view(np.uint32).astype(np.uint64)
    # Where an address or a port counts up, the lowest bits of these sums stand still; those of a product do not.
    mixed = (words[:, 0] * np.uint64(31) + words[:, 1] * np.uint64(17) + words[:, 2]) * _ODD
    return (mixed >> np.uint64(40)).astype(np.int64) % queues


def forwarding(ports: Sequence[Port], kinds: Sequence[str]) -> tuple[ForwardingPort, ...]:
    """Return the same ports as those of a network function.

    Raises:
        ConfigurationError: one cannot forward; names its kind.
    """
    able: list[ForwardingPort] = []
    for port, kind in zip(ports, kinds, strict=True):
        if not isinstance(port, ForwardingPort):
            raise ConfigurationError(
                f"port kind {kind!r} cannot forward: accepted for a network function: af_packet, af_xdp, "
                "loopback, memif, vhost_user, vhost_user_backend"
            )
        able.append(port)
    return tuple(able)
