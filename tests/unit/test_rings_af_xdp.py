"""What an AF_XDP port may be told, and its queues on rings of the test's own in the kernel's place."""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.errors import ConfigurationError, GeneratorError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings import xdp_send
from pytest_nfv.rings.port import U8, Arrived
from pytest_nfv.rings.xdp_options import XdpOptions
from pytest_nfv.rings.xdp_receive import HEADROOM, XdpReceiver
from pytest_nfv.rings.xdp_send import XdpSender
from pytest_nfv.rings.xdp_socket import Ring, Umem

SLOTS, CHUNK = 16, 2048
ADDRESS = "02:00:00:00:00:01"


def spec(**parameters: str) -> PortSpec:
    return PortSpec("af_xdp", ADDRESS, parameters={"interface": "g0"} | parameters)


def test_the_defaults() -> None:
    options = XdpOptions.of(spec())
    assert (options.queues, options.mode, options.steer, options.chunk) == (1, "auto", "queue", 2048)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"interface": ""}, "needs the parameter `interface`"),
        (
            {"driver": "x"},
            "unknown parameter 'driver': accepted: interface, queues, mode, steer, rx_slots",
        ),
        ({"mode": "zc"}, "mode 'zc': accepted: auto, copy, zero_copy"),
        ({"steer": "vlan"}, "steer 'vlan': accepted: queue, mac"),
        ({"queues": "65"}, "queues '65': accepted: a whole number from 1 to 64"),
        ({"rx_slots": "100"}, "rx_slots 100: accepted: a power of two"),
        ({"tx_slots": "32"}, "tx_slots '32': accepted: a whole number from 64 to 131072"),
    ],
)
def test_what_cannot_be_is_named_with_what_is_accepted(given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"af_xdp port {ADDRESS}: .*{message}"):
        XdpOptions.of(spec(**given))


def test_a_chunk_holds_a_frame_of_the_mtu() -> None:
    assert XdpOptions.of(replace(spec(), mtu=1774)).chunk == 2048
    assert XdpOptions.of(replace(spec(), mtu=1775)).chunk == 4096
    with pytest.raises(ConfigurationError, match="mtu 3823: accepted: up to 3822, as a frame lies in one page"):
        XdpOptions.of(replace(spec(), mtu=3823))


def ring(words: int) -> Ring:
    return Ring(mmap.mmap(-1, 4096), (0, 64, 192, 128), SLOTS, words)


@dataclass
class Kernel:
    """The four rings, and what the kernel does at its end of them."""

    fill: Ring = field(default_factory=lambda: ring(1))
    rx: Ring = field(default_factory=lambda: ring(2))
    tx: Ring = field(default_factory=lambda: ring(2))
    completion: Ring = field(default_factory=lambda: ring(1))
    zero_copy: bool = True

    def fileno(self) -> int:
        return -1

    def put(self, ring: Ring, entries: list[tuple[int, ...]]) -> None:
        for entry in entries:
            ring.entries[ring._producer[0] & ring.mask] = entry
            ring._producer[0] += 1

    def take(self, ring: Ring) -> list[tuple[int, ...]]:
        entries = []
        while ring._consumer[0] != ring._producer[0]:
            entries.append(tuple(map(int, ring.entries[ring._consumer[0] & ring.mask])))
            ring._consumer[0] += 1
        return entries


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def umem() -> Umem:
    return Umem(SLOTS * CHUNK, CHUNK)


def sender(kernel: Kernel, memory: Umem, count: int = 1) -> XdpSender:
    made = XdpSender(cast(Any, kernel), memory, 0, 4, "interface x")
    made.prepare(templates(count))
    return made


def templates(count: int) -> U8:
    return (np.arange(60) + np.arange(count)[:, None]).astype(np.uint8)


def send(sender: XdpSender, number: int) -> int:
    words = sender.reserve(4)
    words[:, 0], words[:, 1] = np.arange(number, number + len(words)), 7
    taken, refused = sender.commit(len(words))
    assert refused == 0
    return taken


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("order", [1, -1], ids=["in order", "backwards"])
def test_frames_go_out_by_turns_and_slots_come_back(kernel: Kernel, count: int, order: int) -> None:
    memory = umem()
    out = sender(kernel, memory, count)
    number = 0
    for _ in range(10):
        sent = []
        while some := send(out, number):
            number += some
            sent += kernel.take(kernel.tx)
        assert len(sent) == SLOTS
        frames = [memory.array[at : at + size].tobytes() for at, size in sent]
        first = number - SLOTS
        assert frames == [
            templates(count)[n % count].tobytes()[:-16] + n.to_bytes(8, "little") + (7).to_bytes(8, "little")
            for n in range(first, number)
        ]
        kernel.put(kernel.completion, [(at,) for at, _ in sent[::order]])


def test_a_slot_is_not_reused_before_those_sent_earlier(kernel: Kernel) -> None:
    out = sender(kernel, umem())
    for number in range(0, SLOTS, 4):
        send(out, number)
    sent = [at for at, _ in kernel.take(kernel.tx)]
    kernel.put(kernel.completion, [(sent[1],), (sent[2],)])
    assert len(out.reserve(4)) == 0
    kernel.put(kernel.completion, [(sent[0],)])
    assert len(out.reserve(4)) == 3


@pytest.mark.parametrize("wrong", [[1 << 40], [4, 4], [6], [4 + CHUNK * (SLOTS - 1)]])
def test_a_frame_that_was_never_sent_is_not_taken_back(kernel: Kernel, wrong: list[int]) -> None:
    out = sender(kernel, umem())
    send(out, 0)
    kernel.put(kernel.completion, [(at,) for at in wrong])
    with pytest.raises(GeneratorError, match="interface x: the kernel returned a frame that it did not have"):
        out._reclaim()


def test_more_frames_than_were_sent_are_not_taken_back(kernel: Kernel) -> None:
    out = sender(kernel, umem())
    kernel.put(kernel.completion, [(4,)])
    with pytest.raises(GeneratorError, match="interface x: the kernel returned 1 frames, more than it has"):
        out._reclaim()


def test_a_device_that_keeps_frames_is_named(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xdp_send, "DRAIN_S", 0.0)
    out = sender(kernel, umem())
    send(out, 0)
    monkeypatch.setattr(out, "_wake", lambda: 0)
    with pytest.raises(GeneratorError, match="interface x: the device holds 4 frames"):
        out.prepare(templates(1))


def frames(arrived: Arrived | None) -> list[bytes]:
    if arrived is None:
        return []
    return [row[:n].tobytes() for row, n in zip(arrived.frames, arrived.octets, strict=True)]


@given(st.data())
def test_frames_arrive_whole_whatever_chunks_the_kernel_fills(data: st.DataObject) -> None:
    kernel, memory = Kernel(), umem()
    receiver = XdpReceiver(cast(Any, kernel), memory, 0, "interface x")
    number = 0
    chunks: list[int] = []
    for _ in range(data.draw(st.integers(1, 4))):
        chunks += [at for (at,) in kernel.take(kernel.fill)]
        assert sorted(chunks) == [CHUNK * n for n in range(SLOTS)]
        shuffled = data.draw(st.sampled_from([chunks, chunks[::-1]]))
        some = data.draw(st.integers(1, SLOTS))
        sizes = data.draw(st.lists(st.integers(14, 1792), min_size=some, max_size=some))
        entries = []
        for at, size in zip(shuffled, sizes, strict=False):
            start = at + HEADROOM
            memory.array[start : start + size] = number % 251
            entries.append((start, size, number % 251))
            number += 1
        kernel.put(kernel.rx, [(at, size) for at, size, _ in entries])
        chunks = shuffled[some:]
        got = []
        while (arrived := receiver.receive(5)) is not None:
            got += frames(arrived)
            receiver.release()
        assert got == [bytes([mark]) * size for _, size, mark in entries]


WILD = st.tuples(st.one_of(st.integers(0, (1 << 64) - 1), st.integers(0, SLOTS * CHUNK)), st.integers(0, 4000))


@given(st.lists(WILD, min_size=1, max_size=SLOTS))
def test_a_frame_outside_our_chunks_is_an_error(entries: list[tuple[int, int]]) -> None:
    kernel, memory = Kernel(), umem()
    receiver = XdpReceiver(cast(Any, kernel), memory, 0, "interface x")
    kernel.put(kernel.rx, list(entries))
    inside = [at < SLOTS * CHUNK and at % CHUNK + size <= CHUNK for at, size in entries]
    if all(inside):
        assert list(map(len, frames(receiver.receive(SLOTS)))) == [size for _, size in entries]
    else:
        with pytest.raises(GeneratorError, match=r"interface x: the kernel put a frame at .*: no chunk of ours"):
            receiver.receive(SLOTS)


def test_no_more_frames_wait_than_there_are_slots(kernel: Kernel) -> None:
    receiver = XdpReceiver(cast(Any, kernel), umem(), 0, "interface x")
    kernel.rx._producer[0] = SLOTS + 1
    with pytest.raises(GeneratorError, match="interface x: the kernel says that 17 frames wait in 16 slots"):
        receiver.receive(1)
