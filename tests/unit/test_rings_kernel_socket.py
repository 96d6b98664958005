"""Ports on kernel sockets, over socket pairs of this process: no privilege and no network needed."""

from __future__ import annotations

import errno
import socket
import struct
import time
from collections.abc import Iterator

import numpy as np
import pytest

from pytest_nfv.errors import ConfigurationError, GeneratorError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.kernel_socket import BURST_MAX, KernelSocketPort, Sockets
from pytest_nfv.rings.packet_send import SEND_WAIT_S
from pytest_nfv.rings.port import U8
from pytest_nfv.rings.socket_slots import SocketSlots
from pytest_nfv.rings.table import least_octets, open_ports

DEADLINE_S = 5.0


def refusing() -> socket.socket:
    raise OSError(errno.ENODEV, "No such device")


@pytest.fixture(params=[False, True], ids=["single", "many"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[KernelSocketPort, KernelSocketPort]]:
    """A port whose frames arrive at another; a full socket makes the sender wait, as a real port's does."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, int(SEND_WAIT_S * 1e6)))
    out = KernelSocketPort(Sockets("out", request.param, 1514, True, lambda: here, refusing))
    spare = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    back = KernelSocketPort(Sockets("back", request.param, 1514, True, lambda: spare, lambda: there))
    yield out, back
    for port in (out, back):
        port.close()
        port.close()
    for one in (here, there, spare):
        one.close()


def templates(count: int, octets: int) -> U8:
    return np.arange(count * octets, dtype=np.uint64).reshape(count, octets).astype(np.uint8)


def send(port: KernelSocketPort, first: int, count: int) -> int:
    """Send frames numbered from `first`; return how many went out."""
    words = port.reserve(count)
    words[:, 0] = np.arange(first, first + len(words))
    words[:, 1] = 77
    taken, refused = port.commit(len(words))
    assert refused == 0
    return taken


def collect(port: KernelSocketPort, count: int) -> list[bytes]:
    frames: list[bytes] = []
    deadline = time.monotonic() + DEADLINE_S
    while len(frames) < count and time.monotonic() < deadline:
        arrived = port.receive(count - len(frames))
        if arrived is not None:
            frames += [row[:n].tobytes() for row, n in zip(arrived.frames, arrived.octets, strict=True)]
            port.release()
    return frames


@pytest.mark.parametrize("octets", [18, 60, 61, 1514])
@pytest.mark.parametrize("count", [1, 3])
def test_frames_arrive_whole_in_order_and_by_turns(
    pair: tuple[KernelSocketPort, KernelSocketPort], octets: int, count: int
) -> None:
    out, back = pair
    rows = templates(count, octets)
    out.prepare(rows)
    back.expect(octets)
    sent = 0
    for some in (1, 4, 3):
        assert send(out, sent, some) == some
        words = [np.array([number, 77], np.uint64).tobytes() for number in range(sent, sent + some)]
        expected = [rows[(sent + i) % count].tobytes()[:-16] + word for i, word in enumerate(words)]
        assert collect(back, some) == expected
        sent += some
    assert back.receive(10) is None


def test_every_octet_is_written_anew(pair: tuple[KernelSocketPort, KernelSocketPort]) -> None:
    out, back = pair
    rows = templates(1, 60)
    out.prepare(rows)
    back.expect(60)
    out.reserve(1).base[:] = 0  # type: ignore[index]  # the slots below the words, spoilt
    assert send(out, 0, 1) == 1
    assert collect(back, 1)[0][:-16] == rows[0, :-16].tobytes()


def test_what_a_full_socket_has_no_room_for_is_not_sent_and_is_next(
    pair: tuple[KernelSocketPort, KernelSocketPort],
) -> None:
    out, back = pair
    out.prepare(templates(1, 60))
    back.expect(60)
    sent = 0
    while (taken := send(out, sent, BURST_MAX)) == BURST_MAX:
        sent += taken
    sent += taken
    numbers = [int.from_bytes(frame[-16:-8], "little") for frame in collect(back, sent)]
    assert numbers == list(range(sent))
    assert send(out, sent, 1) == 1
    assert collect(back, 1)[0][-16:-8] == sent.to_bytes(8, "little")


def test_a_longer_frame_than_expected_keeps_its_length(pair: tuple[KernelSocketPort, KernelSocketPort]) -> None:
    out, back = pair
    out.prepare(templates(1, 1000))
    back.expect(60)
    send(out, 0, 1)
    arrived = back.receive(1)
    assert arrived is not None
    assert arrived.octets.tolist() == [1000]
    assert arrived.frames.shape == (1, 60)


def test_a_learning_frame_is_received_whole_where_shorter_ones_are_expected(
    pair: tuple[KernelSocketPort, KernelSocketPort],
) -> None:
    out, back = pair
    out.prepare(templates(1, 60))
    back.expect(18)
    send(out, 0, 1)
    assert len(collect(back, 1)[0]) == 60


def test_stamps_lie_between_sending_and_now(pair: tuple[KernelSocketPort, KernelSocketPort]) -> None:
    out, back = pair
    out.prepare(templates(1, 60))
    back.expect(60)
    before = time.monotonic_ns()
    send(out, 0, 5)
    arrived = back.receive(64)
    assert arrived is not None
    assert before <= arrived.stamps_ns.min() <= arrived.stamps_ns.max() <= time.monotonic_ns()


def test_too_long_or_tagged_frames_are_refused_by_name(pair: tuple[KernelSocketPort, KernelSocketPort]) -> None:
    out, _ = pair
    with pytest.raises(ConfigurationError, match="out: 1515 octets at a time: accepted: up to 1514"):
        out.prepare(templates(1, 1515))
    tagged = templates(2, 64)
    tagged[1, 12:14] = [0x81, 0x00]
    with pytest.raises(ConfigurationError, match="a frame with a VLAN tag: accepted: frames without"):
        out.prepare(tagged)


def test_a_closed_port_says_so(pair: tuple[KernelSocketPort, KernelSocketPort]) -> None:
    out, _ = pair
    out.close()
    for use in (lambda: out.reserve(1), lambda: out.receive(1), out.overruns):
        with pytest.raises(GeneratorError, match="out: the port is closed"):
            use()


def test_a_receiver_that_cannot_be_opened_is_named(pair: tuple[KernelSocketPort, KernelSocketPort]) -> None:
    out, _ = pair
    with pytest.raises(GeneratorError, match="out cannot be opened: No such device"):
        out.expect(60)


def test_a_far_end_that_is_gone_is_told(pair: tuple[KernelSocketPort, KernelSocketPort]) -> None:
    out, back = pair
    out.prepare(templates(1, 60))
    back.expect(60)
    back.close()
    out.reserve(1)
    with pytest.raises(GeneratorError, match=r"out: Connection refused \(ECONNREFUSED\) while sending: nobody"):
        out.commit(1)


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        ("raw_socket", {"call": "many"}, "raw_socket port 02::1: it needs the parameter `interface`"),
        ("raw_socket", {"interface": "x"}, "it needs the parameter `call`"),
        ("raw_socket", {"interface": "x", "call": "few"}, "call 'few': accepted: single, many"),
        ("udp_socket", {"ip": "::1"}, "ip '::1': accepted: an IPv4 address"),
        ("udp_socket", {"ip": "127.0.0.1"}, "it needs the parameter `peer`"),
        (
            "udp_socket",
            {"ip": "127.0.0.1", "peer": "127.0.0.1", "source_port": "65536"},
            "source_port '65536': accepted: 1 to 65535",
        ),
    ],
)
def test_parameters_are_named(kind: str, parameters: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        open_ports([PortSpec(kind, "02::1", parameters=parameters)])


def test_an_address_that_is_not_here_is_named() -> None:
    ports = {"source_port": "4000", "destination_port": "4001", "call": "many"}
    spec = PortSpec("udp_socket", "02::1", parameters={"ip": "192.0.2.1", "peer": "192.0.2.2", **ports})
    with pytest.raises(GeneratorError, match=r"UDP socket 192.0.2.1 to 192.0.2.2 cannot be opened: Cannot assign"):
        open_ports([spec])


def test_templates_of_a_payload_may_be_shorter_than_a_frame() -> None:
    assert least_octets(["udp_socket", "udp_socket"]) == 18
    assert least_octets(["udp_socket", "raw_socket"]) == 60
    assert least_octets([]) == 60


@pytest.mark.parametrize("octets", [16, 18, 60, 61, 1514])
def test_signatures_lie_on_words(octets: int) -> None:
    words = SocketSlots(3, max(octets, 60), octets).words(octets)
    assert words.shape == (3, 2)
    assert words.ctypes.data % 8 == 0
    assert words.strides[0] % 8 == 0
