"""vhost-user ports against their real peer, DPDK's testpmd: both ends, both roles, restarts, peers that die."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from pytest_nfv.errors import GeneratorError
from pytest_nfv.model.offer import FlowOffer, Offer, PortSpec
from pytest_nfv.model.trial import Direction
from pytest_nfv.rings.port import Port
from pytest_nfv.rings.table import open_ports
from pytest_nfv.trafgen.engine import Trial, learn

START_S = 20.0
SEEN_S = 1.0
WINDOW = 64  # frames in flight are fewer than twice this: far from what testpmd drops where a ring of 256 is full
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")


class Dpdk(Protocol):
    """The fixture's."""

    def start(self, devices: Sequence[str], mode: str = "io", *arguments: str) -> subprocess.Popen[bytes]: ...


Opener = Callable[..., tuple[Port, ...]]


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Open ports; they are closed with the test."""
    all_of_them: list[Port] = []

    def open_some(kind: str, *sockets: Path, **parameters: str) -> tuple[Port, ...]:
        specs = [
            PortSpec(kind, mac, 1500, {"socket": str(path), **parameters})
            for mac, path in zip(MACS, sockets, strict=False)
        ]
        ports = open_ports(specs)
        all_of_them.extend(ports)
        return ports

    yield open_some
    for port in all_of_them:
        port.close()


@pytest.fixture
def sockets(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "v0", tmp_path / "v1"


def vhost(sockets: tuple[Path, ...], extra: str = "") -> list[str]:
    return [f"net_vhost{index},iface={path}{extra}" for index, path in enumerate(sockets)]


def templates(count: int, octets: int) -> np.ndarray:
    rows = np.arange(count * octets).reshape(count, octets).astype(np.uint8)
    rows[:, :14] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xB5]
    rows[:, 14] = np.arange(count)
    return rows


def send(port: Port, first: int, count: int) -> int:
    words = port.reserve(count)
    words[:, 0] = np.arange(first, first + len(words))
    words[:, 1] = 77
    return port.commit(len(words))[0]


def take(port: Port, seconds: float = 0.0) -> list[bytes]:
    """Return what arrived, within `seconds` where nothing had."""
    deadline = time.monotonic() + seconds
    while (arrived := port.receive(1024)) is None:
        if time.monotonic() >= deadline:
            return []
    frames = [row[:octets].tobytes() for row, octets in zip(arrived.frames, arrived.octets, strict=True)]
    port.release()
    return frames


def wait_for_forwarding(here: Port, there: Port) -> None:
    """Send until something comes, and then until nothing more does."""
    deadline = time.monotonic() + START_S
    here.prepare(templates(1, 60))
    there.expect(60)
    while not take(there, 0.02):
        assert time.monotonic() < deadline, "testpmd forwards nothing"
        send(here, 0, 1)
    while take(there, 0.2):
        pass


def check_path(here: Port, there: Port, octets: int, count: int, flows: int = 1) -> None:
    """Send `count` frames, few at a time, and expect each back, whole and in its flow's order."""
    rows = templates(flows, octets)
    here.prepare(rows)
    there.expect(octets)
    sent = 0
    back: list[bytes] = []
    deadline = time.monotonic() + START_S
    while len(back) < count:
        assert time.monotonic() < deadline, f"{len(back)} of {sent} frames came back"
        if sent < count and sent - len(back) < WINDOW:
            sent += send(here, sent, min(64, count - sent))
        back += take(there)
    for flow in range(flows):
        mine = [frame for frame in back if frame[14] == rows[flow, 14]]
        numbers = [int.from_bytes(frame[-16:-8], "little") for frame in mine]
        assert numbers == list(range(flow, count, flows))
        assert {frame[:-16] for frame in mine} == {rows[flow].tobytes()[:-16]}


def watch(port: Port, until_s: float) -> None:
    """Look after the port as the engine does."""
    while time.monotonic() < until_s:
        port.overruns()


@pytest.mark.parametrize("role", ["client", "server"])
def test_frames_cross_testpmd_whole_and_in_order(
    testpmd: Dpdk, opened: Opener, sockets: tuple[Path, Path], role: str
) -> None:
    testpmd.start(vhost(sockets, ",client=1" if role == "server" else ""))
    here, there = opened("vhost_user", *sockets, role=role)
    for one, other in ((here, there), (there, here)):
        wait_for_forwarding(one, other)
        for octets in (60, 61, 1514):
            check_path(one, other, octets, 3000)


@pytest.mark.parametrize(("rx_slots", "tx_slots"), [("64", "128"), ("4096", "4096"), ("32768", "32768")])
def test_rings_of_any_size_go_round(
    testpmd: Dpdk, opened: Opener, sockets: tuple[Path, Path], rx_slots: str, tx_slots: str
) -> None:
    testpmd.start(vhost(sockets))
    here, there = opened("vhost_user", *sockets, rx_slots=rx_slots, tx_slots=tx_slots, pages="plain")
    window = min(WINDOW, int(rx_slots) // 2)
    assert there.receive_slots == int(rx_slots)
    wait_for_forwarding(here, there)
    here.prepare(templates(1, 60))
    sent = back = 0
    deadline = time.monotonic() + START_S
    while back < 70_000:
        assert time.monotonic() < deadline
        if sent - back < window:
            sent += send(here, sent, window // 2)
        for frame in take(there):
            assert int.from_bytes(frame[-16:-8], "little") == back
            back += 1


def test_flows_are_spread_over_queue_pairs(testpmd: Dpdk, opened: Opener, sockets: tuple[Path, Path]) -> None:
    testpmd.start(vhost(sockets, ",queues=2"), "io", "--rxq=2", "--txq=2")
    here, there = opened("vhost_user", *sockets, queues="2")
    wait_for_forwarding(here, there)
    check_path(here, there, 60, 4000, flows=4)
    used = [queue.progress[0] for queue in here._senders]  # type: ignore[attr-defined]  # which queue is no one's business
    assert min(used) >= 2000 - WINDOW


def test_a_switch_that_dies_is_named_and_its_successor_found(
    testpmd: Dpdk, opened: Opener, sockets: tuple[Path, Path]
) -> None:
    first = testpmd.start(vhost(sockets))
    here, there = opened("vhost_user", *sockets)
    wait_for_forwarding(here, there)
    first.kill()
    first.wait()
    killed = time.monotonic()
    with pytest.raises(GeneratorError, match=f"vhost_user port {sockets[0]}: the peer is gone"):
        watch(here, killed + SEEN_S)
    for path in sockets:
        path.unlink()
    testpmd.start(vhost(sockets))
    wait_for_forwarding(here, there)
    check_path(here, there, 60, 1000)


def test_a_switch_that_comes_back_finds_the_socket_that_is_served(
    testpmd: Dpdk, opened: Opener, sockets: tuple[Path, Path]
) -> None:
    first = testpmd.start(vhost(sockets, ",client=1"))
    here, there = opened("vhost_user", *sockets, role="server")
    wait_for_forwarding(here, there)
    first.kill()
    first.wait()
    testpmd.start(vhost(sockets, ",client=1"))
    wait_for_forwarding(here, there)
    check_path(here, there, 60, 1000)


def test_a_switch_that_stops_polling_is_named(testpmd: Dpdk, opened: Opener, sockets: tuple[Path, Path]) -> None:
    process = testpmd.start(vhost(sockets))
    here, there = opened("vhost_user", *sockets)
    wait_for_forwarding(here, there)
    os.kill(process.pid, signal.SIGSTOP)
    send(here, 0, 10)
    stopped = time.monotonic()
    with pytest.raises(GeneratorError, match="queue 1: the peer stopped: it holds 10 frames and returned none"):
        watch(here, stopped + SEEN_S)
    os.kill(process.pid, signal.SIGCONT)
    wait_for_forwarding(here, there)


def test_the_generator_counts_exactly_through_testpmd(
    testpmd: Dpdk, opened: Opener, sockets: tuple[Path, Path]
) -> None:
    testpmd.start(vhost(sockets))
    ports = opened("vhost_user", *sockets)
    wait_for_forwarding(*ports)
    learn(ports, MACS)
    frame = templates(1, 60)[0].tobytes().hex()
    flows = tuple(FlowOffer(tx, Direction(tx, 1 - tx), 20_000, 4000, frame) for tx in (0, 1))
    report = Trial(ports, Offer(flows), lambda *_: None).run()
    for counts in report.flows:
        assert counts.sent == counts.received + counts.lost
        assert (counts.duplicated, counts.reordered, counts.corrupted, counts.foreign) == (0, 0, 0, 0)
        assert counts.received > 0
    assert len(report.latency) == 2


def virtio_user(path: Path, extra: str = "") -> list[str]:
    return [f"net_virtio_user0,path={path},queue_size=256{extra}"]


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_driver_in_testpmd_gets_frames_and_returns_them(
    testpmd: Dpdk, opened: Opener, sockets: tuple[Path, Path], role: str
) -> None:
    (port,) = opened("vhost_user_backend", sockets[0], role=role)
    testpmd.start(virtio_user(sockets[0], ",server=1" if role == "client" else ""), "io", "--port-topology=loop")
    wait_for_forwarding(port, port)
    for octets in (60, 61, 1514):
        check_path(port, port, octets, 3000)


def test_a_driver_that_dies_is_named_and_its_successor_served(
    testpmd: Dpdk, opened: Opener, sockets: tuple[Path, Path]
) -> None:
    (port,) = opened("vhost_user_backend", sockets[0], role="server")
    first = testpmd.start(virtio_user(sockets[0]), "io", "--port-topology=loop")
    wait_for_forwarding(port, port)
    first.kill()
    first.wait()
    killed = time.monotonic()
    with pytest.raises(GeneratorError, match=f"vhost_user_backend port {sockets[0]}: the driver is gone"):
        watch(port, killed + SEEN_S)
    testpmd.start(virtio_user(sockets[0]), "io", "--port-topology=loop")
    wait_for_forwarding(port, port)
    check_path(port, port, 60, 1000)


def test_no_descriptor_stays_open(testpmd: Dpdk, opened: Opener, sockets: tuple[Path, Path]) -> None:
    testpmd.start(vhost(sockets))
    before = len(os.listdir("/proc/self/fd"))
    here, there = opened("vhost_user", *sockets)
    wait_for_forwarding(here, there)
    for port in (here, there):
        port.close()
    assert len(os.listdir("/proc/self/fd")) == before
    for use in (lambda: here.expect(60), lambda: here.reserve(1), lambda: here.receive(1), here.overruns):
        with pytest.raises(GeneratorError, match=f"vhost_user port {sockets[0]}: the port is closed"):
            use()
