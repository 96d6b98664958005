"""The messages of a vhost-user control socket, as QEMU's `docs/interop/vhost-user.rst` has them; their channel.

`u32 request, u32 flags, u32 size, payload`; descriptors travel beside the header as SCM_RIGHTS.
"""

from __future__ import annotations

import array
import os
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from pytest_nfv.errors import GeneratorError

VERSION, VERSION_MASK = 1, 3
REPLY, NEED_REPLY = 1 << 2, 1 << 3
NO_DESCRIPTOR = 1 << 8
PAYLOAD_MAX = 4096
REGIONS_MAX = 8

F_NET_MRG_RXBUF = 1 << 15
F_NET_MQ = 1 << 22
F_PROTOCOL_FEATURES = 1 << 30
F_VERSION_1 = 1 << 32
P_MQ, P_REPLY_ACK = 1 << 0, 1 << 3

_HEADER = struct.Struct("<III")
_REGION = struct.Struct("<QQQQ")
_ADDRESSES = struct.Struct("<IIQQQQ")
_STATE = struct.Struct("<II")
_WORD = struct.Struct("<Q")


class Request(IntEnum):
    """What the front end may ask; those that this package sends or answers."""

    GET_FEATURES = 1
    SET_FEATURES = 2
    SET_OWNER = 3
    RESET_OWNER = 4
    SET_MEM_TABLE = 5
    SET_VRING_NUM = 8
    SET_VRING_ADDR = 9
    SET_VRING_BASE = 10
    GET_VRING_BASE = 11
    SET_VRING_KICK = 12
    SET_VRING_CALL = 13
    SET_VRING_ERR = 14
    GET_PROTOCOL_FEATURES = 15
    SET_PROTOCOL_FEATURES = 16
    GET_QUEUE_NUM = 17
    SET_VRING_ENABLE = 18


class Closed(GeneratorError):
    """The other end of the control socket is gone."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it arrived; whoever takes it owns its descriptors.

    Attributes:
        port: the port that it came to, for texts.
    """

    request: int
    flags: int
    payload: bytes
    descriptors: tuple[int, ...] = ()
    port: str = ""

    @property
    def told(self) -> str:
        """The port and the request's name, for texts."""
        return f"{self.port}: {self.name}" if self.port else self.name

    @property
    def name(self) -> str:
        """The request's name, for texts."""
        return Request(self.request).name if self.request in set(Request) else f"request {self.request}"


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the front end's memory: where it lies for the guest, for the front end, and in its file."""

    guest: int
    octets: int
    user: int
    offset: int


@dataclass(frozen=True, slots=True)
class RingAddresses:
    """Where the three parts of a ring lie, in the front end's addresses."""

    index: int
    descriptors: int
    used: int
    available: int


def pack(request: int, payload: bytes, flags: int = 0) -> bytes:
    """Return a message's octets."""
    return _HEADER.pack(request, VERSION | flags, len(payload)) + payload


def pack_word(value: int) -> bytes:
    """Return a payload of one word."""
    return _WORD.pack(value)


def pack_state(index: int, number: int) -> bytes:
    """Return a ring's index with a number."""
    return _STATE.pack(index, number)


def pack_addresses(ring: RingAddresses) -> bytes:
    """Return SET_VRING_ADDR's payload, without a log."""
    return _ADDRESSES.pack(ring.index, 0, ring.descriptors, ring.used, ring.available, 0)


def pack_regions(regions: Sequence[Region]) -> bytes:
    """Return SET_MEM_TABLE's payload."""
    parts = [_REGION.pack(one.guest, one.octets, one.user, one.offset) for one in regions]
    return _STATE.pack(len(regions), 0) + b"".join(parts)


def read_word(message: Message) -> int:
    """Return the one word of a payload."""
    return int(_unpack(_WORD, message)[0])


def read_state(message: Message) -> tuple[int, int]:
    """Return a ring's index and a number."""
    index, number = _unpack(_STATE, message)
    return int(index), int(number)


def read_addresses(message: Message) -> RingAddresses:
    """Return where a ring lies."""
    index, _, descriptors, used, available, _ = _unpack(_ADDRESSES, message)
    return RingAddresses(index, descriptors, used, available)


def read_regions(message: Message) -> tuple[Region, ...]:
    """Return the memory table.

    Raises:
        GeneratorError: its number of regions is not what it holds, nor that of the descriptors.
    """
    count = int.from_bytes(message.payload[:4], "little")
    room = _STATE.size + count * _REGION.size
    if not 1 <= count <= REGIONS_MAX or len(message.payload) < room or len(message.descriptors) != count:
        raise GeneratorError(
            f"{message.told} of {count} regions in {len(message.payload)} octets with {len(message.descriptors)} "
            f"descriptors: accepted: 1 to {REGIONS_MAX} regions with a descriptor each"
        )
    return tuple(Region(*parts) for parts in _REGION.iter_unpack(message.payload[_STATE.size : room]))


def _unpack(layout: struct.Struct, message: Message) -> tuple[int, ...]:
    if len(message.payload) != layout.size:
        raise GeneratorError(f"{message.told} of {len(message.payload)} octets: accepted: {layout.size}")
    return layout.unpack(message.payload)


class Channel:
    """A connected control socket."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._socket = connection
        self._name = name

    def fileno(self) -> int:
        """Return the socket's descriptor, to wait on."""
        return self._socket.fileno()

    def send(self, request: int, payload: bytes = b"", descriptors: Sequence[int] = (), flags: int = 0) -> None:
        """Send a message within a second.

        Raises:
            Closed: the other end is gone or takes nothing.
        """
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        whole = pack(request, payload, flags)
        try:
            self._socket.settimeout(1.0)
            sent = self._socket.sendmsg([whole], rights)
            self._socket.sendall(whole[sent:])
        except OSError as error:
            raise Closed(f"{self._name}: the peer is gone: {error.strerror or error}") from error

    def receive(self, wait_s: float) -> Message:
        """Return the next message.

        Raises:
            Closed: the other end is gone.
            GeneratorError: it said nothing within `wait_s`, or nonsense.
        """
        deadline = time.monotonic() + wait_s
        descriptors: list[int] = []
        try:
            head = self._take(_HEADER.size, deadline, descriptors)
            request, flags, size = _HEADER.unpack(head)
            if flags & VERSION_MASK != VERSION or size > PAYLOAD_MAX:
                raise GeneratorError(
                    f"{self._name}: request {request} with flags {flags:#x} and {size} octets: accepted: version "
                    f"{VERSION} and at most {PAYLOAD_MAX} octets"
                )
            payload = self._take(size, deadline, descriptors)
        except GeneratorError:
            close_all(descriptors)
            raise
        return Message(request, flags, payload, tuple(descriptors), self._name)

    def _take(self, octets: int, deadline: float, descriptors: list[int]) -> bytes:
        taken = b""
        room = socket.CMSG_SPACE(REGIONS_MAX * array.array("i").itemsize)
        while len(taken) < octets:
            try:
                self._socket.settimeout(max(0.001, deadline - time.monotonic()))
                part, rights, flags, _ = self._socket.recvmsg(octets - len(taken), room, socket.MSG_CMSG_CLOEXEC)
            except TimeoutError as error:
                raise GeneratorError(f"{self._name}: the peer did not answer on its control socket") from error
            except OSError as error:
                raise Closed(f"{self._name}: the peer is gone: {error.strerror or error}") from error
            for level, kind, data in rights:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    whole = array.array("i")
                    whole.frombytes(data[: len(data) - len(data) % whole.itemsize])
                    descriptors += whole
            if flags & socket.MSG_CTRUNC or len(descriptors) > REGIONS_MAX:
                raise GeneratorError(f"{self._name}: a message with more than {REGIONS_MAX} descriptors")
            if not part:
                raise Closed(f"{self._name}: the peer closed its control socket")
            taken += part
        return taken

    @property
    def open(self) -> bool:
        """Whether the other end is still there; what it may have sent is left to be read."""
        try:
            self._socket.settimeout(0)
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def close(self) -> None:
        """Close this end; safe to call twice."""
        self._socket.close()


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors that came with a message."""
    for descriptor in descriptors:
        os.close(descriptor)
