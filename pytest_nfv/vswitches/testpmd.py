"""DPDK's testpmd between ports of the generator: frames of port 0 leave by port 1, those of 1 by 0, and so on.

In mode `io` it does what the papers' basic forwarding application does (`basicfwd`); `mac` and `macswap` touch the
frame. One process, private to the run: it probes no PCI device, and keeps no files but its sockets, in a folder
that goes with it. A thread a device core polls; control shares the first.

    testpmd         the driver                        dpdk.settings  what it is told
    testpmd_ports   vhost-user, memif, AF_XDP ends    dpdk.argv      the command line
    dpdk.console    its prompt                        dpdk.stats     counters out of what it prints

Run against DPDK 22.11 on Debian 12, Linux 6.18.
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
from pytest_nfv.dpdk.stats import addresses, port_stats, worker_cycles
from pytest_nfv.errors import CapabilityMissing, CommandError, ConfigurationError, DeploymentError
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.polling import prefer, prefer_session, threads_of
from pytest_nfv.hosts.protocol import Host, Process
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.vswitches import testpmd_ports
from pytest_nfv.vswitches.protocol import ALONE, PollCycles, PortCounters, Wiring

_GENERATOR_MIB = 40  # rings and frames of one of its ports, of one queue
_VERSION = "RTE Version: '"


class Testpmd:
    """Implements `vswitches.protocol.VSwitchDriver`.

    Attributes:
        notes: what a reader must know beside every figure: no huge pages, a thread without its priority.
    """

    name: ClassVar[str] = "testpmd"
    __test__ = False

    def __init__(self, lab: Lab, settings: Mapping[str, str]) -> None:
        """Make a driver; nothing is deployed yet.

        Raises:
            ConfigurationError: a setting is unknown or out of range.
        """
        self._settings = Settings.of(settings, self.name)
        self._lab = lab
        self._folder: Path | None = None
        self._ports: testpmd_ports.Ports | None = None
        self._process: Process | None = None
        self._console: Console | None = None
        self._started_s = 0.0
        self._addresses: dict[int, str] = {}
        self.notes: tuple[str, ...] = ()

    @classmethod
    def joins(cls, settings: Mapping[str, str]) -> str:
        """`vhost_user` or `memif`; `veth` with AF_XDP ports.

        Raises:
            ConfigurationError: a setting is unknown or out of range.
        """
        ports = Settings.of(settings, cls.name).ports
        return "veth" if ports == "af_xdp" else ports

    @classmethod
    def probe(cls, host: Host) -> str:
        """Return DPDK's version.

        Raises:
            CapabilityMissing: there is no testpmd, or it does not run.
        """
        try:
            done = host.run([COMMAND, "-v", "-h"], check=False)
        except CommandError as error:
            raise CapabilityMissing(
                cls.name, f"{COMMAND} is not to be found on {host.name}", "apt-get install dpdk-dev"
            ) from error
        _, found, rest = (done.stdout + done.stderr).partition(_VERSION)
        if not found:
            last = (done.stderr.strip().splitlines() or [f"exit status {done.status}"])[-1]
            raise CapabilityMissing(
                cls.name, f"{COMMAND} does not run on {host.name} ({last})", "apt-get install --reinstall dpdk-dev"
            )
        return rest.partition("'")[0]

    @property
    def generator_host(self) -> Host:
        """Where the generator's ends of the ports are."""
        return self._made().generator_host

    def _made(self) -> testpmd_ports.Ports:
        if self._ports is None:
            raise DeploymentError(f"{self.name} is not started")
        return self._ports

    def _prompt(self) -> Console:
        if self._console is None:
            raise DeploymentError(f"{self.name} is not started")
        return self._console

    @property
    def device_host(self) -> Host:
        """This machine itself, as for the generator."""
        return self._lab.host

    def start(self, ports: int, mtu: int, cores: Sequence[int], wiring: Wiring = ALONE) -> tuple[PortSpec, ...]:
        """Start testpmd on `cores` and let it forward.

        Raises:
            CapabilityMissing: this user may not have ports of the kind.
            ConfigurationError: the ports do not fit the settings.
            DeploymentError: it did not come up; with its own last words. What was made is removed again.
        """
        if self._process is not None:
            raise DeploymentError(f"{self.name} is started already")
        every = ports + len(wiring.vnics)
        if every % 2 or not cores:
            raise ConfigurationError(
                f"{self.name}: {every} ports on {len(cores)} cores: accepted: pairs of ports, and a core at least"
            )
        if wiring.vnics and self._settings.mode != "io":
            raise ConfigurationError(f"{self.name}: mode={self._settings.mode!r}: accepted with VNFs: io")
        most = max((vnic.queues for vnic in wiring.vnics), default=1)
        if most > self._settings.queues:
            raise ConfigurationError(
                f"{self.name}: a VNF's vNICs of {most} queues: accepted: {self._settings.queues}, as all its "
                f"ports have; its setting queues={most} gives them to all"
            )
        try:
            return self._start(ports, mtu, cores, wiring)
        except BaseException:
            self.stop()
            raise

    def _start(self, ports: int, mtu: int, cores: Sequence[int], wiring: Wiring) -> tuple[PortSpec, ...]:
        folder = self._folder = Path(tempfile.mkdtemp(prefix="testpmd-", dir=self._lab.directory))
        made = self._ports = testpmd_ports.make(self._lab, self._settings, folder, ports, mtu, wiring)
        need = Need.of(self._settings, len(made.specs), mtu)
        huge, notes = self._pages(need.mebibytes + len(made.specs) * self._settings.queues * _GENERATOR_MIB)
        peers = [spec.address for spec in made.specs]
        command = argv(
            self._settings, need, made.devices, peers, cores, f"{self._lab.run_id}-{folder.name}", huge=huge
        )
        self._process = made.host.start(command, cores=cores, env={"RUNTIME_DIRECTORY": str(folder)})
        self._console = Console(self._process, self.name)
        self._addresses = addresses(self._console.greeting())
        self._console.ask("start")
        self._started_s = time.monotonic()
        prefer_session(self._process.pid)
        self.notes = (*notes, *prefer(threads_of(self._process.pid)), *made.pin(cores))
        return made.specs

    def _pages(self, mebibytes: int) -> tuple[bool, list[str]]:
        """See to huge pages for testpmd and for the generator's rings; return whether there are, and notes."""
        enough, note = self._lab.huge_pages(mebibytes)
        return enough, [] if enough else [f"{self.name} has no huge pages: {note}"]

    def learned(self, address: str, port: int) -> bool:
        """True: frames are forwarded by the port that they came in at."""
        return True

    def counters(self) -> tuple[PortCounters, ...]:
        """Read the counters of every port.

        Raises:
            DeploymentError: testpmd or an interface of it is gone.
        """
        made = self._made()
        nic = self._prompt().ask("show port stats all")
        forward = self._prompt().ask("show fwd stats all")
        return made.counters(port_stats(nic, forward, len(made.specs)))

    def threads(self) -> dict[int, str]:
        """Return testpmd's threads, and those of the kernel that work for its ports."""
        if self._process is None:
            return {}
        return threads_of(self._process.pid) | self._made().threads()

    def poll_cycles(self) -> dict[int, PollCycles]:
        """Return the cycles of the forwarding thread, where there is one only."""
        forward = self._prompt().ask("show fwd stats all")
        told = worker_cycles(forward, self.threads(), time.monotonic() - self._started_s)
        return {tid: PollCycles(busy, ran) for tid, (busy, ran) in told.items()}

    def forwarded(self, frame: bytes) -> bytes:
        """Return what becomes of a frame: in `mac` and `macswap` its MAC addresses are others.

        Raises:
            ConfigurationError: in `mac`, where neither address is a generator port's: it is not known which port
                it leaves by.
        """
        if self._settings.mode == "io":
            return frame
        target, source, rest = frame[:6], frame[6:12], frame[12:]
        if self._settings.mode == "macswap":
            return source + target + rest
        places = {_octets(spec.address): port for port, spec in enumerate(self._made().specs)}
        if source in places:
            leaves = places[source] ^ 1
        elif target in places:
            leaves = places[target]
        else:
            raise ConfigurationError(
                f"{self.name}: mode mac: a frame from {source.hex(':')} to {target.hex(':')}: accepted: one from "
                f"or to a generator port, {', '.join(spec.address for spec in self._made().specs)}"
            )
        return _octets(self._made().specs[leaves].address) + _octets(self._addresses[leaves]) + rest

    def check(self) -> None:
        """Raise where testpmd has ended or does not answer.

        Raises:
            DeploymentError: with its last words.
        """
        self._prompt().ask("")

    def stop(self) -> None:
        """End testpmd and remove all that it made; safe to call twice."""
        process, self._process, self._console = self._process, None, None
        if process is not None:
            process.stop()
        ports, self._ports = self._ports, None
        if ports is not None:
            ports.close()
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _octets(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))
