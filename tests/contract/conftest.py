"""What contract tests share: DPDK's testpmd as a real peer, without huge pages and without root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.port import Port
from pytest_nfv.rings.table import open_ports
from tests.contract.crossing import MACS, Opener

STOP_S = 10.0


class Testpmd:
    """Starts testpmd processes on the device's core; ends each with the test."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, devices: Sequence[str], mode: str = "io", *arguments: str) -> subprocess.Popen[bytes]:
        """Start one that forwards between `devices`, given as `--vdev` takes them."""
        core = min(os.sched_getaffinity(0))
        number = len(self._running)
        argv = ["dpdk-testpmd", "--lcores", f"0@{core},1@{core}", "--no-pci", "--no-huge", "-m", "256"]
        argv += ["--iova-mode=va", "--no-telemetry", f"--file-prefix=nfv-test-{os.getpid()}-{number}"]
        for device in devices:
            argv += ["--vdev", device]
        argv += ["--", "--nb-cores=1", "--auto-start", "--no-flush-rx", "--disable-link-check"]
        argv += ["--total-num-mbufs=4096", f"--forward-mode={mode}", *arguments]
        environment = os.environ | {"RUNTIME_DIRECTORY": str(self._folder)}  # what it leaves goes with the folder
        with open(self._folder / f"testpmd-{number}.log", "wb") as log:
            process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=self._folder, env=environment
            )
        self._running.append(process)
        return process

    def stop(self) -> None:
        """End all."""
        for process in self._running:
            assert process.stdin is not None
            process.stdin.close()
            process.kill()
            process.wait(STOP_S)


@pytest.fixture
def testpmd(tmp_path: Path, needs: Callable[[str], None]) -> Iterator[Testpmd]:
    needs("testpmd")
    runner = Testpmd(tmp_path)
    yield runner
    runner.stop()


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
