"""The back end's control socket: a thread answers the front end and has its rings put up and down.

It sleeps unless the front end speaks.
"""

from __future__ import annotations

import os
import select
import threading

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.rendezvous import Rendezvous
from pytest_nfv.rings.vhost_messages import (
    F_NET_MQ,
    F_PROTOCOL_FEATURES,
    F_VERSION_1,
    NEED_REPLY,
    NO_DESCRIPTOR,
    P_MQ,
    P_REPLY_ACK,
    REPLY,
    Channel,
    Closed,
    Message,
    Request,
    close_all,
    pack_state,
    pack_word,
    read_addresses,
    read_regions,
    read_state,
    read_word,
)
from pytest_nfv.rings.vhost_regions import PeerMemory
from pytest_nfv.rings.vhost_rings import DeviceRings

_MESSAGE_S = 1.0
_MEET_AGAIN_S = 0.1


class BackService:
    """Serves one front end after the other.

    Attributes:
        rings: its rings; trouble: how it went with the last front end, None while there is one.
    """

    def __init__(self, place: Rendezvous, pairs: int, name: str) -> None:
        self._place, self._pairs, self._name = place, pairs, name
        self._offered = F_VERSION_1 | F_PROTOCOL_FEATURES | (F_NET_MQ if pairs > 1 else 0)
        self._protocol = 0
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._closing = False
        self.rings = DeviceRings(pairs, name)
        self.trouble: str | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closing:
            try:
                connection = self._meet()
            except GeneratorError as error:
                self.trouble = self.trouble or str(error)
                continue
            if connection is None:
                continue
            try:
                self._serve(connection)
            except Closed:
                self.trouble = f"{self._name}: the driver is gone: it closed its control socket"
            except (GeneratorError, OSError) as error:
                self.trouble = str(error)
            finally:
                connection.close()
                self._protocol = 0
                self.rings.drop()

    def _meet(self) -> Channel | None:
        """Return a connection, or None where it is time to look whether to close."""
        if self._place.fileno() >= 0:
            select.select([self._place.fileno(), self._wake], [], [])
            if self._closing:
                return None
        return Channel(self._place.meet(_MEET_AGAIN_S), self._name)

    def _serve(self, channel: Channel) -> None:
        self.trouble = None
        while True:
            select.select([channel.fileno(), self._wake], [], [])
            if self._closing:
                return
            message = channel.receive(_MESSAGE_S)
            try:
                answer = self._handle(message)
            finally:
                close_all(message.descriptors)
            if answer is not None:
                channel.send(message.request, answer, flags=REPLY)
            elif message.flags & NEED_REPLY and self._protocol & P_REPLY_ACK:
                channel.send(message.request, pack_word(0), flags=REPLY)

    def _handle(self, message: Message) -> bytes | None:
        """Do as asked; return the answer where there is one."""
        match message.request:
            case Request.GET_FEATURES:
                return pack_word(self._offered)
            case Request.GET_PROTOCOL_FEATURES:
                return pack_word(P_MQ | P_REPLY_ACK)
            case Request.GET_QUEUE_NUM:
                return pack_word(self._pairs)
            case Request.GET_VRING_BASE:
                index, _ = read_state(message)
                return pack_state(index, self.rings.stop(index))
            case Request.SET_FEATURES:
                self.rings.agree(self._taken(read_word(message), self._offered))
            case Request.SET_PROTOCOL_FEATURES:
                self._protocol = self._taken(read_word(message), P_MQ | P_REPLY_ACK)
            case Request.SET_MEM_TABLE:
                self.rings.map(PeerMemory(read_regions(message), message.descriptors, self._name))
            case Request.RESET_OWNER:
                self.rings.drop()
            case Request.SET_OWNER | Request.SET_VRING_ERR:
                pass  # there is one owner, and no error that is not told here
            case _:
                self._handle_ring(message)
        return None

    def _handle_ring(self, message: Message) -> None:
        match message.request:
            case Request.SET_VRING_NUM:
                self.rings.set_size(*read_state(message))
            case Request.SET_VRING_ADDR:
                self.rings.set_addresses(read_addresses(message))
            case Request.SET_VRING_BASE:
                self.rings.set_base(*read_state(message))
            case Request.SET_VRING_KICK:
                self.rings.kick(self._ring_of(message))
            case Request.SET_VRING_CALL:
                self.rings.set_call(
                    self._ring_of(message), message.descriptors[0] if message.descriptors else None
                )
            case Request.SET_VRING_ENABLE:
                index, enabled = read_state(message)
                self.rings.enable(index, bool(enabled))
            case _:
                raise GeneratorError(f"{self._name}: the peer sent {message.name}, which was not agreed on")

    def _taken(self, features: int, offered: int) -> int:
        if features & ~offered:
            raise GeneratorError(f"{self._name}: the peer takes features {features:#x}: offered: {offered:#x}")
        return features

    def _ring_of(self, message: Message) -> int:
        """Return the ring of a message that may bring a descriptor."""
        word = read_word(message)
        if len(message.descriptors) != (0 if word & NO_DESCRIPTOR else 1):
            raise GeneratorError(
                f"{self._name}: {message.name} {word:#x} with {len(message.descriptors)} descriptors"
            )
        return word & 0xFF

    def close(self) -> None:
        """End the thread; safe to call twice."""
        if self._closing:
            return
        self._closing = True
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        os.close(self._wake)
