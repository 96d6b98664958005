"""What a memif port owns in either role: rings, queues, memory and eventfds."""

from __future__ import annotations

import os
import time
from typing import Protocol

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.memif_buffers import ClientBuffers
from pytest_nfv.rings.memif_client import ClientReceiver, ClientSender, buffer_octets, receive_stride
from pytest_nfv.rings.memif_link import Agreed, RingPlace
from pytest_nfv.rings.memif_options import MemifOptions
from pytest_nfv.rings.memif_ring import COOKIE, Ring, ring_octets
from pytest_nfv.rings.memif_server import ServerReceiver, ServerSender
from pytest_nfv.rings.memory import SharedMemory

STOPPED_S = 0.5
ETHERNET_OCTETS = 18  # header and one VLAN tag


class Watch:
    """Whether a sender's frames are taken."""

    def __init__(self, ring: Ring, sender: ClientSender | ServerSender) -> None:
        self._ring, self._sender = ring, sender
        self._seen, self._since = -1, time.monotonic()

    def look(self) -> None:
        """Raise where frames wait and the peer has not moved for `STOPPED_S`.

        Raises:
            GeneratorError: that is so.
        """
        waiting, theirs, now = self._sender.waiting, self._ring.theirs, time.monotonic()
        if not waiting or theirs != self._seen:
            self._seen, self._since = theirs if waiting else -1, now
        elif now - self._since > STOPPED_S:
            raise GeneratorError(
                f"{self._ring.name}: the peer stopped: {waiting} frames wait and it took none "
                f"since {now - self._since:.1f} s"
            )


class End(Protocol):
    """The memory of one port and its queues, in either role."""

    senders: list[tuple[Ring, ClientSender | ServerSender]]
    receivers: list[ClientReceiver | ServerReceiver]
    receive_slots: int

    def close(self) -> None:
        """Give memory and eventfds back."""
        ...


class ClientEnd:
    """Rings and buffers of the client, in one region."""

    def __init__(self, options: MemifOptions) -> None:
        self.places: list[RingPlace] = []
        self.senders: list[tuple[Ring, ClientSender | ServerSender]] = []
        self.receivers: list[ClientReceiver | ServerReceiver] = []
        self.receive_slots = options.rx_slots
        frame = options.mtu + ETHERNET_OCTETS
        send, receive = options.tx_slots * buffer_octets(frame), options.rx_slots * receive_stride(frame)
        sizes = [ring_octets(options.tx_slots), ring_octets(options.rx_slots), receive, send]
        offsets = [sum(sizes[:part]) for part in range(len(sizes) + 1)]
        self.memory = SharedMemory(options.queues * offsets[-1], options.pages, options.name)
        try:
            for queue in range(options.queues):
                base = queue * offsets[-1]
                self._lay_out(options, queue, [base + offset for offset in offsets[:-1]], send)
        except OSError as error:
            self.close()
            raise GeneratorError(f"{options.name}: {error.strerror or error}") from error

    def _lay_out(self, options: MemifOptions, queue: int, offsets: list[int], send: int) -> None:
        memory = self.memory.array
        tx = self._ring(options, queue, offsets[0], to_server=True)
        rx = self._ring(options, queue, offsets[1], to_server=False)
        self.receivers.append(ClientReceiver(rx, memory, offsets[2], options.mtu + ETHERNET_OCTETS))
        self.senders.append((tx, ClientSender(tx, memory, offsets[3], send)))

    def _ring(self, options: MemifOptions, queue: int, offset: int, *, to_server: bool) -> Ring:
        slots = options.tx_slots if to_server else options.rx_slots
        event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        place = RingPlace(to_server, queue, 0, offset, slots, event)
        self.places.append(place)
        name = f"{options.name}, {'tx' if to_server else 'rx'} queue {queue}"
        ring = Ring(place.within([self.memory.array]), client=True, event=event, name=name)
        ring.cookie[0] = COOKIE
        return ring

    def close(self) -> None:
        """Give memory and eventfds back; safe to call twice."""
        for place in self.places:
            os.close(place.event)
        self.places = []
        self.memory.close()


class ServerEnd:
    """Rings and buffers as the client laid them out."""

    def __init__(self, options: MemifOptions, agreed: Agreed) -> None:
        self._agreed = agreed
        self.senders: list[tuple[Ring, ClientSender | ServerSender]] = []
        self.receivers: list[ClientReceiver | ServerReceiver] = []
        self.receive_slots = min(place.slots for place in agreed.rings if place.to_server)
        for place in agreed.rings:
            name = f"{options.name}, {'rx' if place.to_server else 'tx'} queue {place.index}"
            ring = Ring(place.within(agreed.regions), client=False, event=place.event, name=name)
            buffers = ClientBuffers(ring, agreed.regions)
            if place.to_server:
                self.receivers.append(ServerReceiver(ring, buffers))
            else:
                self.senders.append((ring, ServerSender(ring, buffers)))

    def close(self) -> None:
        """Close the eventfds; the memory goes with the last view on it."""
        self._agreed.close()
