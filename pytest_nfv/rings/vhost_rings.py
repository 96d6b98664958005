"""A back end's rings: what the front end said of each so far, and the queue of those that run."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.vhost_link import HEADER, LEGACY_HEADER
from pytest_nfv.rings.vhost_messages import F_PROTOCOL_FEATURES, F_VERSION_1, RingAddresses
from pytest_nfv.rings.vhost_regions import PeerMemory
from pytest_nfv.rings.virtqueue import SIZE_MAX, SIZE_MIN, WRAP, Virtqueue, octets_of
from pytest_nfv.rings.virtqueue_device import DeviceIn, DeviceOut

_EVENTFD = "anon_inode:[eventfd]"


@dataclass(slots=True, eq=False)
class _Ring:
    """One ring; it runs as `queue` once all is known of it."""

    size: int = 0
    base: int = 0
    addresses: RingAddresses | None = None
    kicked: bool = False
    enabled: bool = False
    call: int = -1
    queue: DeviceIn | DeviceOut | None = None


class DeviceRings:
    """The rings of one front end after the other: pair i has ring 2i to the driver and 2i + 1 from it.

    The control socket's thread describes them; whoever owns the port uses the queues that run.
    """

    def __init__(self, pairs: int, name: str) -> None:
        self._pairs, self._name = pairs, name
        self._changed = threading.Condition()
        self._forget()

    def _forget(self) -> None:
        self._features = 0
        self._memory: PeerMemory | None = None
        self._rings = [_Ring() for _ in range(2 * self._pairs)]

    @property
    def header(self) -> int:
        """Octets before each frame (virtio 1.2 section 5.1.6)."""
        return HEADER if self._features & F_VERSION_1 else LEGACY_HEADER

    def sending(self, pair: int) -> DeviceOut | None:
        """Return the queue to the driver, or None while it is down."""
        queue = self._rings[2 * pair].queue
        return queue if isinstance(queue, DeviceOut) else None

    def receiving(self, pair: int) -> DeviceIn | None:
        """Return the queue from the driver, or None while it is down."""
        queue = self._rings[2 * pair + 1].queue
        return queue if isinstance(queue, DeviceIn) else None

    def ready(self) -> bool:
        """Whether the first queue pair is up."""
        return self.sending(0) is not None and self.receiving(0) is not None

    def wait(self, wait_s: float) -> bool:
        """Return whether the first queue pair comes up within `wait_s`."""
        with self._changed:
            return self._changed.wait_for(self.ready, wait_s)

    def size(self, pair: int) -> int:
        """Return the entries of the queue from the driver; 0 while it is down."""
        return self._rings[2 * pair + 1].size if self.receiving(pair) else 0

    def agree(self, features: int) -> None:
        """Go on with these features."""
        self._features = features
        self._renew_all()

    def map(self, memory: PeerMemory) -> None:
        """Go on in this memory."""
        self._memory = memory
        self._renew_all()

    def _ring(self, index: int) -> _Ring:
        if index >= len(self._rings):
            raise GeneratorError(f"{self._name}: ring {index}: accepted: 0 to {len(self._rings) - 1}")
        return self._rings[index]

    def set_size(self, index: int, size: int) -> None:
        """Take the number of entries.

        Raises:
            GeneratorError: no such ring, or no such size.
        """
        if not SIZE_MIN <= size <= SIZE_MAX or size & (size - 1):
            raise GeneratorError(
                f"{self._name}: ring {index} of {size} entries: accepted: a power of two from {SIZE_MIN} "
                f"to {SIZE_MAX}"
            )
        self._stop(self._ring(index))
        self._ring(index).size = size
        self._renew(index)

    def set_addresses(self, addresses: RingAddresses) -> None:
        """Take where the ring lies."""
        self._ring(addresses.index).addresses = addresses
        self._renew(addresses.index)

    def set_base(self, index: int, base: int) -> None:
        """Take where to go on."""
        ring = self._ring(index)
        self._stop(ring)
        ring.base = base & WRAP
        self._renew(index)

    def stop(self, index: int) -> int:
        """Stop the ring; return where it is to go on."""
        ring = self._ring(index)
        self._stop(ring)
        ring.kicked = False
        return ring.base & WRAP

    def kick(self, index: int) -> None:
        """Start the ring, once all else is known: a device that polls needs no kick to go on."""
        self._ring(index).kicked = True
        self._renew(index)

    def enable(self, index: int, enabled: bool) -> None:
        """Let the ring carry frames or not."""
        self._ring(index).enabled = enabled
        self._renew(index)

    def set_call(self, index: int, descriptor: int | None) -> None:
        """Take the eventfd by which to tell the driver, a copy of it.

        Raises:
            GeneratorError: it is something else.
        """
        ring = self._ring(index)
        self._stop(ring)
        _close_call(ring)
        if descriptor is not None:
            if os.readlink(f"/proc/self/fd/{descriptor}") != _EVENTFD:
                raise GeneratorError(f"{self._name}: ring {index}: the descriptor to call by is no eventfd")
            ring.call = os.dup(descriptor)
            os.set_blocking(ring.call, False)
        self._renew(index)

    def _stop(self, ring: _Ring) -> None:
        queue, ring.queue = ring.queue, None
        if queue is not None:
            ring.base = queue.stop()

    def _renew_all(self) -> None:
        for index in range(len(self._rings)):
            self._renew(index)

    def _renew(self, index: int) -> None:
        """Put the ring up as it is described now, or take it down."""
        ring = self._rings[index]
        self._stop(ring)
        enabled = ring.enabled or not self._features & F_PROTOCOL_FEATURES
        if self._memory is None or ring.addresses is None or not (ring.size and ring.kicked and enabled):
            return
        table, available, used = octets_of(ring.size)
        memory, where = self._memory, ring.addresses
        view = Virtqueue(
            ring.size,
            memory.ring_part(where.descriptors, table, 16),
            memory.ring_part(where.available, available, 2),
            memory.ring_part(where.used, used, 4),
        )
        kind = DeviceIn if index % 2 else DeviceOut
        with self._changed:
            ring.queue = kind(view, memory, ring.base, self.header, ring.call, f"{self._name}, queue {index}")
            self._changed.notify_all()

    def drop(self) -> None:
        """Forget the front end."""
        for ring in self._rings:
            self._stop(ring)
            _close_call(ring)
        self._forget()


def _close_call(ring: _Ring) -> None:
    if ring.call >= 0:
        os.close(ring.call)
        ring.call = -1
