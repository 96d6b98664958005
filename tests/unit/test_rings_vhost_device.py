"""The device's side of a queue against drivers that behave, in each of their styles, and that write garbage."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.vhost_messages import Region
from pytest_nfv.rings.vhost_regions import PeerMemory
from pytest_nfv.rings.virtqueue import NEXT, WRITE, Virtqueue, octets_of
from pytest_nfv.rings.virtqueue_device import DeviceIn, DeviceOut

SIZE = 8
HEADER = 12
REGION = 8192
GUEST = (0x10000, 0x80000)
USER = 0x7F0000000000
BUFFERS = 4096  # where buffers begin in a region


class Driver:
    """Two regions of memory, a ring in the first, and pens to write it with."""

    def __init__(self) -> None:
        self.files = [os.memfd_create("peer") for _ in GUEST]
        for fd in self.files:
            os.ftruncate(fd, REGION)
        regions = [Region(guest, REGION, USER + guest, 0) for guest in GUEST]
        self.memory = PeerMemory(regions, self.files, "port p")
        table, available, used = octets_of(SIZE)
        base = USER + GUEST[0]
        self.ring = Virtqueue(
            SIZE,
            self.memory.ring_part(base, table, 16),
            self.memory.ring_part(base + 256, available, 2),
            self.memory.ring_part(base + 512, used, 4),
        )
        self.call = os.eventfd(0, os.EFD_NONBLOCK)
        self.made = 0

    def close(self) -> None:
        for fd in (*self.files, self.call):
            os.close(fd)

    def device_in(self) -> DeviceIn:
        return DeviceIn(self.ring, self.memory, 0, HEADER, self.call, "port p, queue 1")

    def device_out(self) -> DeviceOut:
        return DeviceOut(self.ring, self.memory, 0, HEADER, self.call, "port p, queue 0")

    def octets(self, address: int, count: int) -> np.ndarray:
        part: np.ndarray = self.memory.ring_part(address + USER, count, 1)
        return part

    def chain(self, pieces: list[tuple[int, int]], flags: int, first: int = 0) -> int:
        """Describe a buffer in the entries from `first` on; return its head."""
        for at, (address, octets) in enumerate(pieces):
            more = NEXT if at < len(pieces) - 1 else 0
            self.ring.descriptors[first + at] = (address, octets, flags | more, first + at + 1 if more else 0)
        return first

    def offer(self, *heads: int) -> None:
        for head in heads:
            self.ring.heads[self.made % SIZE] = head
            self.made += 1
        self.ring.available[1] = self.made & 0xFFFF

    def used(self) -> list[tuple[int, int]]:
        return [(int(word) & 0xFFFFFFFF, int(word) >> 32) for word in self.ring.used[: self.ring.returned[1]]]


@contextmanager
def a_driver() -> Iterator[Driver]:
    one = Driver()
    try:
        yield one
    finally:
        one.close()


@pytest.fixture
def driver() -> Iterator[Driver]:
    with a_driver() as one:
        yield one


FRAME = np.arange(1, 101, dtype=np.uint8)
START = GUEST[0] + BUFFERS
STYLES = {
    "one descriptor": [(START, HEADER + 100)],
    "header and frame": [(START, HEADER), (START + 500, 100)],
    "frame in another region": [(START, HEADER), (GUEST[1] + 7, 100)],
    "at the end of its region": [(GUEST[0] + REGION - HEADER - 100, HEADER + 100)],
    "at the start of its region": [(START, HEADER), (GUEST[1], 100)],
    "header in two": [(START, 5), (START + 99, HEADER - 5 + 60), (GUEST[1], 40)],
    "three pieces": [(START, HEADER + 10), (START + 200, 40), (START + 400, 50)],
}


@pytest.mark.parametrize("pieces", STYLES.values(), ids=STYLES)
def test_a_frame_is_taken_however_it_is_described(driver: Driver, pieces: list[tuple[int, int]]) -> None:
    whole = np.r_[np.zeros(HEADER, np.uint8), FRAME]
    for address, octets in pieces:
        driver.octets(address, octets)[:] = whole[:octets]
        whole = whole[octets:]
    queue = driver.device_in()
    driver.offer(driver.chain(pieces, 0))
    taken = queue.take(10, 4, 104)
    assert taken is not None
    rows, lengths = taken
    assert lengths.tolist() == [100]
    assert rows[0, 4:].tolist() == FRAME.tolist()
    assert driver.used() == [(0, 0)]


@pytest.mark.parametrize("pieces", STYLES.values(), ids=STYLES)
def test_a_frame_is_put_however_the_buffer_is_described(driver: Driver, pieces: list[tuple[int, int]]) -> None:
    queue = driver.device_out()
    driver.offer(driver.chain(pieces, WRITE))
    row = np.r_[np.zeros(HEADER, np.uint8), FRAME]
    assert queue.put(np.stack([row, row])) == 1
    written = np.concatenate([driver.octets(address, octets) for address, octets in pieces])
    assert written.tolist() == row.tolist()
    assert driver.used() == [(0, HEADER + 100)]


def test_styles_may_be_mixed_in_a_batch(driver: Driver) -> None:
    queue = driver.device_in()
    for first, pieces in ((0, [(START, HEADER + 9)]), (1, [(START, HEADER), (START + 1, 30)]), (3, [(START, 40)])):
        driver.chain(pieces, 0, first)
    driver.chain([(START, 6), (START + 1, 6), (START + 50, 20)], 0, 4)
    driver.offer(3, 4, 1, 0)
    taken = queue.take(10, 0, 64)
    assert taken is not None
    assert taken[1].tolist() == [28, 20, 30, 9]


def test_a_longer_frame_keeps_its_length(driver: Driver) -> None:
    queue = driver.device_in()
    driver.chain([(START, HEADER + 1000)], 0, 0)
    driver.chain([(START, 6), (START + 50, 2000)], 0, 1)
    driver.offer(0, 1)
    taken = queue.take(10, 0, 64)
    assert taken is not None
    assert taken[1].tolist() == [1000, 1994]
    assert taken[0].shape == (2, 64)


def test_a_stopped_queue_is_left_alone(driver: Driver) -> None:
    queue = driver.device_in()
    driver.chain([(START, HEADER + 60)], 0)
    driver.offer(0, 0, 0)
    assert queue.take(2, 0, 64) is not None
    assert queue.stop() == 2
    assert queue.take(10, 0, 64) is None
    assert driver.ring.returned[1] == 2


def test_a_driver_that_sleeps_is_told_and_one_that_polls_is_not(driver: Driver) -> None:
    queue = driver.device_in()
    driver.chain([(START, HEADER + 60)], 0)
    driver.offer(0)
    queue.take(1, 0, 64)
    assert os.eventfd_read(driver.call) == 1
    driver.ring.available[0] = 1
    driver.offer(0)
    queue.take(1, 0, 64)
    with pytest.raises(BlockingIOError):
        os.eventfd_read(driver.call)


OUTSIDE = GUEST[0] + REGION
BAD = {
    "beyond its region": ([(OUTSIDE - 50, 72)], "a buffer of .* is in no memory region"),
    "in no region": ([(0, 72)], "in no memory region"),
    "round the end of the world": ([(2**64 - 20, 72)], "in no memory region"),
    "no frame": ([(START, HEADER)], "no octet behind the 12 of the header|at least 72"),
    "piece outside": ([(START, 20), (OUTSIDE, 52)], "in no memory region"),
}


@pytest.mark.parametrize(("pieces", "message"), BAD.values(), ids=BAD)
def test_a_buffer_that_cannot_be_is_named(driver: Driver, pieces: list[tuple[int, int]], message: str) -> None:
    driver.offer(driver.chain(pieces, 0))
    with pytest.raises(GeneratorError, match=message):
        driver.device_in().take(10, 0, 64)
    driver.chain(pieces, WRITE)
    with pytest.raises(GeneratorError, match=message):
        driver.device_out().put(np.zeros((1, HEADER + 60), np.uint8))


@pytest.mark.parametrize(
    ("descriptor", "message"),
    [
        ((START, 72, WRITE, 0), "descriptor 0 has flags 0x2: accepted: 0x0 or 0x1"),
        ((START, 72, 4, 0), "descriptor 0 has flags 0x4"),
        ((START, 72, NEXT, 0), "the chain from descriptor 0 on has no end"),
        ((START, 72, NEXT, SIZE), "descriptor 8 follows: the ring has 8 entries"),
    ],
)
def test_a_chain_that_cannot_be_is_named(driver: Driver, descriptor: tuple[int, ...], message: str) -> None:
    driver.ring.descriptors[0] = descriptor
    driver.offer(0)
    with pytest.raises(GeneratorError, match=f"port p, queue 1: {message}"):
        driver.device_in().take(10, 0, 64)


def test_heads_and_indices_beyond_the_ring_are_named(driver: Driver) -> None:
    driver.offer(SIZE)
    with pytest.raises(GeneratorError, match="the peer made entry 8 available: the ring has 8"):
        driver.device_in().take(1, 0, 64)
    driver.ring.available[1] = SIZE + 1
    with pytest.raises(GeneratorError, match="by 9; accepted: at most 8"):
        driver.device_in().take(1, 0, 64)


DESCRIPTOR = st.tuples(
    st.one_of(st.sampled_from([START, GUEST[1], OUTSIDE - 20, GUEST[0] - 1]), st.integers(0, 2**64 - 1)),
    st.one_of(st.integers(0, 200), st.integers(0, 2**32 - 1)),
    st.one_of(st.integers(0, 3), st.integers(0, 2**16 - 1)),
    st.one_of(st.integers(0, SIZE), st.integers(0, 2**16 - 1)),
)


@given(
    table=st.lists(DESCRIPTOR, min_size=SIZE, max_size=SIZE),
    heads=st.lists(st.integers(0, SIZE), min_size=1, max_size=SIZE),
    index=st.one_of(st.integers(0, SIZE + 1), st.integers(0, 2**16 - 1)),
    out=st.booleans(),
)
def test_no_garbage_leads_outside(table: list[tuple[int, ...]], heads: list[int], index: int, out: bool) -> None:
    with a_driver() as driver:
        driver.ring.descriptors[:] = table
        driver.ring.heads[: len(heads)] = heads
        driver.ring.available[1] = index
        with contextlib.suppress(GeneratorError):
            if out:
                assert driver.device_out().put(np.zeros((4, HEADER + 60), np.uint8)) <= 4
            else:
                taken = driver.device_in().take(SIZE, 4, 64)
                assert taken is None or (taken[1] > 0).all()


@pytest.mark.parametrize(
    ("region", "message"),
    [
        (Region(0, 0, 0, 0), "it is empty"),
        (Region(0, 2 * REGION, 0, 0), "its file has 8,192 octets"),
        (Region(0, REGION, 0, 4096), "its file has 8,192 octets"),
        (Region(2**64 - 1, REGION, 0, 0), "wraps round"),
        (Region(0, REGION, 0, 2**64 - 1), "wraps round"),
    ],
)
def test_a_region_that_its_file_does_not_hold_is_named(driver: Driver, region: Region, message: str) -> None:
    with pytest.raises(GeneratorError, match=f"port p: memory region .*{message}"):
        PeerMemory([region], driver.files[:1], "port p")


def test_a_region_may_begin_inside_its_file(driver: Driver) -> None:
    os.pwrite(driver.files[0], b"here", 5000)
    memory = PeerMemory([Region(0, 100, 0, 5000)], driver.files[:1], "port p")
    assert memory.ring_part(0, 4, 1).tobytes() == b"here"
    for user, octets in ((97, 4), (0, 101), (2**64 - 1, 4)):
        with pytest.raises(GeneratorError, match="accepted: an address inside one memory region"):
            memory.ring_part(user, octets, 1)
