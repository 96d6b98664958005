"""What every kind of port promises (`rings/port.py`), asked of two ports that are joined."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from pytest_nfv.errors import ConfigurationError, GeneratorError
from pytest_nfv.hosts import kernel, userns
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.af_packet import AfPacketPort
from pytest_nfv.rings.frames import Frames
from pytest_nfv.rings.loopback import LoopbackPort
from pytest_nfv.rings.port import Port
from pytest_nfv.rings.table import open_ports

MTU = 1500
DEADLINE_S = 5.0
Pair = tuple[Port, Port]


@contextmanager
def own_namespace() -> Iterator[None]:
    """Be in a new network namespace meanwhile; it ends with the last socket that was opened in it."""
    if not userns.privileged():
        pytest.skip("a network namespace in mid-process takes CAP_SYS_ADMIN and CAP_NET_ADMIN: run as root")
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        kernel.unshare(kernel.CLONE_NEWNET)
        try:
            Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")  # no frames but ours
            yield
        finally:
            kernel.setns(home, kernel.CLONE_NEWNET)
    finally:
        os.close(home)


def veth() -> None:
    from pyroute2 import IPRoute  # type: ignore[import-untyped]  # pyroute2 ships no types

    with IPRoute() as routes:
        routes.link("add", ifname="a", kind="veth", peer={"ifname": "b"}, mtu=MTU)
        for name in ("a", "b"):
            routes.link("set", index=routes.link_lookup(ifname=name)[0], state="up")


def joined_interfaces() -> Pair:
    veth()
    return AfPacketPort("a", MTU, slots=1024), AfPacketPort("b", MTU, slots=1024)


def af_xdp_pair(steer: str) -> Pair:
    veth()
    given = {"rx_slots": "1024", "tx_slots": "256", "steer": steer}
    here, there = open_ports(
        [
            PortSpec("af_xdp", "02:00:00:00:00:02", MTU, {"interface": name, **given})  # where all frames go
            for name in ("a", "b")
        ]
    )
    return here, there


def memif_pair(folder: Path, roles: tuple[str, str]) -> Pair:
    given = {"socket": str(folder / "memif.sock"), "rx_slots": "1024", "tx_slots": "1024"}
    here, there = open_ports(
        [PortSpec("memif", f"02:00:00:00:00:0{n}", MTU, {**given, "role": role}) for n, role in enumerate(roles)]
    )
    return here, there


def vhost_user_pair(folder: Path, roles: tuple[str, str]) -> Pair:
    given = {"socket": str(folder / "vhost.sock"), "rx_slots": "1024", "tx_slots": "1024"}
    (there,) = open_ports([PortSpec("vhost_user_backend", "02:00:00:00:00:01", MTU, {**given, "role": roles[1]})])
    (here,) = open_ports([PortSpec("vhost_user", "02:00:00:00:00:02", MTU, {**given, "role": roles[0]})])
    return here, there


KINDS = (
    *("loopback", "af_packet", "af_xdp", "af_xdp-mac"),
    *("memif-client", "memif-server", "vhost_user-client", "vhost_user-server"),
)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    if not request.param.startswith("af_"):
        yield request.param
        return
    with own_namespace():
        yield request.param


@pytest.fixture
def pair(kind: str, tmp_path: Path) -> Iterator[Pair]:
    """Two ports; the first is of the kind and role."""
    makers: dict[str, Callable[[], Pair]] = {
        "loopback": LoopbackPort.pair,
        "af_packet": joined_interfaces,
        "af_xdp": lambda: af_xdp_pair("queue"),
        "af_xdp-mac": lambda: af_xdp_pair("mac"),
        "memif-client": lambda: memif_pair(tmp_path, ("client", "server")),
        "memif-server": lambda: memif_pair(tmp_path, ("server", "client")),
        "vhost_user-client": lambda: vhost_user_pair(tmp_path, ("client", "server")),
        "vhost_user-server": lambda: vhost_user_pair(tmp_path, ("server", "client")),
    }
    ports = makers[kind]()
    yield ports
    for port in ports:
        port.close()
        port.close()


@pytest.fixture
def interfaces() -> Iterator[Pair]:
    with own_namespace():
        ports = joined_interfaces()
        yield ports
        for port in ports:
            port.close()


def templates(count: int, octets: int, tag: bytes = b"") -> np.ndarray:
    rows = np.arange(count * octets, dtype=np.uint64).reshape(count, octets).astype(np.uint8)
    rows[:, :12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]
    head = np.frombuffer(tag + b"\x88\xb5", np.uint8)
    rows[:, 12 : 12 + len(head)] = head
    return rows


def send(port: Port, first: int, count: int) -> int:
    """Send frames numbered from `first` in word 0; return how many were refused."""
    refused = done = 0
    while done < count:
        words = port.reserve(count - done)
        assert 0 < len(words) <= port.burst_max
        assert words.shape == (len(words), 2)
        words[:, 0] = np.arange(first + done, first + done + len(words))
        words[:, 1] = 77
        taken, lost = port.commit(len(words))
        assert taken + lost == len(words)
        refused += lost
        done += taken + lost
    return refused


def collect(port: Port, count: int, wait_s: float = DEADLINE_S) -> list[bytes]:
    """Return the next `count` frames, or those that came within `wait_s`."""
    frames: list[bytes] = []
    deadline = time.monotonic() + wait_s
    while len(frames) < count and time.monotonic() < deadline:
        arrived = port.receive(count - len(frames))
        if arrived is None:
            continue
        assert len(arrived.frames) == len(arrived.octets) == len(arrived.stamps_ns)
        frames += [row[:n].tobytes() for row, n in zip(arrived.frames, arrived.octets, strict=True)]
        port.release()
    return frames


def expected(rows: np.ndarray, first: int, count: int) -> list[bytes]:
    frames = []
    for number in range(first, first + count):
        words = np.array([number, 77], np.uint64)
        frames.append(rows[number % len(rows)].tobytes()[:-16] + words.tobytes())
    return frames


@pytest.mark.parametrize("octets", [60, 61, 124, 1514])
@pytest.mark.parametrize("count", [1, 3])
def test_frames_arrive_whole_in_order_and_by_turns(pair: Pair, octets: int, count: int) -> None:
    here, there = pair
    rows = templates(count, octets)
    here.prepare(rows)
    there.expect(octets)
    for first, some in ((0, 1), (1, 7), (8, 200)):
        assert send(here, first, some) == 0
        assert collect(there, some) == expected(rows, first, some)
    assert there.receive(10) is None


SIZES = (60, 61, 590, 1514)
TABLES = {"sizes": (4, 1), "sizes in a long cycle": (7, 1), "varied": (1, 50), "sizes and varied": (8, 37)}


@pytest.mark.parametrize(("period", "varied"), TABLES.values(), ids=TABLES)
def test_a_table_arrives_frame_by_frame(pair: Pair, period: int, varied: int) -> None:
    here, there = pair
    each = [templates(1, SIZES[place % len(SIZES)] if period > 1 else 60)[0] for place in range(period)]
    for place, one in enumerate(each):
        one[20] = place
    table = Frames.mixed(each)
    rows = np.random.default_rng(1).integers(0, 256, (varied, 16)).astype(np.uint8)
    if varied > 1:
        table = table.varying(rows, np.full(period, 22))
    here.prepare(table)
    there.expect(max(SIZES))

    def due(number: int) -> bytes:
        body = each[number % period].copy()
        if varied > 1:
            body[22:38] = rows[number % varied]
        return bytes(body[:-16].tobytes() + np.array([number, 77], np.uint64).tobytes())

    sent = 0
    for some in (1, 9, 200, 700, 300, 64, 900):
        assert send(here, sent, some) == 0
        assert collect(there, some) == [due(number) for number in range(sent, sent + some)]
        sent += some


def test_both_ends_send(pair: Pair) -> None:
    for here, there in (pair, pair[::-1]):
        rows = templates(1, 60)
        here.prepare(rows)
        send(here, 0, 5)
        assert collect(there, 5) == expected(rows, 0, 5)
        assert here.receive(1) is None, "a port hears itself"


def test_sizes_change_from_trial_to_trial(pair: Pair) -> None:
    here, there = pair
    for octets in (1514, 60, 777):
        rows = templates(1, octets)
        here.prepare(rows)
        there.expect(octets)
        send(here, 0, 20)
        assert collect(there, 20) == expected(rows, 0, 20)
    assert there.overruns() == 0


def test_a_longer_frame_than_expected_keeps_its_length(pair: Pair) -> None:
    here, there = pair
    here.prepare(templates(1, 1000))
    there.expect(60)
    send(here, 0, 1)
    deadline = time.monotonic() + DEADLINE_S
    while (arrived := there.receive(1)) is None and time.monotonic() < deadline:
        pass
    assert arrived is not None
    assert arrived.octets.tolist() == [1000]


@pytest.mark.parametrize("tag", [b"\x81\x00\x20\x05", b"\x88\xa8\x00\x07"])
def test_a_vlan_tag_stays_in_the_frame(pair: Pair, tag: bytes) -> None:
    here, there = pair
    rows = templates(1, 64, tag)
    here.prepare(rows)
    there.expect(64)
    send(here, 0, 9)
    assert collect(there, 9) == expected(rows, 0, 9)


def test_stamps_lie_between_sending_and_receiving(pair: Pair) -> None:
    here, there = pair
    here.prepare(templates(1, 60))
    before = time.monotonic_ns()
    send(here, 0, 1)
    deadline = time.monotonic() + DEADLINE_S
    while (arrived := there.receive(1)) is None and time.monotonic() < deadline:
        pass
    assert arrived is not None
    slack = 100_000  # two clocks are compared
    assert before - slack <= int(arrived.stamps_ns[0]) <= time.monotonic_ns() + slack


def test_the_ring_goes_round(pair: Pair) -> None:
    here, there = pair
    rows = templates(1, 60)
    here.prepare(rows)
    for first in range(0, 3 * there.receive_slots, 500):
        send(here, first, 500)
        assert collect(there, 500) == expected(rows, first, 500)
    assert there.overruns() == 0


def test_frames_without_room_are_refused_or_overrun(pair: Pair) -> None:
    here, there = pair
    here.prepare(templates(1, 60))
    count = there.receive_slots + 1000
    refused = send(here, 0, count)
    arrived = len(collect(there, count, wait_s=0.5))
    assert arrived == there.receive_slots
    assert 1000 in (refused, refused + there.overruns())  # a ring that is found full may count as an overrun too


def test_a_frame_above_the_mtu_is_refused_by_name(interfaces: Pair) -> None:
    here, _ = interfaces
    with pytest.raises(ConfigurationError, match="frame size 1519: accepted on interface a: up to 1518 octets"):
        here.prepare(templates(1, 1515))


def test_a_closed_port_says_so(interfaces: Pair) -> None:
    here, _ = interfaces
    here.close()
    for use in (lambda: here.reserve(1), lambda: here.receive(1)):
        with pytest.raises(GeneratorError, match="interface a: the port is closed"):
            use()


def test_an_interface_that_is_removed_is_named(interfaces: Pair) -> None:
    from pyroute2 import IPRoute

    here, there = interfaces
    here.prepare(templates(1, 60))
    with IPRoute() as routes:
        routes.link("del", index=routes.link_lookup(ifname="a")[0])
    here.reserve(1)
    with pytest.raises(GeneratorError, match=r"interface a: .* while sending: it was taken down or removed"):
        here.commit(1)
    with pytest.raises(GeneratorError, match=r"interface b: .* while receiving: it was taken down or removed"):
        there.overruns()


def test_no_descriptor_stays_open(interfaces: Pair) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    for port in interfaces:
        port.close()
    before = count()
    port = AfPacketPort("a", MTU)
    opened = count()
    for octets in (60, 128, 1514):
        port.expect(octets)
        assert count() == opened
    port.close()
    assert count() == before
