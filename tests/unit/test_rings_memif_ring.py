"""Both ends of a memif ring on one piece of memory, and ends whose peer writes what it likes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings import memif_client, memif_server
from pytest_nfv.rings.memif_buffers import ClientBuffers
from pytest_nfv.rings.memif_client import ClientReceiver, ClientSender, buffer_octets, receive_stride
from pytest_nfv.rings.memif_ring import NEXT, Ring, ring_octets
from pytest_nfv.rings.memif_server import ServerReceiver, ServerSender
from pytest_nfv.rings.port import U8, Arrived

SLOTS = 16
FRAME = 1518
BUFFERS = ring_octets(SLOTS)
HEAD, TAIL = 6, 64
WORD = st.integers(0, (1 << 64) - 1)


class Memory:
    """One region with one ring and its buffers."""

    def __init__(self, octets: int) -> None:
        self.octets: U8 = np.zeros(BUFFERS + SLOTS * octets, np.uint8)

    def ring(self, *, client: bool) -> Ring:
        return Ring(self.octets[:BUFFERS], client=client, event=-1, name="memif port m")

    def set_index(self, at: int, value: int) -> None:
        self.octets[at : at + 2] = [value & 0xFF, value >> 8]

    def set_slots(self, words: list[tuple[int, int]]) -> None:
        self.octets[128:BUFFERS].view(np.uint64).reshape(SLOTS, 2)[:] = np.array(words, np.uint64)


class ToServer(Memory):
    """The client sends."""

    def __init__(self) -> None:
        super().__init__(buffer_octets(FRAME))
        self.sender = ClientSender(self.ring(client=True), self.octets, BUFFERS, SLOTS * buffer_octets(FRAME))

    def receiver(self) -> ServerReceiver:
        ring = self.ring(client=False)
        return ServerReceiver(ring, ClientBuffers(ring, [self.octets]))


class ToClient(Memory):
    """The server sends."""

    def __init__(self) -> None:
        super().__init__(receive_stride(FRAME))
        self.receiver = ClientReceiver(self.ring(client=True), self.octets, BUFFERS, FRAME)
        self.receiver.open()

    def sender(self) -> ServerSender:
        ring = self.ring(client=False)
        return ServerSender(ring, ClientBuffers(ring, [self.octets]))


def frames(arrived: Arrived | None) -> list[bytes]:
    if arrived is None:
        return []
    return [row[:n].tobytes() for row, n in zip(arrived.frames, arrived.octets, strict=True)]


def rows(count: int, octets: int = 60) -> U8:
    return (np.arange(octets) + np.arange(count)[:, None]).astype(np.uint8)


def offer(sender: ClientSender | ServerSender, count: int, number: int = 0) -> tuple[int, int]:
    words = sender.reserve(count)
    words[:, 0], words[:, 1] = np.arange(number, number + len(words)), 9
    return sender.commit(len(words))


def expected(templates: U8, numbers: range) -> list[bytes]:
    ends = [number.to_bytes(8, "little") + (9).to_bytes(8, "little") for number in numbers]
    return [templates[n % len(templates)].tobytes()[:-16] + end for n, end in zip(numbers, ends, strict=True)]


@pytest.mark.parametrize("count", [1, 3, 4])
@pytest.mark.parametrize("way", ["client to server", "server to client"])
def test_templates_take_turns_also_over_refused_frames(way: str, count: int) -> None:
    sender: ClientSender | ServerSender
    receiver: ClientReceiver | ServerReceiver
    if way == "client to server":
        there = ToServer()
        there.sender.prepare(rows(count))
        sender, receiver = there.sender, there.receiver()
    else:
        back = ToClient()
        sender, receiver = back.sender(), back.receiver
        sender.prepare(rows(count))
    number = 0
    for _ in range(40):
        taken: list[int] = []
        refused = 0
        while not refused:
            some, refused = offer(sender, 3, number)
            taken += range(number, number + some)
            number += some + refused
        assert len(taken) == SLOTS
        got = []
        while arrived := receiver.receive(5):
            got += frames(arrived)
            receiver.release()
        assert got == [expected(rows(count), range(n, n + 1))[0] for n in taken]
    assert receiver.found_full == 40


def test_a_sender_waits_for_its_frames_before_it_changes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memif_client, "DRAIN_S", 0.01)
    there = ToServer()
    there.sender.prepare(rows(1))
    offer(there.sender, 2)
    with pytest.raises(GeneratorError, match="memif port m: the peer polls no more: it holds 2 frames"):
        there.sender.prepare(rows(1))


def test_a_server_waits_for_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memif_server, "DRAIN_S", 0.01)
    memory = Memory(64)
    ring = memory.ring(client=False)
    with pytest.raises(GeneratorError, match="memif port m: the peer does not poll: it handed out no buffer"):
        ServerSender(ring, ClientBuffers(ring, [memory.octets])).prepare(rows(1))


def test_buffers_anywhere_are_read_and_written() -> None:
    memory = Memory(2048)
    offsets = BUFFERS + 2048 * np.random.default_rng(1).permutation(SLOTS)
    memory.set_slots([(60 << 32, int(offset)) for offset in offsets])
    for number, offset in enumerate(offsets):
        memory.octets[offset : offset + 60] = number
    memory.set_index(HEAD, 7)
    ring = memory.ring(client=False)
    receiver = ServerReceiver(ring, ClientBuffers(ring, [memory.octets]))
    assert frames(receiver.receive(100)) == [bytes([number]) * 60 for number in range(7)]
    receiver.release()
    assert memory.octets[TAIL] == 7

    ring = memory.ring(client=False)
    sender = ServerSender(ring, ClientBuffers(ring, [memory.octets]))
    sender.prepare(rows(1))
    assert offer(sender, 4) == (4, 0)
    assert [memory.octets[o : o + 60].tobytes() for o in offsets[:4]] == expected(rows(1), range(4))


def test_buffers_in_several_regions() -> None:
    memory, other = Memory(2048), np.zeros(4096, np.uint8)
    far = [number % 3 == 2 for number in range(SLOTS)]
    memory.set_slots([(60 << 32 | far[n] << 16, 60 * n if far[n] else BUFFERS + 2048 * n) for n in range(SLOTS)])
    memory.set_index(HEAD, SLOTS)
    ring = memory.ring(client=False)
    sender = ServerSender(ring, ClientBuffers(ring, [memory.octets, other]))
    sender.prepare(rows(1))
    for number in range(0, SLOTS, 4):
        assert offer(sender, 4, number) == (4, 0)
    memory.set_index(TAIL, 0)
    ring = memory.ring(client=False)
    receiver = ServerReceiver(ring, ClientBuffers(ring, [memory.octets, other]))
    got = []
    while arrived := receiver.receive(100):
        got += frames(arrived)
        receiver.release()
    assert got == expected(rows(1), range(SLOTS))


def test_a_short_buffer_at_the_end_of_a_region_is_read_to_its_end_only() -> None:
    memory = Memory(100)
    end = len(memory.octets)
    memory.octets[end - 20 :] = 7
    memory.set_slots([(60 << 32, BUFFERS), (20 << 32, end - 20)] + [(0, 0)] * (SLOTS - 2))
    memory.set_index(HEAD, 2)
    ring = memory.ring(client=False)
    receiver = ServerReceiver(ring, ClientBuffers(ring, [memory.octets]))
    assert frames(receiver.receive(9)) == [bytes(60), bytes([7]) * 20]


@pytest.mark.parametrize("first", [0, SLOTS - 1])
def test_a_frame_in_several_buffers_is_put_together(first: int) -> None:
    for client in (True, False):
        back = ToClient()
        receiver: ClientReceiver | ServerReceiver = back.receiver
        if not client:
            ring = back.ring(client=False)
            receiver = ServerReceiver(ring, ClientBuffers(ring, [back.octets]))
            back.set_index(HEAD, 0)
        theirs = TAIL if client else HEAD
        slots = back.octets[128:BUFFERS].view(np.uint64).reshape(SLOTS, 2)
        slots[:, 0] = 10 << 32
        for slot in range(SLOTS):
            start = int(slots[slot, 1])
            back.octets[start : start + 10] = slot
        for number in range(first):
            back.set_index(theirs, number + 1)
            assert receiver.receive(1) is not None
            receiver.release()
        slots[:, 0] = 10 << 32
        for part in (first, (first + 1) % SLOTS):
            slots[part, 0] |= NEXT
        back.set_index(theirs, first + 4)
        parts = [(first + n) % SLOTS for n in range(4)]
        assert frames(receiver.receive(64)) == [b"".join(bytes([p]) * 10 for p in parts[:3])]
        receiver.release()
        assert frames(receiver.receive(64)) == [bytes([parts[3]]) * 10]


def test_a_frame_that_does_not_end_is_an_error() -> None:
    back = ToClient()
    back.octets[128:BUFFERS].view(np.uint64)[::2] = 10 << 32 | NEXT
    back.set_index(TAIL, 3)
    with pytest.raises(GeneratorError, match="memif port m: the peer sent a frame of 3 slots that does not end"):
        back.receiver.receive(1)


def test_a_buffer_too_small_for_the_frame_is_an_error() -> None:
    back = ToClient()
    back.octets[128:BUFFERS].view(np.uint64)[::2] = 59 << 32
    sender = back.sender()
    sender.prepare(rows(1))
    with pytest.raises(GeneratorError, match="handed out a buffer of 59 octets: accepted: 60 and more"):
        offer(sender, 1)


@given(st.integers(0, 65_535), st.integers(0, SLOTS))
def test_an_index_never_goes_back_nor_further_than_the_ring(index: int, before: int) -> None:
    memory = Memory(64)
    ring = memory.ring(client=False)
    memory.set_index(HEAD, before)
    assert ring.mine() == before
    memory.set_index(HEAD, index)
    if before <= index <= SLOTS:
        assert ring.mine() == index
    else:
        with pytest.raises(GeneratorError, match=f"set its index to {index}: accepted: {before} to {SLOTS}"):
            ring.mine()


@given(st.integers(0, 65_535))
def test_indices_wrap(start: int) -> None:
    memory = Memory(64)
    ring = memory.ring(client=True)
    ring.advance(start)
    memory.set_index(TAIL, start)
    assert ring.mine() == SLOTS
    ring.advance(SLOTS)
    assert ring.mine() == 0
    memory.set_index(TAIL, (start + 3) & 0xFFFF)
    assert ring.mine() == 3
    memory.set_index(TAIL, (start + SLOTS + 1) & 0xFFFF)
    with pytest.raises(GeneratorError, match="set its index"):
        ring.mine()


WORDS = st.one_of(
    st.tuples(WORD, WORD),
    st.tuples(
        st.builds(
            lambda length, bits: length << 32 | bits, st.integers(0, 4000), st.sampled_from([0, 0, NEXT, 1 << 16])
        ),
        st.integers(0, 20_000),
    ),
)
GARBAGE = st.lists(WORDS, min_size=SLOTS, max_size=SLOTS)


def every(receiver: ClientReceiver | ServerReceiver) -> list[bytes] | str:
    """Take all there is, for as long as a ring could have any; return it, or the error."""
    got = []
    try:
        for _ in range(SLOTS):
            got += frames(receiver.receive(5))
            receiver.release()
    except GeneratorError as error:
        return str(error)
    return got


def server_memory(words: list[tuple[int, int]], moved: int) -> tuple[Ring, U8]:
    """Return a ring full of `words`, and a region of buffers."""
    memory = Memory(0)
    memory.set_slots(words)
    memory.set_index(HEAD, moved)
    return memory.ring(client=False), (np.arange(20_000) % 251).astype(np.uint8)


@given(GARBAGE, st.integers(0, SLOTS))
def test_a_client_reads_no_further_than_its_buffers(words: list[tuple[int, int]], filled: int) -> None:
    back = ToClient()
    back.set_slots(words)
    back.set_index(TAIL, filled)
    got = every(back.receiver)
    if isinstance(got, str):
        assert got.startswith("memif port m: the peer ")
    else:
        assert sum(map(len, got)) == sum(head >> 32 for head, _ in words[:filled])


@given(GARBAGE, st.integers(0, SLOTS))
def test_a_server_reads_no_further_than_the_region(words: list[tuple[int, int]], filled: int) -> None:
    ring, region = server_memory(words, filled)
    got = every(ServerReceiver(ring, ClientBuffers(ring, [region])))
    if isinstance(got, str):
        assert got.startswith("memif port m: the peer ")
    else:
        places = [(low & 0xFFFFFFFF, head >> 32) for head, low in words[:filled]]
        assert b"".join(got) == b"".join(region[start : start + size].tobytes() for start, size in places)


def send_all(sender: ServerSender) -> int | str:
    """Send until the ring is full; return how many frames were taken, or the error."""
    taken = refused = 0
    try:
        while not refused:
            some, refused = offer(sender, 4)
            taken += some
    except GeneratorError as error:
        return str(error)
    return taken


@given(GARBAGE, st.integers(1, SLOTS))
def test_a_server_writes_only_where_it_is_told(words: list[tuple[int, int]], offered: int) -> None:
    ring, region = server_memory(words, offered)
    before = region.copy()
    sender = ServerSender(ring, ClientBuffers(ring, [region]))
    sender.prepare(np.full((1, 60), 255, np.uint8))
    taken = send_all(sender)
    if isinstance(taken, str):
        assert taken.startswith("memif port m: the peer ")
    else:
        assert taken == offered
    told = np.zeros(len(region), np.bool_)
    for _, low in words[:offered]:
        told[low & 0xFFFFFFFF :][:60] = True
    assert np.array_equal(region[~told], before[~told])
