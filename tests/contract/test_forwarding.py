"""What every port that a network function can own promises (`rings/forwarding.py`), asked of two joined ports."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.forwarding import ForwardingPort, forwarding
from pytest_nfv.rings.loopback import LoopbackPort
from pytest_nfv.rings.table import open_ports
from tests.contract.test_ports import own_namespace, veth

MTU = 1500
LONGEST = MTU + 14
DEADLINE_S = 5.0
Pair = tuple[ForwardingPort, ForwardingPort]


def given(kind: str, number: int, **parameters: str) -> PortSpec:
    return PortSpec(kind, f"02:00:00:00:00:0{number}", MTU, parameters)


def interfaces(kind: str, folder: Path) -> Pair:
    veth()
    slots = {"rx_slots": "1024", "tx_slots": "256"} if kind == "af_xdp" else {}
    return both([given(kind, number, interface=name, **slots) for number, name in enumerate("ab")])


def both(specs: list[PortSpec]) -> Pair:
    first, second = forwarding(open_ports(specs), [spec.kind for spec in specs])
    return first, second


def memif(folder: Path, queues: str, roles: tuple[str, str]) -> Pair:
    slots = {"socket": str(folder / "memif"), "rx_slots": "256", "tx_slots": "256", "queues": queues}
    return both([given("memif", number, role=role, **slots) for number, role in enumerate(roles)])


def vhost(folder: Path, kinds: tuple[str, str], queues: str = "1") -> Pair:
    slots = {"socket": str(folder / "vhost"), "rx_slots": "256", "tx_slots": "256", "queues": queues}
    roles = {"vhost_user_backend": "server", "vhost_user": "client"}
    order = sorted(kinds, key=lambda kind: kind == "vhost_user")  # the one that serves comes first
    opened = {kind: open_ports([given(kind, 1, role=roles[kind], **slots)])[0] for kind in order}
    first, second = forwarding([opened[kind] for kind in kinds], kinds)
    return first, second


KINDS: dict[str, Callable[[Path], Pair]] = {
    "loopback": lambda folder: LoopbackPort.pair(256),
    "af_packet": lambda folder: interfaces("af_packet", folder),
    "af_xdp": lambda folder: interfaces("af_xdp", folder),
    "memif-client": lambda folder: memif(folder, "1", ("client", "server")),
    "memif-server": lambda folder: memif(folder, "1", ("server", "client")),
    "memif-client-2": lambda folder: memif(folder, "2", ("client", "server")),
    "vhost_user": lambda folder: vhost(folder, ("vhost_user", "vhost_user_backend")),
    "vhost_user-2": lambda folder: vhost(folder, ("vhost_user", "vhost_user_backend"), "2"),
    "vhost_user_backend": lambda folder: vhost(folder, ("vhost_user_backend", "vhost_user")),
}
MANY_QUEUES = "-2"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    if not request.param.startswith("af_"):
        yield request.param
        return
    with own_namespace():
        yield request.param


@pytest.fixture
def pair(kind: str, tmp_path: Path) -> Iterator[Pair]:
    """Two ports, ready for frames of the MTU; the first is of the kind."""
    ports = KINDS[kind](tmp_path)
    for port in ports:
        port.expect(LONGEST)
        port.arrange(LONGEST)
    yield ports
    for port in ports:
        port.close()


def numbered(first: int, lengths: list[int]) -> list[bytes]:
    """Frames to the second port, all different, with a 5-tuple of their own each."""
    head = bytes.fromhex("0200000000010200000000000800") + bytes(12)
    return [
        (head + number.to_bytes(4) + b"\xc6\x13\0\x01" + number.to_bytes(4)).ljust(octets, bytes([number % 251]))
        for number, octets in enumerate(lengths, first)
    ]


def offer(port: ForwardingPort, frames: list[bytes], width: int = LONGEST) -> int:
    rows = np.full((len(frames), width), 0xEE, np.uint8)
    for row, frame in zip(rows, frames, strict=True):
        row[: len(frame)] = np.frombuffer(frame, np.uint8)
    return port.forward(rows, np.array([len(frame) for frame in frames], np.int64))


def collect(port: ForwardingPort, count: int) -> list[bytes]:
    frames: list[bytes] = []
    deadline = time.monotonic() + DEADLINE_S
    while len(frames) < count and time.monotonic() < deadline:
        arrived = port.receive(64)
        if arrived is not None:
            rows = zip(arrived.frames, arrived.octets.tolist(), strict=True)
            frames += [row[:octets].tobytes() for row, octets in rows]
            port.release()
    return frames


def check_same(kind: str, arrived: list[bytes], sent: list[bytes]) -> None:
    """Several queues keep the order of each flow only, and here each frame is a flow."""
    assert (sorted(arrived) == sorted(sent)) if kind.endswith(MANY_QUEUES) else (arrived == sent)


@pytest.mark.parametrize("lengths", [[60] * 50, [61] * 50, [60, 1514, 61, 300, 1000] * 10, [1514] * 50])
def test_any_octets_of_any_length_arrive_as_they_were(kind: str, pair: Pair, lengths: list[int]) -> None:
    for batch in range(12):  # more than once around the rings
        frames = numbered(1000 * batch, lengths)
        assert offer(pair[0], frames) == len(frames)
        check_same(kind, collect(pair[1], len(frames)), frames)


def test_lengths_change_from_batch_to_batch(kind: str, pair: Pair) -> None:
    for batch in range(40):
        frames = numbered(100 * batch, [[60], [200, 60], [60, 60, 60], [1514] * 3][batch % 4] * 7)
        assert offer(pair[0], frames) == len(frames)
        check_same(kind, collect(pair[1], len(frames)), frames)


def test_frames_lie_anywhere(kind: str, pair: Pair) -> None:
    frames = numbered(0, [60] * 20)
    rows = np.full((20, 99), 0xEE, np.uint8)
    for row, frame in zip(rows, frames, strict=True):
        row[7:67] = np.frombuffer(frame, np.uint8)
    assert pair[0].forward(rows[:, 7:], np.full(20, 60, np.int64)) == 20
    assert pair[0].forward(rows[::2, 7:], np.full(10, 60, np.int64)) == 10
    check_same(kind, collect(pair[1], 30), frames + frames[::2])


def test_what_the_full_ring_has_no_room_for_is_told(kind: str, pair: Pair) -> None:
    if kind.startswith("af_"):
        pytest.skip("the kernel takes frames as they come: its far ring is larger than what one test fills")
    frames = numbered(0, [60] * 1000)
    taken = offer(pair[0], frames)
    assert 0 < taken < len(frames)
    arrived = collect(pair[1], taken)
    assert len(arrived) == taken
    if not kind.endswith(MANY_QUEUES):
        assert arrived == frames[:taken]
    assert offer(pair[0], frames[:50]) == 50  # and on it goes
    check_same(kind, collect(pair[1], 50), frames[:50])


def test_templates_and_forwarded_frames_take_turns(kind: str, pair: Pair) -> None:
    for _ in range(3):
        template = np.frombuffer(numbered(5, [60])[0], np.uint8)[None, :]
        pair[0].prepare(template)
        words = pair[0].reserve(1)
        words[:] = 7
        assert pair[0].commit(len(words)) == (1, 0)
        assert [frame[:44] for frame in collect(pair[1], 1)] == [template[0, :44].tobytes()]
        pair[0].arrange(LONGEST)
        frames = numbered(9, [60, 90])
        assert offer(pair[0], frames) == 2
        check_same(kind, collect(pair[1], 2), frames)


def test_longer_frames_than_the_mtu_allows_are_refused(kind: str, pair: Pair) -> None:
    if kind == "loopback":
        pytest.skip("it has no MTU")
    with pytest.raises(ConfigurationError, match=r"9004.*MTU is 1500"):
        pair[0].arrange(9000)


def test_a_kind_that_cannot_forward_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"port kind 'raw_socket' cannot forward.*memif"):
        forwarding([object()], ["raw_socket"])  # type: ignore[list-item]  # stands for a port without `forward`
