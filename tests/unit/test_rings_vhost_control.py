"""The control socket, from both ends: what is agreed, what is refused, and that no nonsense brings it down."""

from __future__ import annotations

import array
import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_nfv.errors import GeneratorError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.vhost_messages import (
    F_PROTOCOL_FEATURES,
    F_VERSION_1,
    NEED_REPLY,
    P_REPLY_ACK,
    REPLY,
    Channel,
    Closed,
    Message,
    Region,
    Request,
    RingAddresses,
    pack,
    pack_addresses,
    pack_regions,
    pack_state,
    pack_word,
    read_addresses,
    read_regions,
    read_state,
    read_word,
)
from pytest_nfv.rings.vhost_user import VhostUserPort
from pytest_nfv.rings.vhost_user_backend import VhostUserBackendPort

SOON_S = 5.0


def spec(path: Path, **parameters: str) -> PortSpec:
    return PortSpec("vhost_user", "02:00:00:00:00:01", parameters={"socket": str(path), **parameters})


@contextmanager
def channels() -> Iterator[tuple[Channel, socket.socket]]:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with here, there:
        yield Channel(here, "port p"), there


def test_payloads_are_read_as_they_were_written() -> None:
    assert read_word(Message(1, 1, pack_word(2**64 - 1))) == 2**64 - 1
    assert read_state(Message(8, 1, pack_state(3, 4096))) == (3, 4096)
    ring = RingAddresses(1, 2**40, 2**41, 2**42)
    assert read_addresses(Message(9, 1, pack_addresses(ring))) == ring
    regions = (Region(1, 2, 3, 4), Region(5, 6, 7, 8))
    assert read_regions(Message(5, 1, pack_regions(regions), (10, 11))) == regions


def test_a_message_crosses_with_its_descriptors() -> None:
    with channels() as (channel, there):
        other = Channel(there, "other")
        reader, writer = os.pipe()
        channel.send(Request.SET_VRING_KICK, pack_word(1), (writer,), NEED_REPLY)
        message = other.receive(SOON_S)
        assert (message.request, message.flags & NEED_REPLY, message.payload) == (12, NEED_REPLY, pack_word(1))
        os.write(message.descriptors[0], b"x")
        assert os.read(reader, 9) == b"x"
        for fd in (reader, writer, *message.descriptors):
            os.close(fd)


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        (struct.pack("<III", 1, 1, 5000), "request 1 with flags 0x1 and 5000 octets"),
        (struct.pack("<III", 1, 2, 0), "flags 0x2"),
        (struct.pack("<III", 1, 1, 8) + b"half", "did not answer"),
        (b"\1", "did not answer"),
    ],
)
def test_a_message_that_cannot_be_is_named(octets: bytes, message: str) -> None:
    with channels() as (channel, there):
        there.sendall(octets)
        with pytest.raises(GeneratorError, match=f"port p: .*{message}"):
            channel.receive(0.05)


def test_a_closed_socket_is_noticed_by_either_call() -> None:
    with channels() as (channel, there):
        states = [channel.open]
        there.sendall(b"unread")
        states.append(channel.open)
        there.close()
        with pytest.raises(Closed, match="port p: the peer"):
            channel.receive(SOON_S)
        states.append(channel.open)
        assert states == [True, True, False]
        with pytest.raises(Closed, match="port p: the peer is gone"):
            channel.send(1)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_message_with_too_many_descriptors_leaves_none_open() -> None:
    with channels() as (channel, there):
        before = open_descriptors()
        rights = array.array("i", [there.fileno()] * 20)
        there.sendmsg([pack(1, b"")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        with pytest.raises(GeneratorError, match="more than 8 descriptors"):
            channel.receive(SOON_S)
        assert open_descriptors() == before


def read_all(channel: Channel) -> None:
    while True:
        channel.receive(0.01)


@given(st.binary(max_size=300))
def test_no_octets_bring_a_channel_down(octets: bytes) -> None:
    with channels() as (channel, there):
        there.sendall(octets)
        there.close()
        with pytest.raises(GeneratorError, match="port p"):
            read_all(channel)


class Switch:
    """A back end that answers as the test says; in a thread, as the front end waits for its answers."""

    def __init__(self, path: Path, answers: dict[int, bytes], flags: int = REPLY) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._answers, self._flags = answers, flags
        self.heard: list[Message] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        channel = Channel(connection, "front end")
        try:
            while True:
                message = channel.receive(SOON_S)
                for fd in message.descriptors:
                    os.close(fd)
                self.heard.append(message)
                answer = self._answers.get(message.request)
                if answer is None and message.flags & NEED_REPLY:
                    answer = pack_word(0)
                if answer is not None:
                    connection.sendall(pack(message.request, answer, self._flags))
        except GeneratorError:
            channel.close()

    def close(self) -> None:
        self._thread.join()
        self._listener.close()


def talk(tmp_path: Path, answers: dict[int, bytes], flags: int = REPLY, **parameters: str) -> list[Message]:
    """Open a front end against a switch with these answers; return what the switch heard."""
    switch = Switch(tmp_path / "s", answers, flags)
    try:
        (port,) = VhostUserPort.open_all([spec(tmp_path / "s", pages="plain", **parameters)])
        port.close()
    finally:
        switch.close()
    return switch.heard


LEGACY: dict[int, bytes] = {Request.GET_FEATURES: pack_word(0)}
MODERN: dict[int, bytes] = {
    Request.GET_FEATURES: pack_word(F_VERSION_1 | F_PROTOCOL_FEATURES),
    Request.GET_PROTOCOL_FEATURES: pack_word(P_REPLY_ACK),
}


def test_a_back_end_without_features_is_asked_for_none(tmp_path: Path) -> None:
    heard = talk(tmp_path, LEGACY)
    names = [message.name for message in heard]
    ring = ["SET_VRING_NUM", "SET_VRING_BASE", "SET_VRING_ADDR", "SET_VRING_CALL", "SET_VRING_KICK"]
    start = ["SET_OWNER", "GET_FEATURES", "SET_FEATURES", "SET_MEM_TABLE"]
    assert names == [*start, *ring, *ring, "GET_FEATURES"]
    assert read_word(heard[2]) == 0
    assert not any(message.flags & NEED_REPLY for message in heard)


def test_a_back_end_with_features_acknowledges_each_step(tmp_path: Path) -> None:
    heard = talk(tmp_path, MODERN)
    assert [m.name for m in heard].count("SET_VRING_ENABLE") == 2
    assert all(m.flags & NEED_REPLY for m in heard if m.name == "SET_MEM_TABLE")
    assert read_word(next(m for m in heard if m.name == "SET_FEATURES")) == F_VERSION_1 | F_PROTOCOL_FEATURES


@pytest.mark.parametrize(
    ("answers", "flags", "message"),
    [
        (MODERN | {Request.SET_MEM_TABLE: pack_word(1)}, REPLY, "the peer refused SET_MEM_TABLE: status 1"),
        (LEGACY, 0, "the peer answered GET_FEATURES with GET_FEATURES, flags 0x1"),
        ({Request.GET_FEATURES: b"four"}, REPLY, r"vhost_user port /\S+: GET_FEATURES of 4 octets: accepted: 8"),
        ({Request.GET_FEATURES: bytes(4097)}, REPLY, "request 1 with flags 0x5 and 4097 octets"),
    ],
)
def test_a_back_end_that_answers_nonsense_is_named(
    tmp_path: Path, answers: dict[int, bytes], flags: int, message: str
) -> None:
    with pytest.raises(GeneratorError, match=message):
        talk(tmp_path, answers, flags)


def test_more_queues_than_the_back_end_has_are_named(tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match="queues 2: the peer offers 1"):
        talk(tmp_path, MODERN, queues="2")


@pytest.fixture
def back(tmp_path: Path) -> Iterator[VhostUserBackendPort]:
    port = VhostUserBackendPort.open_all([spec(tmp_path / "b", role="server")])[0]
    yield port
    port.close()
    port.close()
    assert not (tmp_path / "b").exists()


def wait_for_trouble(port: VhostUserBackendPort, text: str) -> None:
    deadline = time.monotonic() + SOON_S
    while time.monotonic() < deadline:
        with pytest.raises(GeneratorError) as caught:
            port.overruns()
        if text in str(caught.value):
            return
        time.sleep(0.005)
    raise AssertionError(str(caught.value))


def say(path: Path, *messages: tuple[int, bytes, tuple[int, ...]]) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(str(path))
    channel = Channel(connection, "test")
    with contextlib.suppress(Closed):  # it may have heard enough
        for request, payload, descriptors in messages:
            channel.send(request, payload, descriptors)
    return connection


TABLE = pack_regions([Region(0, 4096, 0, 0)])


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([(99, b"", 0)], "the peer sent request 99, which was not agreed on"),
        (
            [(Request.SET_FEATURES, pack_word(1 << 63), 0)],
            "takes features 0x8000000000000000: offered: 0x140000000",
        ),
        ([(Request.SET_FEATURES, b"", 0)], "SET_FEATURES of 0 octets: accepted: 8"),
        ([(Request.SET_MEM_TABLE, TABLE, 0)], "SET_MEM_TABLE of 1 regions in 40 octets with 0 descriptors"),
        ([(Request.SET_MEM_TABLE, TABLE[:20], 1)], "in 20 octets with 1 descriptors"),
        ([(Request.SET_VRING_NUM, pack_state(2, 256), 0)], "ring 2: accepted: 0 to 1"),
        ([(Request.SET_VRING_NUM, pack_state(0, 100), 0)], "ring 0 of 100 entries: accepted: a power of two"),
        ([(Request.SET_VRING_NUM, pack_state(0, 65536), 0)], "ring 0 of 65536 entries"),
        ([(Request.SET_VRING_KICK, pack_word(0), 0)], "SET_VRING_KICK 0x0 with 0 descriptors"),
        ([(Request.SET_VRING_CALL, pack_word(0), 1)], "ring 0: the descriptor to call by is no eventfd"),
        ([(Request.GET_VRING_BASE, pack_state(9, 0), 0)], "ring 9"),
    ],
)
def test_what_a_front_end_may_not_say_is_named(
    tmp_path: Path, back: VhostUserBackendPort, messages: list[tuple[int, bytes, int]], text: str
) -> None:
    before = open_descriptors()
    with open(os.devnull) as one, say(tmp_path / "b", *((r, p, (one.fileno(),) * n) for r, p, n in messages)):
        wait_for_trouble(back, text)
    assert open_descriptors() == before


@pytest.mark.parametrize(
    ("addresses", "text"),
    [
        (RingAddresses(0, 16, 0, 0), "ring part of 4,096 octets at 0x10"),
        (RingAddresses(0, 8192, 0, 0), "ring part of 4,096 octets at 0x2000"),
        (RingAddresses(0, 0, 2**64 - 4, 0), "at 0xfffffffffffffffc"),
        (RingAddresses(0, 0, 0, 1), "ring part of 516 octets at 0x1: accepted"),
    ],
)
def test_ring_parts_outside_the_memory_are_named(
    tmp_path: Path, back: VhostUserBackendPort, addresses: RingAddresses, text: str
) -> None:
    fd = os.memfd_create("peer")
    os.ftruncate(fd, 4096)
    messages: list[tuple[int, bytes, tuple[int, ...]]] = [
        (Request.SET_FEATURES, pack_word(0), ()),
        (Request.SET_MEM_TABLE, TABLE, (fd,)),
        (Request.SET_VRING_NUM, pack_state(0, 256), ()),
        (Request.SET_VRING_ADDR, pack_addresses(addresses), ()),
        (Request.SET_VRING_KICK, pack_word(1 << 8), ()),
    ]
    with say(tmp_path / "b", *messages):
        os.close(fd)
        wait_for_trouble(back, text)


def test_a_front_end_that_leaves_takes_its_descriptors_along(tmp_path: Path, back: VhostUserBackendPort) -> None:
    before = open_descriptors()
    call = os.eventfd(0)
    with say(
        tmp_path / "b", (Request.SET_VRING_CALL, pack_word(0), (call,)), (Request.GET_FEATURES, b"", ())
    ) as one:
        Channel(one, "test").receive(SOON_S)
        assert open_descriptors() == before + 4, "call, its copy, and the connection's two ends"
    os.close(call)
    wait_for_trouble(back, "the driver is gone")
    deadline = time.monotonic() + SOON_S
    while open_descriptors() != before:
        assert time.monotonic() < deadline


REQUESTS = st.one_of(st.sampled_from(list(Request)), st.integers(0, 2**32 - 1))
SMALL = st.integers(0, 300)
PAYLOADS = st.one_of(
    st.binary(max_size=64),
    st.builds(pack_state, SMALL, SMALL),
    st.builds(pack_word, st.one_of(SMALL, st.integers(0, 2**64 - 1))),
    st.builds(
        pack_addresses, st.builds(RingAddresses, st.integers(0, 2), *[st.sampled_from([0, 16, 2**64 - 16])] * 3)
    ),
    st.just(TABLE),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(st.tuples(REQUESTS, PAYLOADS, st.integers(0, 2)), max_size=8))
def test_no_front_end_brings_a_back_end_down(
    tmp_path: Path, back: VhostUserBackendPort, messages: list[tuple[int, bytes, int]]
) -> None:
    fd = os.memfd_create("peer")
    os.ftruncate(fd, 4096)
    say(tmp_path / "b", *((r, p, (fd,) * n) for r, p, n in messages)).close()
    os.close(fd)
    with say(tmp_path / "b", (Request.GET_FEATURES, b"", ())) as good:
        assert read_word(Channel(good, "test").receive(SOON_S)) == F_VERSION_1 | F_PROTOCOL_FEATURES
