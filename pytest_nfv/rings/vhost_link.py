"""The front end's control socket: from a connection to running rings, and whether the peer is still there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.memory import SharedMemory
from pytest_nfv.rings.rendezvous import MEET_S, Rendezvous
from pytest_nfv.rings.vhost_messages import (
    F_NET_MQ,
    F_PROTOCOL_FEATURES,
    F_VERSION_1,
    NEED_REPLY,
    P_MQ,
    P_REPLY_ACK,
    REPLY,
    Channel,
    Message,
    Region,
    Request,
    RingAddresses,
    pack_addresses,
    pack_regions,
    pack_state,
    pack_word,
    read_word,
)
from pytest_nfv.rings.virtqueue import RingLayout

REPLY_S = 5.0
DEVICE_ADDRESS = 1 << 32  # where the device shall see our memory: any number, but nothing that tells where it is
HEADER, LEGACY_HEADER = 12, 10


@dataclass(frozen=True, slots=True)
class RingPlan:
    """One ring as the device is told of it: its place in the memory, and its two eventfds."""

    layout: RingLayout
    offset: int
    kick: int
    call: int

    def addresses(self, index: int) -> RingAddresses:
        """Return where its parts lie for the device."""
        start = DEVICE_ADDRESS + self.offset
        layout = self.layout
        return RingAddresses(index, start + layout.descriptors, start + layout.used, start + layout.available)


class FrontLink:
    """One connection to a back end.

    Attributes:
        header: octets before each frame: 12 with VIRTIO_F_VERSION_1, 10 without (virtio 1.2 section 5.1.6).
    """

    def __init__(self, place: Rendezvous, queues: int, name: str, wait_s: float = MEET_S) -> None:
        """Meet the back end and agree on features.

        Raises:
            GeneratorError: no back end, one that does not answer, or one with too few queues.
        """
        self._name = name
        self._queues = queues
        self._protocol = 0
        self._channel = Channel(place.meet(wait_s), name)
        try:
            self._agree()
        except GeneratorError:
            self._channel.close()
            raise

    def _agree(self) -> None:
        self._tell(Request.SET_OWNER)
        offered = self._ask(Request.GET_FEATURES)
        features = offered & (F_VERSION_1 | F_PROTOCOL_FEATURES)
        if features & F_PROTOCOL_FEATURES:
            protocol = self._ask(Request.GET_PROTOCOL_FEATURES)
            self._tell(Request.SET_PROTOCOL_FEATURES, pack_word(protocol & (P_MQ | P_REPLY_ACK)))
            self._protocol = protocol & (P_MQ | P_REPLY_ACK)
        if self._queues > 1:
            found = self._ask(Request.GET_QUEUE_NUM) if self._protocol & P_MQ and offered & F_NET_MQ else 1
            if found < self._queues:
                raise GeneratorError(f"{self._name}: queues {self._queues}: the peer offers {found}")
            features |= F_NET_MQ
        self._features = features
        self.header = HEADER if features & F_VERSION_1 else LEGACY_HEADER

    def start(self, memory: SharedMemory, rings: Sequence[RingPlan]) -> None:
        """Hand the memory and all rings over; they run when this returns.

        Raises:
            GeneratorError: the back end refused, or went away.
        """
        self._tell(Request.SET_FEATURES, pack_word(self._features))
        table = pack_regions([Region(DEVICE_ADDRESS, len(memory.array), DEVICE_ADDRESS, 0)])
        self._tell(Request.SET_MEM_TABLE, table, (memory.fd,))
        for index, ring in enumerate(rings):
            self._tell(Request.SET_VRING_NUM, pack_state(index, ring.layout.size))
            self._tell(Request.SET_VRING_BASE, pack_state(index, 0))
            self._tell(Request.SET_VRING_ADDR, pack_addresses(ring.addresses(index)))
            self._tell(Request.SET_VRING_CALL, pack_word(index), (ring.call,))
            self._tell(Request.SET_VRING_KICK, pack_word(index), (ring.kick,))
        if self._features & F_PROTOCOL_FEATURES:
            for index in range(len(rings)):
                self._tell(Request.SET_VRING_ENABLE, pack_state(index, 1))
        self._ask(Request.GET_FEATURES)  # messages are worked off in order: with the answer the rings run

    def _tell(self, request: Request, payload: bytes = b"", descriptors: Sequence[int] = ()) -> None:
        acknowledged = bool(self._protocol & P_REPLY_ACK)
        self._channel.send(request, payload, descriptors, NEED_REPLY if acknowledged else 0)
        if acknowledged and (status := self._answer(request)):
            raise GeneratorError(f"{self._name}: the peer refused {request.name}: status {status}")

    def _ask(self, request: Request) -> int:
        self._channel.send(request)
        return self._answer(request)

    def _answer(self, request: Request) -> int:
        message: Message = self._channel.receive(REPLY_S)
        for descriptor in message.descriptors:
            os.close(descriptor)
        if message.request != request or not message.flags & REPLY or message.descriptors:
            raise GeneratorError(
                f"{self._name}: the peer answered {request.name} with {message.name}, flags {message.flags:#x}, "
                f"{len(message.descriptors)} descriptors"
            )
        return read_word(message)

    @property
    def open(self) -> bool:
        """Whether the back end is still connected."""
        return self._channel.open

    def close(self) -> None:
        """End the connection; the back end stops its rings."""
        self._channel.close()
