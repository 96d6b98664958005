"""Memif ports against DPDK's: testpmd in either role, which swaps the MAC addresses and sends the frames back."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pytest_nfv.errors import GeneratorError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.memif import MemifPort

DEADLINE_S = 30.0
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="testpmd without huge pages and shared files: run as root"
)


class Testpmd:
    """One testpmd, without huge pages, on a terminal of its own."""

    __test__ = False

    def __init__(self, folder: Path, devices: list[str], *options: str) -> None:
        core = min(os.sched_getaffinity(0))
        argv = ["dpdk-testpmd", "--lcores", f"0@{core},1@{core}", "--no-pci", "--no-telemetry"]
        argv += ["--no-huge", "--no-shconf", "-m", "256", "--file-prefix", f"nfv-{os.getpid()}"]
        for device in devices:
            argv += ["--vdev", device]
        argv += ["--", "--auto-start", "--forward-mode=macswap", "--total-num-mbufs=16384", "--no-flush-rx"]
        self._text = b""
        own, its = pty.openpty()
        environment = os.environ | {"RUNTIME_DIRECTORY": str(folder)}  # what it leaves behind goes with the folder
        self.process = subprocess.Popen([*argv, *options], stdin=its, stdout=its, stderr=its, env=environment)
        os.close(its)
        self._terminal = own
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                text = os.read(self._terminal, 4096)
            except OSError:  # the terminal's other end is gone
                return
            self._text += text

    def last_words(self) -> str:
        return self._text.decode("utf-8", "replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        os.close(self._terminal)


Start = Callable[..., tuple[MemifPort, ...]]


@pytest.fixture
def started() -> Iterator[list[Testpmd | MemifPort]]:
    """What is to be closed."""
    things: list[Testpmd | MemifPort] = []
    yield things
    for thing in reversed(things):
        thing.close()


@pytest.fixture
def start(tmp_path: Path, started: list[Testpmd | MemifPort], needs: Callable[[str], None]) -> Start:
    """Return a function that joins our ports, in a role, to testpmd's in the other."""
    needs("testpmd")
    path = tmp_path / "m.sock"

    def start(
        role: str, *options: str, abstract: bool = False, ids: int = 1, **parameters: str
    ) -> tuple[MemifPort, ...]:
        theirs = "server" if role == "client" else "client"
        where = f"socket={path},socket-abstract={'yes' if abstract else 'no'},rsize=10"
        devices = [f"net_memif{n},role={theirs},id={n},{where}" for n in range(ids)]
        given = {"socket": f"@{path}" if abstract else str(path), "role": role, "wait_s": "30"} | parameters
        specs = [PortSpec("memif", f"id {n}", parameters=given | {"id": str(n)}) for n in range(ids)]
        with ThreadPoolExecutor() as pool:
            opening = pool.submit(MemifPort.open_all, specs)
            while role == "server" and not abstract and not path.exists():
                assert not opening.done(), opening.exception()
            testpmd = Testpmd(tmp_path, devices, *options)
            started.append(testpmd)
            try:
                ports = opening.result()
            except GeneratorError as error:
                pytest.fail(f"{error}\n{testpmd.last_words()}")
        started.extend(ports)
        return ports

    return start


def templates(octets: int, count: int = 1) -> np.ndarray:
    rows = (np.arange(octets) + np.arange(count)[:, None]).astype(np.uint8)
    rows[:, :12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]
    return rows


def swapped(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows[:, 6:12], rows[:, :6], rows[:, 12:]], axis=1)


def round_trip(out: MemifPort, back: MemifPort, rows: np.ndarray, count: int, window: int = 512) -> None:
    """Send `count` numbered frames, at most `window` on the way, and check each that comes back."""
    octets = rows.shape[1]
    wanted = swapped(rows)
    out.prepare(rows)
    back.expect(octets)
    sent = got = 0
    deadline = time.monotonic() + DEADLINE_S
    while got < count:
        assert time.monotonic() < deadline, f"{got} of {sent} frames came back"
        words = out.reserve(min(64, count - sent, window - sent + got))
        words[:, 0], words[:, 1] = np.arange(sent, sent + len(words)), 5
        taken, refused = out.commit(len(words))
        assert refused == 0
        sent += taken
        arrived = back.receive(256)
        if arrived is None:
            continue
        numbers = np.arange(got, got + len(arrived.octets))
        words = arrived.frames[:, octets - 16 : octets].copy().view(np.uint64)
        assert (arrived.octets == octets).all()
        assert (arrived.frames[:, : octets - 16] == wanted[numbers % len(rows), :-16]).all()
        assert (words == np.stack([numbers, np.full(len(numbers), 5)], axis=1)).all()
        assert (
            arrived.frames[:, octets - 16 : octets].copy().view(np.uint64)
            == np.stack([numbers, 0 * numbers + 5], 1)
        ).all()
        got += len(numbers)
        back.release()
    assert back.receive(1) is None
    out.overruns()
    back.overruns()


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
@pytest.mark.parametrize("role", ["client", "server"])
def test_frames_come_back_whole_and_in_order(start: Start, role: str, abstract: bool) -> None:
    (port,) = start(role, abstract=abstract)
    for octets in (60, 124, 1514, 61):
        round_trip(port, port, templates(octets), 5000)
    round_trip(port, port, templates(60, 3), 5000)


@pytest.mark.parametrize("role", ["client", "server"])
def test_two_interfaces_on_one_socket(start: Start, role: str) -> None:
    here, there = start(role, ids=2)
    round_trip(here, there, templates(60), 3000)
    round_trip(there, here, templates(1514), 3000)


@pytest.mark.parametrize("slots", [("128", "4096"), ("8192", "256")])
def test_rings_of_two_sizes(start: Start, slots: tuple[str, str]) -> None:
    (port,) = start("client", rx_slots=slots[0], tx_slots=slots[1])
    round_trip(port, port, templates(60), 20_000, window=min(map(int, slots)) // 2)


@pytest.mark.parametrize("role", ["client", "server"])
def test_several_queues_carry_all_flows(start: Start, role: str) -> None:
    (port,) = start(role, "--rxq=2", "--txq=2", queues="2")
    port.prepare(templates(60, 4))
    sent = got = 0
    flows = np.zeros(256, np.int64)
    deadline = time.monotonic() + DEADLINE_S
    while got < 8000:
        assert time.monotonic() < deadline, f"{got} of {sent} frames came back"
        if sent < 8000 and sent - got < 256:
            sent += port.commit(len(port.reserve(64)))[0]
        if (arrived := port.receive(256)) is not None:
            flows += np.bincount(arrived.frames[:, 20], minlength=256)
            got += len(arrived.octets)
            port.release()
    assert flows[20:24].tolist() == [2000] * 4


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_testpmd_that_dies_is_seen(start: Start, started: list[Testpmd | MemifPort], role: str) -> None:
    (port,) = start(role)
    testpmd = started[0]
    assert isinstance(testpmd, Testpmd)
    testpmd.process.kill()
    testpmd.process.wait()
    with pytest.raises(GeneratorError, match="id 0: the peer is gone: it closed its control socket"):
        port.overruns()


def look_on(port: MemifPort) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        port.overruns()


def test_a_testpmd_that_stops_is_seen(start: Start, started: list[Testpmd | MemifPort]) -> None:
    (port,) = start("client")
    testpmd = started[0]
    assert isinstance(testpmd, Testpmd)
    round_trip(port, port, templates(60), 1000)
    testpmd.process.send_signal(signal.SIGSTOP)
    os.waitpid(testpmd.process.pid, os.WUNTRACED)
    port.commit(len(port.reserve(8)))
    with pytest.raises(GeneratorError, match="tx queue 0: the peer stopped: 8 frames wait and it took none since"):
        look_on(port)
