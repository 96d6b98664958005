"""A queue's memory, and a device that knows it but nothing else, for tests of the driver's side."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from pytest_nfv.rings.virtqueue import RingLayout, Virtqueue
from pytest_nfv.rings.virtqueue_driver import Buffers
from pytest_nfv.rings.virtqueue_receive import ReceiveQueue
from pytest_nfv.rings.virtqueue_transmit import TransmitQueue

SIZE = 8
SLOT = 192
HEADER = 12
ADDRESS = 1 << 32
OCTETS = 60


class Rig:
    """A ring, its buffers, and a device that knows the memory but nothing else."""

    def __init__(self, kick: int, size: int = SIZE) -> None:
        layout = RingLayout.of(size)
        self.area = np.zeros(layout.octets, np.uint8)
        self.ring = Virtqueue.laid_out(layout, self.area)
        self.buffers = np.zeros(size * SLOT, np.uint8)
        self.kick, self.size = kick, size
        self.taken = self.given = 0

    def sender(self) -> TransmitQueue:
        return TransmitQueue(self.ring, Buffers(self.buffers, ADDRESS), HEADER, self.kick, "port p, queue 1")

    def receiver(self) -> ReceiveQueue:
        queue = ReceiveQueue(self.ring, Buffers(self.buffers, ADDRESS), HEADER, self.kick, "port p, queue 0")
        queue.open()
        return queue

    def available(self) -> list[int]:
        """Take what the driver made available."""
        index = self.ring.available[1]
        heads = []
        while self.taken & 0xFFFF != index:
            heads.append(int(self.ring.heads[self.taken % self.size]))
            self.taken += 1
        return heads

    def buffer(self, head: int) -> np.ndarray:
        address, octets, _, _ = self.ring.descriptors[head].item()
        return self.buffers[address - ADDRESS : address - ADDRESS + octets]

    def give_back(self, entries: list[tuple[int, int]]) -> None:
        for head, octets in entries:
            self.ring.used[self.given % self.size] = head | octets << 32
            self.given += 1
        self.ring.returned[1] = self.given & 0xFFFF


@contextmanager
def a_rig(size: int = SIZE) -> Iterator[Rig]:
    kick = os.eventfd(0, os.EFD_NONBLOCK)
    try:
        yield Rig(kick, size)
    finally:
        os.close(kick)
