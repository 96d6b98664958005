"""Frames across a switch, a few at a time: what each contract with a real switch asks of a pair of ports."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from pytest_nfv.rings.port import Port

START_S = 20.0
SEEN_S = 1.0
WINDOW = 64  # frames in flight are fewer than twice this: far from what testpmd drops where a ring of 256 is full
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")
Opener = Callable[..., tuple[Port, ...]]


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
        assert time.monotonic() < deadline, "the switch forwards nothing"
        send(here, 0, 1)
    while take(there, 0.2):
        pass


def check_path(here: Port, there: Port, octets: int, count: int, flows: int = 1, window: int = WINDOW) -> None:
    """Send `count` frames, few at a time, and expect each back, whole and in its flow's order."""
    rows = templates(flows, octets)
    here.prepare(rows)
    there.expect(octets)
    sent = 0
    back: list[bytes] = []
    deadline = time.monotonic() + START_S
    while len(back) < count:
        assert time.monotonic() < deadline, f"{len(back)} of {sent} frames came back"
        if sent < count and sent - len(back) < window:
            sent += send(here, sent, min(window, count - sent))
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
