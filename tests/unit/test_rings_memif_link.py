"""What the ends of a memif say to each other, and what is not taken from a peer."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.memif_link import Agreed, Dialogue, RingPlace, Said, join, serve
from pytest_nfv.rings.memif_messages import (
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
    pack,
    parse,
)
from pytest_nfv.rings.memif_options import MemifOptions
from pytest_nfv.rings.memif_ring import COOKIE, ring_octets

OPTIONS = MemifOptions("02:00:00:00:00:01", "/run/m.sock", 1500, rx_slots=64, tx_slots=64)
OCTETS = 1 << 16
INIT = Init(VERSION, 0, 0, bytes(24), bytes(32))
REGION = AddRegion(0, OCTETS)
TO, BACK = AddRing(TO_SERVER, 0, 0, 0, 6, 0), AddRing(0, 0, 0, 4096, 6, 0)


def memory(octets: int = OCTETS, seals: int = fcntl.F_SEAL_SHRINK) -> int:
    descriptor = os.memfd_create("region", os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, octets)
    for offset in (0, 4096):
        os.pwrite(descriptor, COOKIE.to_bytes(4, "little"), offset)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


def event() -> int:
    return os.eventfd(0)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture(autouse=True)
def none_stays_open() -> Iterator[None]:
    before = open_descriptors()
    yield
    assert open_descriptors() == before


def last_or_next(dialogue: Dialogue, said: Said) -> Said | None:
    """Say something; return the answer, which may be the last word."""
    try:
        return dialogue.send(said)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # a dialogue returns what it says last


def hear(dialogue: Dialogue, *said: Said) -> Said | None:
    """Say all to a dialogue; return its last answer."""
    answer = next(dialogue)
    for one in said:
        answer = last_or_next(dialogue, one)
    return answer


def served(*said: Said, options: MemifOptions = OPTIONS) -> tuple[Said | None, Agreed]:
    agreed = Agreed()
    try:
        return hear(serve({options.id: options}, "memif", agreed), *said), agreed
    finally:
        agreed.close()


def region(message: AddRegion = REGION, make: Callable[[], int] = memory) -> Said:
    return Said(message, (make(),))


def ring(message: AddRing, make: Callable[[], int] = event) -> Said:
    return Said(message, (make(),))


def test_a_client_says_all_that_a_server_needs() -> None:
    descriptor, events = memory(), (event(), event())
    rings = [RingPlace(True, 0, 0, 0, 64, events[0]), RingPlace(False, 0, 0, 4096, 64, events[1])]
    client, agreed = join(OPTIONS, (descriptor, OCTETS), rings), Agreed()
    server = serve({0: OPTIONS}, "memif", agreed)
    assert next(client) is None
    heard: list[type[Message]] = []
    said: Said | None = next(server)
    while said is not None and not isinstance(said.message, Connected):
        answer = client.send(said)
        assert answer is not None
        heard += [type(said.message), type(answer.message)]
        said = last_or_next(server, Said(parse(pack(answer.message)), tuple(map(os.dup, answer.descriptors))))
    assert heard == [Hello, Init, Ack, AddRegion, Ack, AddRing, Ack, AddRing, Ack, Connect]
    assert said is not None
    assert last_or_next(client, said) is None
    assert [replace(place, event=0) for place in agreed.rings] == [replace(place, event=0) for place in rings]
    assert len(agreed.regions[0]) == OCTETS
    agreed.close()
    for one in (descriptor, *events):
        os.close(one)


def hello(version: int = VERSION, rings: int = 1, log2: int = 10) -> Said:
    return Said(Hello(b"DPDK 22.11".ljust(32, b"\0"), version, version, 255, rings - 1, rings - 1, log2))


@pytest.mark.parametrize(
    ("said", "options", "message"),
    [
        (hello(version=0x100), OPTIONS, r"the server \(DPDK 22.11\) speaks memif 0x0100 to 0x0100, not 2.0"),
        (hello(), replace(OPTIONS, queues=2), "has 1 queues, not 2"),
        (hello(log2=5), OPTIONS, "takes rings of up to 32 slots: rx_slots 64"),
        (Said(Ack()), OPTIONS, "the peer sent Ack: accepted: Hello"),
    ],
)
def test_a_client_takes_no_server_that_cannot(said: Said, options: MemifOptions, message: str) -> None:
    with pytest.raises(GeneratorError, match=f"memif port /run/m.sock id 0: .*{message}"):
        hear(join(options, (0, OCTETS), []), said)


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (INIT._replace(id=3), "asked for id 3: accepted: 0"),
        (INIT._replace(version=1), "asked for version 0x0001, mode 0: accepted: 0x0200, 0"),
        (INIT._replace(mode=1), "mode 1: accepted"),
        (INIT._replace(secret=b"x" * 24), "does not know the secret"),
    ],
)
def test_a_server_admits_only_its_own(init: Init, message: str) -> None:
    with pytest.raises(GeneratorError, match=message):
        served(Said(init))


def file_on_disk() -> int:
    return os.open(__file__, os.O_RDONLY)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (lambda: Said(REGION), "added region 0 with 0 descriptors: accepted: region 0 of at most 256, with one"),
        (lambda: region(REGION._replace(number=1)), "added region 1"),
        (lambda: region(REGION._replace(octets=0)), "has 0 octets"),
        (lambda: region(REGION._replace(octets=1 << 40)), "accepted: to 4 GiB"),
        (lambda: region(REGION._replace(octets=2 * OCTETS)), "is 131072 octets long, its file 65536"),
        (lambda: region(make=lambda: memory(seals=0)), "can shrink: accepted: a memfd sealed with F_SEAL_SHRINK"),
        (lambda: region(make=event), "cannot be mapped"),
        (lambda: region(make=file_on_disk), "region 0 (cannot be mapped|can shrink)"),
    ],
)
def test_memory_that_could_hurt_is_not_taken(said: Callable[[], Said], message: str) -> None:
    with pytest.raises(GeneratorError, match=message):
        served(Said(INIT), said())


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (lambda: Said(TO), "added a ring without one eventfd"),
        (lambda: ring(TO, memory), "added a ring without one eventfd"),
        (lambda: ring(TO._replace(number=1)), "ring 1 to the server: accepted: 0 of at most 1"),
        (lambda: ring(TO._replace(log2_slots=16)), r"2\*\*16 slots: accepted"),
        (lambda: ring(TO._replace(log2_slots=255)), r"2\*\*255 slots: accepted"),
        (lambda: ring(TO._replace(offset=OCTETS - 128)), "within a region's 65536 octets"),
        (lambda: ring(TO._replace(offset=(1 << 32) - 8)), "within a region's 65536 octets"),
        (lambda: ring(TO._replace(offset=4)), "accepted: on words"),
        (lambda: ring(TO._replace(region=1)), "of region 1: accepted: .* within a region's 0 octets"),
    ],
)
def test_a_ring_must_lie_in_its_region(said: Callable[[], Said], message: str) -> None:
    with pytest.raises(GeneratorError, match=message):
        served(Said(INIT), region(), said())


@pytest.mark.parametrize(
    ("rings", "message"),
    [
        ((), "added 0 rings to the server and 0 from it: accepted: 1 each"),
        ((TO,), "added 1 rings to the server and 0 from it"),
        ((TO, BACK._replace(offset=0)), "rings overlap at 0 of region 0"),
        ((TO, BACK._replace(offset=1024)), "cookie 0x0, not 0x3e31f20"),
    ],
)
def test_all_rings_must_be_there(rings: tuple[AddRing, ...], message: str) -> None:
    with pytest.raises(GeneratorError, match=message):
        served(Said(INIT), region(), *map(ring, rings), Said(Connect(b"")))


SMALL = st.integers(0, 3)
GARBAGE = st.one_of(
    st.just(Ack()),
    st.builds(Init, st.sampled_from([VERSION, 0]), SMALL, SMALL, st.just(bytes(24)), st.just(b"")),
    st.builds(AddRegion, SMALL, st.sampled_from([0, 1, 4096, OCTETS, OCTETS + 1, (1 << 64) - 1])),
    st.builds(AddRing, SMALL, SMALL, SMALL, st.integers(0, (1 << 32) - 1), st.integers(0, 255), SMALL),
    st.just(TO),
    st.just(BACK),
    st.just(Connect(b"")),
    st.just(Connected(b"")),
)
MAKERS = st.lists(st.sampled_from([memory, event, file_on_disk, lambda: memory(seals=0)]), max_size=2)


def talk(dialogue: Dialogue, said: list[tuple[Message, list[Callable[[], int]]]]) -> str:
    """Say all; return how it ended."""
    next(dialogue)
    try:
        dialogue.send(Said(INIT))
        for message, makers in said:
            dialogue.send(Said(message, tuple(make() for make in makers)))
    except GeneratorError as error:
        return str(error)
    except StopIteration:
        return "connected"
    return "waiting"


@settings(max_examples=300)
@given(st.lists(st.tuples(GARBAGE, MAKERS), max_size=8))
def test_a_server_survives_any_words(said: list[tuple[Message, list[Callable[[], int]]]]) -> None:
    before = open_descriptors()
    agreed = Agreed()
    end = talk(serve({0: OPTIONS}, "memif", agreed), said)
    assert end == "waiting" or len(agreed.rings) == 2 or end.startswith("memif port /run/m.sock id 0: ")
    for place in agreed.rings:
        assert len(place.within(agreed.regions)) == ring_octets(place.slots)
    agreed.close()
    assert open_descriptors() == before


def test_the_mapped_memory_is_the_clients() -> None:
    descriptor = memory()
    kept, agreed = os.dup(descriptor), Agreed()
    hear(serve({0: OPTIONS}, "memif", agreed), Said(INIT), Said(REGION, (descriptor,)))
    os.pwrite(kept, b"seen", 100)
    os.close(kept)
    assert agreed.regions[0][100:104].tobytes() == b"seen"
    agreed.close()
