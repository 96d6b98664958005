"""DPDK's testpmd as a device or as a peer: a process on one core, read through its telemetry socket.

Needs neither huge pages nor PCI; all that it makes lies in the folder given (its own RUNTIME_DIRECTORY). It ends
with the process that started it. Run against DPDK 22.11 on Debian 12.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.windows import busiest
from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.hosts.local import LocalHost

START_S = 20.0
STOP_S = 5.0
POLLING_NS = 20_000_000  # a forwarding core that has used this much has begun to poll
LOOK_S = 0.01
_FORWARDED = re.compile(r"TX-packets:\s+(\d+)\s+TX-dropped:\s+(\d+)")


def needed(command: str, package: str) -> str:
    """Return the path of a command.

    Raises:
        CapabilityMissing: it is not installed; says which package has it.
    """
    path = shutil.which(command)
    if path is None:
        raise CapabilityMissing(command, "it is not installed", f"apt-get install {package}")
    return path


def wait_for(what: str, met: Callable[[], bool], timeout_s: float = START_S) -> None:
    """Look again and again until it is so.

    Raises:
        DeploymentError: it is not, by the deadline.
    """
    deadline = time.monotonic() + timeout_s
    while not met():
        if time.monotonic() >= deadline:
            raise DeploymentError(f"{what}: not so after {timeout_s:g} s")
        time.sleep(LOOK_S)


class Testpmd:
    """One testpmd that forwards, from when it is made to `stop`.

    Attributes:
        pid: its process; worker: the thread that forwards.
    """

    def __init__(
        self, folder: Path, name: str, core: int, devices: Sequence[str], mode: str, *options: str
    ) -> None:
        """Start it and wait until it forwards.

        Args:
            folder: where it keeps what it makes; short, as a socket's path has 107 octets at most.
            name: unique in the folder, and on the machine with the process id of this one.
            core: for everything that it does.
            devices: as `--vdev` takes them.
            mode: its forward mode.
            options: further ones of testpmd, behind `--`.

        Raises:
            CapabilityMissing: not installed.
            DeploymentError: it ended, or does not forward.
        """
        prefix = f"nfv-bench-{os.getpid()}-{name}"
        argv = [needed("dpdk-testpmd", "dpdk-dev"), "--lcores", f"0@{core},1@{core}", "--no-pci", "--no-huge"]
        argv += ["-m", "512", "--iova-mode=va", "--single-file-segments", f"--file-prefix={prefix}"]
        for device in devices:
            argv += ["--vdev", device]
        argv += ["--", "--nb-cores=1", "--auto-start", "--no-flush-rx", "--disable-link-check"]
        argv += ["--total-num-mbufs=16384", f"--forward-mode={mode}", *options]
        self._socket = folder / "dpdk" / prefix / "dpdk_telemetry.v2"
        self._what = f"testpmd {mode} on {', '.join(devices)}"
        self._process = LocalHost().start(argv, cores=(core,), env={"RUNTIME_DIRECTORY": str(folder)})
        self._link: socket.socket | None = None
        self.pid = self._process.pid
        try:
            wait_for(f"{self._what}: forwards", self._forwards)
            self._link = self._connected()
        except BaseException:  # Ctrl-C too: what was started so far must not stay
            self.stop()
            raise
        self.worker = busiest(self.pid)[0]

    def _forwards(self) -> bool:
        if self._process.poll() is not None:
            raise DeploymentError(f"{self._what}: it ended\n{self._process.stderr_tail()}")
        tid, cpu_ns = busiest(self.pid)
        return tid != self.pid and cpu_ns >= POLLING_NS and self._socket.exists()

    def _connected(self) -> socket.socket:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        link.settimeout(STOP_S)
        link.connect(str(self._socket))
        link.recv(4096)  # who it is
        return link

    def counters(self, ports: int, *names: str) -> tuple[int, ...]:
        """Return counters of all ports, each name summed (`ipackets`, `opackets`; rte_eth_stats)."""
        told = [self._asked(f"/ethdev/stats,{port}") for port in range(ports)]
        return tuple(sum(one[name] for one in told) for name in names)

    def _asked(self, question: str) -> dict[str, int]:
        if self._link is None:
            raise DeploymentError(f"{self._what}: it is stopped")
        try:
            self._link.send(question.encode())
            answer = json.loads(self._link.recv(65536))
        except (OSError, ValueError) as error:
            raise DeploymentError(
                f"{self._what}: no answer to {question} ({error})\n{self._process.stderr_tail()}"
            ) from error
        found: dict[str, int] = answer[question.partition(",")[0]]
        return found

    def stop(self) -> float:
        """End it; return which share of what it wanted to send was refused, all ports together.

        Safe to call twice.
        """
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._process.stdin.closed:
            return 0.0
        self._process.stdin.close()  # it forwards until then, and tells its counts as it ends
        text = self._last_words()
        self._process.stop(STOP_S)
        told = [(int(sent), int(dropped)) for sent, dropped in _FORWARDED.findall(text)]
        wanted = sum(sent + dropped for sent, dropped in told)
        return sum(dropped for _, dropped in told) / wanted if wanted else 0.0

    def _last_words(self) -> str:
        descriptor, text = self._process.stdout.fileno(), b""
        deadline = time.monotonic() + STOP_S
        while (left := deadline - time.monotonic()) > 0 and select.select([descriptor], [], [], left)[0]:
            piece = os.read(descriptor, 65536)
            if not piece:
                break
            text += piece
        return text.decode("utf-8", "replace")
