"""testpmd as a network function: L2Fwd by mode `io`, between two interfaces or two vhost-user sockets.

A vNIC that is an interface is opened by DPDK's net_af_packet, a socket by net_virtio_user. One process, whose
forwarding thread polls; where its core is another's too, both get their turns from the kernel.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pytest_nfv.dpdk.argv import COMMAND, Need, argv
from pytest_nfv.dpdk.console import Console
from pytest_nfv.dpdk.settings import Settings
from pytest_nfv.dpdk.stats import PortStats, port_stats, worker_cycles
from pytest_nfv.errors import CapabilityMissing, ConfigurationError, DeploymentError
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.polling import prefer, prefer_started, threads_below
from pytest_nfv.hosts.protocol import Host, Process
from pytest_nfv.model.nf import Function
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.vnf import FUNCTIONS
from pytest_nfv.vnfs.protocol import VnicCounters

_AF_PACKET = "framesz=2048,blocksz=4096,framecnt=512"  # a frame of 2 KiB holds an MTU of 1,500 and its header
AF_PACKET_MTU_MAX = 1500
_QUEUE_SLOTS = 1024


class TestpmdEngine:
    """One process between two vNICs.

    Attributes:
        notes: what a reader must know beside every figure: a thread without its priority.
    """

    name: ClassVar[str] = "testpmd"
    functions: ClassVar[tuple[type, ...]] = FUNCTIONS["testpmd"]
    __test__ = False

    def __init__(self, lab: Lab, host: Host, function: Function, name: str) -> None:
        """Make an engine; nothing runs yet.

        Args:
            lab: the run's.
            host: where it is to run; with interfaces for vNICs, the network namespace that they are in.
            function: what to do.
            name: for messages: `vnf0`.

        Raises:
            ConfigurationError: a function that testpmd has not.
        """
        if not isinstance(function, self.functions):
            raise ConfigurationError(f"engine {self.name}: function {function}: accepted: L2Fwd")
        self._lab, self._host, self._name = lab, host, name
        self._folder: Path | None = None
        self._process: Process | None = None
        self._console: Console | None = None
        self._ring = ""
        self._started_s = 0.0
        self.notes: tuple[str, ...] = ()

    def start(self, nics: Sequence[PortSpec], cores: Sequence[int]) -> None:
        """Start it on the first of `cores`, and let it forward.

        Raises:
            CapabilityMissing: there is no testpmd.
            ConfigurationError: a vNIC that it cannot open.
            DeploymentError: it did not come up; with its own last words.
        """
        if shutil.which(COMMAND) is None:
            raise CapabilityMissing("testpmd", f"{COMMAND} is not installed", "apt-get install dpdk-dev")
        devices = [self._device(number, nic) for number, nic in enumerate(nics)]
        settings = Settings(queues=int(nics[0].parameters.get("queues", "1")))
        self._folder = Path(tempfile.mkdtemp(prefix="vnf-", dir=self._lab.directory))
        need = Need.of(settings, len(nics), nics[0].mtu)
        huge, note = self._lab.huge_pages(need.mebibytes)
        prefix = f"{self._lab.run_id}-{self._folder.name}"
        command = argv(settings, need, devices, [], cores[:1], prefix, huge=huge)
        if huge and nics[0].kind == "vhost_user":
            command.insert(command.index("--vdev"), "--single-file-segments")  # virtio-user shares few files only
        try:
            self._process = self._host.start(
                command, cores=cores[:1], env={"RUNTIME_DIRECTORY": str(self._folder)}
            )
            prefer_started(self._process.pid, COMMAND)
            self._console = Console(self._process, f"{self._name}: testpmd")
            self._console.greeting()
            self._console.ask("start")
            self._started_s = time.monotonic()
        except BaseException:
            self.stop()
            raise
        notes = () if huge else (f"{self._name} has no huge pages: {note}",)
        self.notes = (*notes, *prefer(self.threads()))

    def _device(self, number: int, nic: PortSpec) -> str:
        given: Mapping[str, str] = nic.parameters
        if nic.kind == "af_packet":
            if nic.mtu > AF_PACKET_MTU_MAX:
                raise ConfigurationError(
                    f"engine {self.name}: mtu {nic.mtu} on an interface: accepted: up to {AF_PACKET_MTU_MAX}"
                )
            self._ring = "socket buffer"
            return f"net_af_packet{number},iface={given['interface']},{_AF_PACKET}"
        if nic.kind == "vhost_user":
            self._ring = "vhost ring"
            serves = ",server=1" if given.get("role") == "server" else ""
            queues = given.get("queues", "1")
            slots = given.get("rx_slots", str(_QUEUE_SLOTS))
            return (
                f"net_virtio_user{number},path={given['socket']},mac={nic.address},queues={queues},"
                f"queue_size={slots}{serves}"
            )
        raise ConfigurationError(f"engine {self.name}: a vNIC of kind {nic.kind}: accepted: af_packet, vhost_user")

    def counters(self) -> tuple[VnicCounters, ...]:
        """Read the counters of both vNICs.

        Raises:
            DeploymentError: testpmd is gone, or does not answer.
        """
        console = self._running()
        stats = port_stats(console.ask("show port stats all"), console.ask("show fwd stats all"), 2)
        return tuple(self._nic(one) for one in stats)

    def _nic(self, stats: PortStats) -> VnicCounters:
        return VnicCounters(
            rx_frames=stats.received,
            tx_frames=stats.sent,
            rx_drops={f"{self._ring} full": stats.missed, "rx errors": stats.errors, "no mbuf": stats.no_buffer},
            tx_drops={f"tx {self._ring} full": stats.dropped},
        )

    def _running(self) -> Console:
        if self._console is None:
            raise DeploymentError(f"{self._name}: testpmd is not started")
        return self._console

    def threads(self) -> dict[int, str]:
        """Return its threads, id to name."""
        return threads_below(self._process.pid) if self._process is not None else {}

    def cycles(self) -> dict[int, tuple[int, int]]:
        """Return the cycles of its forwarding thread by the id: those with frames, and all since it forwards.

        Raises:
            DeploymentError: testpmd is gone, or does not answer.
        """
        forward = self._running().ask("show fwd stats all")
        return worker_cycles(forward, self.threads(), time.monotonic() - self._started_s)

    def check(self) -> None:
        """Raise where it has ended or does not answer.

        Raises:
            DeploymentError: with its last words.
        """
        self._running().ask("")

    def stop(self) -> None:
        """End it and remove its folder; safe to call twice."""
        process, self._process, self._console = self._process, None, None
        if process is not None:
            process.stop()
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
