"""A vhost-user port as its front end: the driver's side of a virtio-net device that a switch makes.

One memfd holds rings and buffers of all queue pairs: queue 2i is pair i's receive queue, 2i + 1 its transmit
queue. The receive buffers hold whole frames of the MTU, whatever is expected.

What the peer does wrong is an error that names the port. A peer that died is seen by its control socket, one that
stopped polling by frames that it neither returns nor takes for `STOPPED_S`; both by `overruns`, which the engine
calls every 20 ms. One that polls and drops everything looks like a switch that drops everything.
The device drops and counts what finds no receive buffer; here only a ring that was found full is seen, and counts
as one overrun: at least one frame had no room, or would have had none.

Run against DPDK 22.11 testpmd (`net_vhost`, client and server), Open vSwitch 3.1 (`dpdkvhostuser` and
`dpdkvhostuserclient`) and `vhost_user_backend`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from typing import Any

from pytest_nfv.errors import ConfigurationError, GeneratorError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.frames import I64, Frames, Prepared
from pytest_nfv.rings.memory import SharedMemory
from pytest_nfv.rings.port import U8, U64, Arrived
from pytest_nfv.rings.rendezvous import Rendezvous
from pytest_nfv.rings.spread import Gather, Spread
from pytest_nfv.rings.vhost_link import DEVICE_ADDRESS, HEADER, FrontLink, RingPlan
from pytest_nfv.rings.vhost_options import VhostOptions
from pytest_nfv.rings.virtqueue import RingLayout, Virtqueue
from pytest_nfv.rings.virtqueue_driver import Buffers
from pytest_nfv.rings.virtqueue_receive import ReceiveQueue
from pytest_nfv.rings.virtqueue_transmit import TransmitQueue

STOPPED_S = 0.5
ETHERNET_OCTETS = 18  # header and one VLAN tag
_LINE = 64
_NOTHING = -1


def _slot_octets(mtu: int) -> int:
    """An odd number of cache lines, so that slots spread over all sets of the caches."""
    lines = -(-(HEADER + ETHERNET_OCTETS + mtu) // _LINE)
    return (lines | 1) * _LINE


class _Closed:
    """Stands where the queues of a closed port were."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        raise GeneratorError(f"{self._name}: the port is closed")


class VhostUserPort:
    """One front end, of one or several queue pairs."""

    def __init__(self, options: VhostOptions) -> None:
        self._options = options
        self._name = f"vhost_user port {options.socket}"
        self._link: FrontLink | None = None
        self._memory: SharedMemory | None = None
        self._events: list[int] = []
        self._overruns = 0
        self._receivers: list[ReceiveQueue] = []
        self._senders: list[TransmitQueue] = []
        self._place: Rendezvous | None = Rendezvous(options.socket, options.role, self._name)
        try:
            self._allocate()
        except (GeneratorError, OSError) as error:
            self.close()
            if isinstance(error, OSError):
                raise GeneratorError(f"{self._name}: {error.strerror or error}") from error
            raise

    def _allocate(self) -> None:
        self._slot = _slot_octets(self._options.mtu)
        self._layouts = [
            RingLayout.of(slots)
            for _ in range(self._options.queues)
            for slots in (self._options.rx_slots, self._options.tx_slots)
        ]
        self._offsets: list[int] = []
        octets = 0
        for layout in self._layouts:
            self._offsets.append(octets)
            octets += layout.octets + layout.size * self._slot
        self._memory = SharedMemory(octets, self._options.pages, self._name)
        for _ in range(2 * len(self._layouts)):
            self._events.append(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))

    @classmethod
    def open_all(cls, specs: Sequence[PortSpec]) -> tuple[VhostUserPort, ...]:
        """Open one port a spec: all sockets first, as a switch may come to them in any order.

        Raises:
            ConfigurationError: a spec cannot be read.
            GeneratorError: a back end is not there or cannot be used.
        """
        ports: list[VhostUserPort] = []
        try:
            for spec in specs:
                ports.append(cls(VhostOptions.of(spec)))
            for port in ports:
                port.connect()
        except (ConfigurationError, GeneratorError):
            for port in ports:
                port.close()
            raise
        return tuple(ports)

    def connect(self) -> None:
        """Connect, or connect anew; frames that were in the rings are dropped.

        Raises:
            GeneratorError: the back end is not there or cannot be used.
        """
        if self._place is None or self._memory is None:
            raise GeneratorError(f"{self._name}: the port is closed")
        if self._link is not None:
            self._link.close()
            self._link = None
        link = FrontLink(self._place, self._options.queues, self._name)
        try:
            plans = self._lay_out(self._memory, link.header)
            link.start(self._memory, plans)
        except GeneratorError:
            link.close()
            raise
        self._link = link
        for queue in self._receivers:
            queue.open()
        for plan in plans:  # a ring starts with its first kick, even where the device then polls
            os.eventfd_write(plan.kick, 1)

    def _lay_out(self, memory: SharedMemory, header: int) -> list[RingPlan]:
        """Make all rings anew, empty."""
        plans = []
        receivers: list[ReceiveQueue] = []
        senders: list[TransmitQueue] = []
        for index, (layout, offset) in enumerate(zip(self._layouts, self._offsets, strict=True)):
            kick, call = self._events[2 * index : 2 * index + 2]
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(kick)
            area = memory.array[offset : offset + layout.octets + layout.size * self._slot]
            area[: layout.octets] = 0
            ring = Virtqueue.laid_out(layout, area)
            buffers = Buffers(area[layout.octets :], DEVICE_ADDRESS + offset + layout.octets)
            name = f"{self._name}, queue {index}"
            if index % 2:
                senders.append(TransmitQueue(ring, buffers, header, kick, name))
            else:
                receivers.append(ReceiveQueue(ring, buffers, header, kick, name))
            plans.append(RingPlan(layout, offset, kick, call))
        self._overruns += sum(queue.found_full for queue in self._receivers)
        self._receivers, self._senders = receivers, senders
        self._arriving = Gather(receivers)
        self._leaving = senders[0] if len(senders) == 1 else Spread(senders)
        self._watched = [(_NOTHING, time.monotonic())] * len(senders)
        return plans

    def _connected(self) -> None:
        """Be connected, by connecting anew where the back end was restarted meanwhile."""
        if self._link is None or not self._link.open:
            self.connect()

    @property
    def burst_max(self) -> int:
        """A quarter of the transmit ring."""
        return self._leaving.burst_max

    @property
    def receive_slots(self) -> int:
        """Of one queue: the device may put all frames into the same. Fewer with long frames, see `expect`."""
        return min((queue.window for queue in self._receivers), default=self._options.rx_slots)

    def prepare(self, frames: Prepared) -> None:
        """Fill the transmit slots.

        Raises:
            ConfigurationError: frames longer than the MTU allows.
            GeneratorError: the peer is gone, or holds on to frames sent before.
        """
        self._check_fits(Frames.of(frames).longest)
        self._connected()
        self._leaving.prepare(frames)

    def _check_fits(self, octets: int) -> None:
        if octets > self._options.mtu + ETHERNET_OCTETS - 4:
            raise ConfigurationError(
                f"frame size {octets + 4}: accepted on {self._name}: up to {self._options.mtu + 18} octets with "
                f"FCS, as its MTU is {self._options.mtu}"
            )

    def arrange(self, octets: int) -> None:
        """Lay the transmit slots out for frames that are forwarded.

        Raises:
            ConfigurationError: frames longer than the MTU allows.
            GeneratorError: the peer is gone, or holds on to frames sent before.
        """
        self._check_fits(octets)
        self._connected()
        self._leaving.arrange(octets)

    def forward(self, frames: U8, octets: I64) -> int:
        """Copy frames into slots and send them; return how many were taken."""
        return self._leaving.forward(frames, octets)

    def expect(self, octets: int) -> None:
        """Have as many slots with the device as the caches hold of such frames; each holds any frame of the MTU.

        Raises:
            GeneratorError: the peer is gone.
        """
        self._connected()
        for queue in self._receivers:
            queue.narrow(octets)

    def reserve(self, count: int) -> U64:
        """Return the signature words of the next slots."""
        return self._leaving.reserve(count)

    def commit(self, count: int) -> tuple[int, int]:
        """Publish; return (taken, refused)."""
        return self._leaving.commit(count)

    def receive(self, limit: int) -> Arrived | None:
        """Return what arrived."""
        return self._arriving.receive(limit)

    def release(self) -> None:
        """Give the slots back."""
        self._arriving.release()

    def overruns(self) -> int:
        """Return how often the receive ring was found full.

        Raises:
            GeneratorError: the peer is gone, or stopped polling.
        """
        if self._memory is None:
            raise GeneratorError(f"{self._name}: the port is closed")
        if self._link is None or not self._link.open:
            raise GeneratorError(f"{self._name}: the peer is gone: it closed its control socket")
        now = time.monotonic()
        for index, queue in enumerate(self._senders):
            done, held = queue.progress
            before, since = self._watched[index]
            if not held or done != before:
                self._watched[index] = (done if held else _NOTHING, now)
            elif now - since > STOPPED_S:
                raise GeneratorError(
                    f"{self._name}, queue {2 * index + 1}: the peer stopped: it holds {held} frames and returned "
                    f"none since {now - since:.1f} s"
                )
        return self._overruns + sum(queue.found_full for queue in self._receivers)

    def close(self) -> None:
        """Leave the peer, and give memory and descriptors back."""
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._place is not None:
            self._place.close()
            self._place = None
        for event in self._events:
            os.close(event)
        self._events = []
        closed: Any = _Closed(self._name)
        self._arriving, self._leaving = closed, closed
        self._receivers, self._senders = [], []
        if self._memory is not None:
            self._memory.close()
            self._memory = None
