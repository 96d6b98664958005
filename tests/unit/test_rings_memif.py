"""Memif ports over their sockets, in one process; and peers that go away, stop, or talk nonsense."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_nfv.errors import ConfigurationError, GeneratorError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings import memif_ends
from pytest_nfv.rings.memif import MemifPort
from pytest_nfv.rings.memif_messages import MESSAGE_OCTETS, Ack, Disconnect, Hello, pack
from pytest_nfv.rings.port import U8

Make = Callable[..., PortSpec]


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "m.sock") if request.param == "path" else f"@{tmp_path}"


@pytest.fixture
def spec(address: str) -> Make:
    def make(role: str, **parameters: str) -> PortSpec:
        small = {"rx_slots": "64", "tx_slots": "64", "pages": "plain", "wait_s": "1"}
        return PortSpec("memif", role, parameters=small | {"socket": address, "role": role} | parameters)

    return make


@pytest.fixture
def pair(spec: Make) -> Iterator[tuple[MemifPort, MemifPort]]:
    client, server = MemifPort.open_all([spec("client"), spec("server")])
    yield client, server
    for port in (client, server):
        port.close()
        port.close()


@pytest.fixture(autouse=True)
def nothing_stays(tmp_path: Path) -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) == before
    assert not list(tmp_path.glob("*.sock"))


def frames(count: int) -> U8:
    rows = np.zeros((count, 60), np.uint8)
    rows[:, 0] = np.arange(count)
    return rows


def send(port: MemifPort, count: int) -> int:
    """Send; return how many were taken."""
    return port.commit(len(port.reserve(count)))[0]


def bound(address: str) -> str:
    return "\0" + address[1:] if address.startswith("@") else address


def test_rings_may_differ_and_each_end_sees_its_own(spec: Make) -> None:
    client, server = MemifPort.open_all([spec("client", rx_slots="128", tx_slots="256"), spec("server")])
    assert (client.receive_slots, server.receive_slots) == (128, 256)
    assert (client.burst_max, server.burst_max) == (64, 32)
    client.close()
    server.close()


def test_several_interfaces_share_a_socket(spec: Make) -> None:
    ports = MemifPort.open_all([spec(role, id=str(n)) for n in (7, 0, 3) for role in ("server", "client")])
    for index in range(0, 6, 2):
        ports[index].prepare(frames(1))
        assert send(ports[index], 1 + index) == 1 + index
    for index in range(0, 6, 2):
        arrived = ports[index + 1].receive(100)
        assert arrived is not None
        assert len(arrived.octets) == 1 + index
    for port in ports:
        port.close()


def test_a_flow_keeps_to_its_queue(spec: Make) -> None:
    client, server = MemifPort.open_all([spec("client", queues="3"), spec("server", queues="3")])
    client.prepare(frames(6))
    assert send(client, 12) == 12
    for _ in range(3):
        arrived = server.receive(100)
        assert arrived is not None
        flows = arrived.frames[:, 0].tolist()
        assert flows in ([0, 3, 0, 3], [1, 4, 1, 4], [2, 5, 2, 5])
        server.release()
    assert server.receive(100) is None
    client.close()
    server.close()


def test_a_server_with_fewer_queues_is_named(spec: Make) -> None:
    with pytest.raises(GeneratorError, match=r"the server \(pytest-nfv\) has 1 queues, not 2"):
        MemifPort.open_all([spec("client", queues="2"), spec("server")])


def test_the_secret_must_be_known(spec: Make) -> None:
    with pytest.raises(GeneratorError, match="does not know the secret"):
        MemifPort.open_all([spec("client", secret="open"), spec("server", secret="sesame")])


def test_nobody_there(spec: Make, address: str) -> None:
    with pytest.raises(GeneratorError, match="id 0: not connected within 1 s: nobody serves the socket: "):
        MemifPort.open_all([spec("client")])
    with pytest.raises(GeneratorError, match="id 5: not connected within 1 s: no peer connected as id 5"):
        MemifPort.open_all([spec("server", id="5")])


def test_a_socket_in_use_is_not_taken_away(spec: Make, address: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
        other.bind(bound(address))
        other.listen()
        with pytest.raises(GeneratorError, match="id 0: cannot be served: Address already in use"):
            MemifPort.open_all([spec("server")])
    if address.startswith("@"):
        return
    assert Path(address).is_socket()
    for port in MemifPort.open_all([spec("server"), spec("client")]):  # now it is the remains of one that is dead
        port.close()
    assert not Path(address).exists()


def test_frames_above_the_mtu_are_refused_by_name(pair: tuple[MemifPort, MemifPort]) -> None:
    with pytest.raises(ConfigurationError, match=r"frame size 1523: accepted on memif port .*: up to 1522 octets"):
        pair[0].prepare(np.zeros((1, 1519), np.uint8))


def test_a_closed_port_says_so(pair: tuple[MemifPort, MemifPort]) -> None:
    pair[0].close()
    for use in (lambda: pair[0].reserve(1), lambda: pair[0].receive(1), pair[0].overruns):
        with pytest.raises(GeneratorError, match="id 0: the port is closed"):
            use()


@pytest.mark.parametrize("first", [0, 1])
def test_a_peer_that_leaves_is_seen(pair: tuple[MemifPort, MemifPort], first: int) -> None:
    pair[first].close()
    with pytest.raises(GeneratorError, match=r"memif port .* id 0: the peer disconnected: closed"):
        pair[1 - first].overruns()


@pytest.mark.parametrize("first", [0, 1])
def test_a_peer_that_stops_is_seen(
    pair: tuple[MemifPort, MemifPort], first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memif_ends, "STOPPED_S", 0.0)
    port, peer = pair[first], pair[1 - first]
    port.prepare(frames(1))
    for _ in range(3):
        while send(port, 64):
            pass
        assert port.overruns() == 0
        while (arrived := peer.receive(64)) is not None:
            peer.release()
        assert arrived is None
    while send(port, 64):
        pass
    port.overruns()
    with pytest.raises(GeneratorError, match="tx queue 0: the peer stopped: 64 frames wait and it took none"):
        port.overruns()


class Peer:
    """A server of the test's own, which says what it likes to the client that comes."""

    def __init__(self, address: str, said: list[bytes]) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(bound(address))
        self._listener.listen()
        self._said = said
        self._thread = threading.Thread(target=self._talk)
        self._thread.start()

    def _talk(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            for one in self._said:
                connection.send(one)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(256):
                pass

    def close(self) -> None:
        self._thread.join()
        self._listener.close()


HELLO = pack(Hello(b"x", 0x200, 0x200, 1, 0, 0, 10))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ([b"x"], "id 0: the peer sent a message of 1 octets: accepted: 128"),
        ([HELLO + b"x"], "id 0: the peer sent a message of 129 octets: accepted: 128"),
        ([bytes(128)], "id 0: the peer sent a message of kind 0: accepted: 1 to 8"),
        ([pack(Ack())], "id 0: the peer sent Ack: accepted: Hello"),
        ([HELLO, pack(Ack()), HELLO], "id 0: the peer sent Hello: accepted: Ack"),
    ],
)
def test_a_server_that_talks_nonsense(spec: Make, tmp_path: Path, said: list[bytes], message: str) -> None:
    address = f"@{tmp_path}/own"
    peer = Peer(address, said)
    with pytest.raises(GeneratorError, match=message):
        MemifPort.open_all([spec("client", socket=address)])
    peer.close()


def test_a_server_that_will_not_says_why(spec: Make, tmp_path: Path) -> None:
    address = f"@{tmp_path}/own"
    peer = Peer(address, [HELLO, pack(Disconnect(0, b"ID not found"))])
    with pytest.raises(GeneratorError, match="not connected within 1 s: "):
        MemifPort.open_all([spec("client", socket=address)])
    peer.close()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(min_size=1, max_size=MESSAGE_OCTETS + 1), min_size=1, max_size=4))
def test_a_connected_peer_that_talks_is_an_error(spec: Make, said: list[bytes]) -> None:
    client, server = MemifPort.open_all([spec("client"), spec("server")])
    channel = client._channel
    assert channel is not None
    for one in said:
        channel._socket.send(one)
    with pytest.raises(GeneratorError, match=r"memif port .* id 0: the peer (sent|disconnected)"):
        server.overruns()
    client.close()
    server.close()
