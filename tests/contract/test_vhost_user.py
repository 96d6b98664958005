"""vhost-user ports against their real peer, DPDK's testpmd: both ends, both roles, restarts, peers that die."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import pytest

from pytest_nfv.errors import GeneratorError
from pytest_nfv.model.offer import FlowOffer, Offer
from pytest_nfv.model.trial import Direction
from pytest_nfv.trafgen.engine import Trial, learn
from tests.contract.crossing import (
    MACS,
    SEEN_S,
    START_S,
    WINDOW,
    Opener,
    check_path,
    send,
    take,
    templates,
    wait_for_forwarding,
    watch,
)


class Dpdk(Protocol):
    """The fixture's."""

    def start(self, devices: Sequence[str], mode: str = "io", *arguments: str) -> subprocess.Popen[bytes]: ...


@pytest.fixture
def sockets(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "v0", tmp_path / "v1"


def vhost(sockets: tuple[Path, ...], extra: str = "") -> list[str]:
    return [f"net_vhost{index},iface={path}{extra}" for index, path in enumerate(sockets)]


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
