"""What the ends of a memif say until the rings run, as dialogues: a message in, an answer out, no socket in sight.

server  HELLO            ACK               ACK             ACK           CONNECTED
client          INIT          ADD_REGION      ADD_RING ...      CONNECT
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.memif_messages import (
    ETHERNET,
    TO_SERVER,
    VERSION,
    Ack,
    AddRegion,
    AddRing,
    Connect,
    Connected,
    Hello,
    Init,
    Message,
    text,
)
from pytest_nfv.rings.memif_options import MemifOptions
from pytest_nfv.rings.memif_ring import COOKIE, HEADER_OCTETS, SLOT_OCTETS, ring_octets
from pytest_nfv.rings.port import U8

OUR_NAME = b"pytest-nfv"
REGIONS_MAX = 256
REGION_OCTETS_MAX = 1 << 32  # offsets have 32 bits
LOG2_SLOTS_MAX = 15


class Said(NamedTuple):
    """A message with the descriptors that come along; as received, whoever takes it closes them."""

    message: Message
    descriptors: tuple[int, ...] = ()


Dialogue = Generator[Said | None, Said, Said | None]
"""Yields what to say, None to only listen; is sent what was heard; returns the last word, None for none."""


@dataclass(frozen=True, slots=True)
class RingPlace:
    """Where a ring lies, and its eventfd."""

    to_server: bool
    index: int
    region: int
    offset: int
    slots: int
    event: int

    def within(self, regions: Sequence[U8]) -> U8:
        """Return its memory."""
        return regions[self.region][self.offset : self.offset + ring_octets(self.slots)]


@dataclass(slots=True)
class Agreed:
    """What a client brought."""

    id: int = 0
    regions: list[U8] = field(default_factory=list)
    rings: list[RingPlace] = field(default_factory=list)

    def close(self) -> None:
        """Close the eventfds, let go of the memory; it goes with the last view on it. Safe to call twice."""
        for ring in self.rings:
            os.close(ring.event)
        self.rings, self.regions = [], []


def join(options: MemifOptions, memory: tuple[int, int], rings: Sequence[RingPlace]) -> Dialogue:
    """Speak for a client that brings one region: its descriptor and octets.

    Raises:
        GeneratorError: the server cannot do what is asked, or does not keep to the protocol.
    """
    name = options.name
    hello = _expect(name, (yield None), Hello)
    _check_hello(options, hello)
    descriptor, octets = memory
    init = Init(VERSION, options.id, ETHERNET, options.secret.encode(), OUR_NAME)
    _expect(name, (yield Said(init)), Ack)
    _expect(name, (yield Said(AddRegion(0, octets), (descriptor,))), Ack)
    for ring in rings:
        flags, log2 = TO_SERVER if ring.to_server else 0, ring.slots.bit_length() - 1
        message = AddRing(flags, ring.index, ring.region, ring.offset, log2, 0)
        _expect(name, (yield Said(message, (ring.event,))), Ack)
    _expect(name, (yield Said(Connect(OUR_NAME))), Connected)
    return None


def _check_hello(options: MemifOptions, hello: Hello) -> None:
    peer = f"{options.name}: the server ({text(hello.name)})"
    if not hello.min_version <= VERSION <= hello.max_version:
        raise GeneratorError(f"{peer} speaks memif {hello.min_version:#06x} to {hello.max_version:#06x}, not 2.0")
    found = min(hello.max_to_server_ring, hello.max_to_client_ring) + 1
    if options.queues > found:
        raise GeneratorError(f"{peer} has {found} queues, not {options.queues}")
    most = 1 << min(hello.max_log2_slots, LOG2_SLOTS_MAX)
    for key, slots in (("rx_slots", options.rx_slots), ("tx_slots", options.tx_slots)):
        if slots > most:
            raise GeneratorError(f"{peer} takes rings of up to {most} slots: {key} {slots}")


def serve(wanted: Mapping[int, MemifOptions], name: str, agreed: Agreed) -> Dialogue:
    """Speak for a server that has the interfaces `wanted`, by id; fill `agreed`.

    Raises:
        GeneratorError: the client asks for what is not there, or does not keep to the protocol.
    """
    most = max(options.queues for options in wanted.values()) - 1
    heard = yield Said(Hello(OUR_NAME, VERSION, VERSION, REGIONS_MAX - 1, most, most, LOG2_SLOTS_MAX))
    options = _admit(wanted, name, _expect(name, heard, Init))
    agreed.id = options.id
    name = options.name
    while True:
        heard = yield Said(Ack())
        if isinstance(heard.message, AddRegion):
            agreed.regions.append(map_region(heard.message, heard.descriptors, len(agreed.regions), name))
        elif isinstance(heard.message, AddRing):
            agreed.rings.append(_place_ring(heard.message, heard.descriptors, agreed, options))
        else:
            _expect(name, heard, Connect)
            break
    _check_rings(agreed, options)
    return Said(Connected(OUR_NAME))


def _admit(wanted: Mapping[int, MemifOptions], name: str, init: Init) -> MemifOptions:
    options = wanted.get(init.id)
    if options is None:
        ids = ", ".join(map(str, sorted(wanted)))
        raise GeneratorError(f"{name}: the peer asked for id {init.id}: accepted: {ids}")
    if init.version != VERSION or init.mode != ETHERNET:
        raise GeneratorError(
            f"{options.name}: the peer asked for version {init.version:#06x}, mode {init.mode}: accepted: "
            f"{VERSION:#06x}, {ETHERNET} (Ethernet)"
        )
    if init.secret.partition(b"\0")[0] != options.secret.encode():
        raise GeneratorError(f"{options.name}: the peer does not know the secret")
    return options


M = TypeVar("M", bound=Message)


def _expect(name: str, heard: Said, kind: type[M]) -> M:
    if isinstance(heard.message, kind) and not heard.descriptors:
        return heard.message
    close_all(heard.descriptors)
    along = f" with {len(heard.descriptors)} descriptors" if heard.descriptors else ""
    said = type(heard.message).__name__
    raise GeneratorError(f"{name}: the peer sent {said}{along}: accepted: {kind.__name__}")


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors that came along."""
    for descriptor in descriptors:
        os.close(descriptor)


def map_region(message: AddRegion, descriptors: Sequence[int], number: int, name: str) -> U8:
    """Map a region that the client brings.

    A file that can shrink under its reader would end this process at the next access (SIGBUS), and one of another
    kind could hold it up: only sealed memory is taken.

    Raises:
        GeneratorError: it is not what the protocol allows, or not safe to use.
    """
    try:
        if len(descriptors) != 1 or message.number != number or number >= REGIONS_MAX:
            raise GeneratorError(
                f"{name}: the peer added region {message.number} with {len(descriptors)} descriptors: "
                f"accepted: region {number} of at most {REGIONS_MAX}, with one"
            )
        if not 0 < message.octets <= REGION_OCTETS_MAX:
            raise GeneratorError(
                f"{name}: the peer's region {number} has {message.octets} octets: accepted: to 4 GiB"
            )
        return _map_sealed(descriptors[0], message.octets, f"{name}: the peer's region {number}")
    finally:
        close_all(descriptors)


def _map_sealed(descriptor: int, octets: int, what: str) -> U8:
    try:
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
        found = os.fstat(descriptor).st_size
        if not seals & fcntl.F_SEAL_SHRINK:
            raise GeneratorError(f"{what} can shrink: accepted: a memfd sealed with F_SEAL_SHRINK")
        if found < octets:
            raise GeneratorError(f"{what} is {octets} octets long, its file {found}")
        mapped = mmap.mmap(descriptor, octets, mmap.MAP_SHARED)
    except OSError as error:
        raise GeneratorError(f"{what} cannot be mapped: {error.strerror}: accepted: a sealed memfd") from error
    return np.frombuffer(mapped, np.uint8)


def _place_ring(message: AddRing, descriptors: Sequence[int], agreed: Agreed, options: MemifOptions) -> RingPlace:
    try:
        place = _checked_ring(message, descriptors, agreed, options)
    except GeneratorError:
        close_all(descriptors)
        raise
    os.set_blocking(place.event, False)
    return place


def _checked_ring(
    message: AddRing, descriptors: Sequence[int], agreed: Agreed, options: MemifOptions
) -> RingPlace:
    name = options.name
    if len(descriptors) != 1 or not _is_eventfd(descriptors[0]):
        raise GeneratorError(f"{name}: the peer added a ring without one eventfd")
    to_server = bool(message.flags & TO_SERVER)
    index = sum(ring.to_server == to_server for ring in agreed.rings)
    what = f"{name}: the peer's ring {message.number} {'to' if to_server else 'from'} the server"
    if message.number != index or index >= options.queues:
        raise GeneratorError(f"{what}: accepted: {index} of at most {options.queues}")
    if not 1 <= message.log2_slots <= LOG2_SLOTS_MAX:
        raise GeneratorError(f"{what}: 2**{message.log2_slots} slots: accepted: 2**1 to 2**{LOG2_SLOTS_MAX}")
    slots = 1 << message.log2_slots
    room = len(agreed.regions[message.region]) if message.region < len(agreed.regions) else 0
    if message.offset % 8 or message.offset + ring_octets(slots) > room:
        raise GeneratorError(
            f"{what}: {HEADER_OCTETS} + {slots} x {SLOT_OCTETS} octets at {message.offset} of region "
            f"{message.region}: accepted: on words, and within a region's {room} octets"
        )
    return RingPlace(to_server, index, message.region, message.offset, slots, descriptors[0])


def _is_eventfd(descriptor: int) -> bool:
    return os.readlink(f"/proc/self/fd/{descriptor}") == "anon_inode:[eventfd]"


def _check_rings(agreed: Agreed, options: MemifOptions) -> None:
    ways = [ring.to_server for ring in agreed.rings]
    if not (ways.count(True) == ways.count(False) == options.queues):
        raise GeneratorError(
            f"{options.name}: the peer added {ways.count(True)} rings to the server and {ways.count(False)} from "
            f"it: accepted: {options.queues} each"
        )
    for ring in agreed.rings:
        cookie = int.from_bytes(ring.within(agreed.regions)[:4].tobytes(), "little")
        if cookie != COOKIE:
            raise GeneratorError(
                f"{options.name}: the peer's ring {ring.index} has cookie {cookie:#x}, not {COOKIE:#x}"
            )
    spans: Iterator[tuple[int, int, int]] = iter(
        sorted((ring.region, ring.offset, ring.offset + ring_octets(ring.slots)) for ring in agreed.rings)
    )
    last = next(spans)
    for span in spans:
        if span[0] == last[0] and span[1] < last[2]:
            raise GeneratorError(f"{options.name}: the peer's rings overlap at {span[1]} of region {span[0]}")
        last = span
