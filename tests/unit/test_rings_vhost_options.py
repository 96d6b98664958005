"""What a vhost-user port accepts before there is any peer: parameters, paths, pages."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
import pytest

from pytest_nfv.errors import ConfigurationError, GeneratorError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.frames import Frames, Prepared
from pytest_nfv.rings.memory import SharedMemory
from pytest_nfv.rings.rendezvous import Rendezvous
from pytest_nfv.rings.spread import Spread
from pytest_nfv.rings.table import open_ports
from pytest_nfv.rings.vhost_options import VhostOptions


def options(mtu: int, parameters: dict[str, str]) -> VhostOptions:
    return VhostOptions.of(PortSpec("vhost_user", "02:00:00:00:00:01", mtu, parameters))


def test_all_may_be_set() -> None:
    given = {
        "socket": "/s",
        "role": "server",
        "queues": "4",
        "rx_slots": "32768",
        "tx_slots": "64",
        "pages": "plain",
    }
    found = options(9000, given)
    assert found == VhostOptions("/s", 9000, "server", 4, 32768, 64, "plain")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "no socket; accepted: socket=PATH and role"),
        ({"socket": "/s", "rings": "2"}, "unknown parameter 'rings'; accepted: socket=PATH"),
        ({"socket": "/s", "role": "master"}, "role 'master': accepted: client, server"),
        ({"socket": "/s", "queues": "0"}, "queues '0': accepted: a whole number from 1 to 128"),
        ({"socket": "/s", "rx_slots": "1000"}, "rx_slots 1000: accepted: a power of two"),
        ({"socket": "/s", "tx_slots": "65536"}, "tx_slots '65536': accepted: a whole number from 64 to 32768"),
        ({"socket": "/s", "tx_slots": "²"}, "tx_slots '²'"),
        ({"socket": "/s", "pages": "4k"}, "pages '4k': accepted: auto, huge, plain"),
    ],
)
def test_what_is_wrong_is_named(parameters: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"vhost_user port 02:00:00:00:00:01: {message}"):
        options(1500, parameters)


def test_an_mtu_out_of_range_is_named() -> None:
    with pytest.raises(ConfigurationError, match="mtu 60: accepted: 68 to 9600"):
        options(60, {"socket": "/s"})


@pytest.mark.parametrize("kind", ["vhost_user", "vhost_user_backend"])
def test_a_path_that_no_socket_can_have_is_named(kind: str) -> None:
    with pytest.raises(ConfigurationError, match="accepted: a path of 1 to 107 octets"):
        open_ports([PortSpec(kind, "02:00:00:00:00:01", parameters={"socket": "/" + "x" * 107})])


def test_nobody_at_the_socket_is_named(tmp_path: Path) -> None:
    place = Rendezvous(str(tmp_path / "s"), "client", "port p")
    with pytest.raises(GeneratorError, match=r"port p: nobody serves the socket since 0.05 s: No such file"):
        place.meet(0.05)


def test_a_server_that_accepts_nobody_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen(0)
        place = Rendezvous(str(path), "client", "port p")
        first = place.meet()
        with pytest.raises(GeneratorError, match=r"port p: nobody serves the socket since 0.05 s"):
            place.meet(0.05)
        first.close()


def test_nobody_who_connects_is_named(tmp_path: Path) -> None:
    place = Rendezvous(str(tmp_path / "s"), "server", "port p")
    with pytest.raises(GeneratorError, match=r"port p: no peer connected within 0.05 s"):
        place.meet(0.05)
    place.close()
    assert not (tmp_path / "s").exists()


def test_a_socket_in_use_or_another_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("mine")
    with pytest.raises(GeneratorError, match="there is a file that is no socket"):
        Rendezvous(str(path), "server", "port p")
    assert path.read_text() == "mine"
    path.unlink()
    first = Rendezvous(str(path), "server", "port p")
    with pytest.raises(GeneratorError, match="another process serves it"):
        Rendezvous(str(path), "server", "port q")
    first.close()


def test_the_socket_of_a_dead_server_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    place = Rendezvous(str(path), "server", "port p")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.connect(str(path))
        place.meet().close()
    place.close()


def test_shared_memory_cannot_be_cut_by_a_peer() -> None:
    memory = SharedMemory(10_000, "plain", "port p")
    assert len(memory.array) >= 10_000
    assert not memory.array.any()
    with pytest.raises(PermissionError):
        os.ftruncate(memory.fd, 0)
    memory.array[-1] = 1
    memory.close()
    memory.close()


def test_huge_pages_that_are_not_there_are_named() -> None:
    with pytest.raises(GeneratorError, match=r"port p: 524288 huge pages of 2 MiB are wanted and not free: write"):
        SharedMemory(1 << 40, "huge", "port p")


class Recorder:
    """A queue that takes at most `room` frames."""

    burst_max = 64

    def __init__(self, room: int) -> None:
        self.room, self.sent, self.templates = room, list[int](), np.zeros(0, np.uint8)

    def prepare(self, frames: Prepared) -> None:
        self.templates = Frames.of(frames).templates[:, 0]

    def reserve(self, count: int) -> np.ndarray:
        self.words = np.zeros((min(count, 3), 2), np.uint64)
        return self.words

    def commit(self, count: int) -> tuple[int, int]:
        taken = min(count, self.room - len(self.sent))
        self.sent += self.words[:taken, 0].tolist()
        return taken, count - taken

    def arrange(self, octets: int) -> None: ...

    def forward(self, frames: np.ndarray, octets: np.ndarray) -> int:
        return len(frames)


@pytest.mark.parametrize("count", [1, 2, 5, 6])
def test_flows_keep_to_their_queue_and_their_order(count: int) -> None:
    queues = [Recorder(1000), Recorder(1000), Recorder(1000)]
    spread = Spread(queues)
    spread.prepare(np.arange(count, dtype=np.uint8)[:, None])
    done = 0
    for burst in (1, 7, 64, 30):
        words = spread.reserve(burst)
        words[:, 0] = np.arange(done, done + burst)
        assert spread.commit(burst) == (burst, 0)
        done += burst
    for index, queue in enumerate(queues):
        mine = [number for number in range(done) if number % count % 3 == index]
        assert queue.sent == mine
        assert queue.templates.tolist() == list(range(index, count, 3))


def test_a_full_queue_refuses_its_share_only() -> None:
    queues = [Recorder(1000), Recorder(2)]
    spread = Spread(queues)
    spread.prepare(np.arange(2, dtype=np.uint8)[:, None])
    words = spread.reserve(20)
    words[:, 0] = np.arange(20)
    assert spread.commit(20) == (12, 8)
    assert queues[0].sent == list(range(0, 20, 2))
