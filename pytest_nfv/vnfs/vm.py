"""A virtual machine as a host of a network function: QEMU with KVM, or TCG where KVM runs no guests.

    lab.host or a namespace                       guest: Debian's cloud kernel, BusyBox, iproute2, nftables
      QEMU, pinned --- vhost-user or tap ---------- nic0, nic1, ...
        control channel (a line in, a line out) --- init

    vm            this class                      vm_needs               what this machine has to have
    vm_settings   what it is told                 vm_kernel, vm_modules  the kernel: found, or fetched
    vm_argv       QEMU's command line             vm_image, vm_tools     its root file system
    vm_channel    commands into the guest         vm_init.sh             its first process
    vm_qmp        QEMU's monitor                  vm_kvm                 whether KVM runs guests
    vm_reading    its counters                    vm_functions, vm_steps network functions by its kernel
    vm_drops      what they drop                  vm_napi                on which of its processors
    vm_testpmd    or by DPDK

Run against QEMU 7.2 by TCG on Debian 12, with its cloud kernel 6.1 as guest; KVM has run no guest of it yet.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pytest_nfv.errors import CapabilityMissing, CommandError, ConfigurationError, DeploymentError
from pytest_nfv.hosts import tap
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.polling import prefer, prefer_session, prefer_started, threads_of
from pytest_nfv.hosts.protocol import Completed, Host, Process
from pytest_nfv.hosts.tail import Tail
from pytest_nfv.model.nf import Function
from pytest_nfv.vnfs import vm_kernel, vm_kvm, vm_qmp
from pytest_nfv.vnfs.protocol import VnicCounters
from pytest_nfv.vnfs.vm_argv import COMMAND, Places, argv
from pytest_nfv.vnfs.vm_channel import Channel
from pytest_nfv.vnfs.vm_functions import Functions
from pytest_nfv.vnfs.vm_image import initramfs
from pytest_nfv.vnfs.vm_kernel import Kernel
from pytest_nfv.vnfs.vm_needs import found, guest_kernel, qemu
from pytest_nfv.vnfs.vm_reading import CpuTimes, cpu_times
from pytest_nfv.vnfs.vm_settings import Accelerator, Machine, Tap
from pytest_nfv.vnfs.vm_testpmd import Testpmd

START_S = 60.0
RUN_S = 30.0
_TAP = str(tap.__file__)
_LINES_TOLD = 20
_PANIC = "Kernel panic"
_INTERFACES = 'for one in /sys/class/net/*; do echo "${one##*/} $(cat "$one/address")"; done\n'


class VirtualMachine:
    """One guest: made, started, used, stopped.

    Attributes:
        name: for messages.
        accelerator: `kvm` or `tcg`, after `start`.
        release: of the guest's kernel, after `start`.
        notes: what a reader must know beside every figure, after `start`: `vm0 runs under TCG: ...`.
    """

    def __init__(self, lab: Lab, machine: Machine, *, name: str = "vm0", host: Host | None = None) -> None:
        """Make one; nothing is deployed yet.

        Args:
            lab: the run's.
            machine: what it is.
            name: for messages.
            host: where QEMU runs: the namespace of its taps. This machine where not given.

        Raises:
            ConfigurationError: a tap where it would be this machine's own, not a namespace's.
        """
        taps = [nic.interface for nic in machine.nics if isinstance(nic, Tap)]
        if taps and not isinstance(host, NamespaceHost):
            raise ConfigurationError(
                f"{name}: tap {taps[0]}: accepted: with a network namespace of the run as host"
            )
        self.name = name
        self.accelerator: Accelerator | None = None
        self.release = ""
        self.notes: tuple[str, ...] = ()
        self._lab, self._machine, self._host = lab, machine, host or lab.host
        self._folder: Path | None = None
        self._process: Process | None = None
        self._console: Tail | None = None
        self._channel: Channel | None = None
        self._processors: list[int] = []
        self._functions = self._made()

    def _made(self) -> Functions | Testpmd:
        if self._machine.engine == "testpmd":
            return Testpmd(self.name, self._machine, self.run)
        return Functions(self.name, self._machine, self.run, self._last_words)

    @classmethod
    def probe(cls, host: Host) -> str:
        """Return the versions of QEMU and of the guest's kernel; a kernel is looked for, not fetched yet.

        Raises:
            CapabilityMissing: what is missing and how to get it.
        """
        return found(host)

    def start(self, cores: Sequence[int], kernel: Kernel | None = None) -> None:
        """Boot it on `cores`, its virtual processors round robin; back when it takes commands.

        Args:
            cores: of the host.
            kernel: the guest's; found on this machine, or fetched, where not given.

        Raises:
            CapabilityMissing: QEMU, KVM where it is asked for, the kernel, or a program of the guest is missing.
            DeploymentError: it did not come up; with its console's last lines. What was made is removed again.
        """
        if self._process is not None:
            raise DeploymentError(f"{self.name} is started already")
        try:
            self._start(cores, kernel)
        except BaseException:
            self.stop()
            raise

    def _start(self, cores: Sequence[int], kernel: Kernel | None) -> None:
        qemu(self._host)
        vm_qmp.available()
        accelerator, note = self._accelerated()
        kernel = kernel or guest_kernel(self._lab.host)
        image = initramfs(self._lab.host, kernel, vm_kernel.cache_folder(), self._machine.engine)
        folder = self._folder = Path(tempfile.mkdtemp(prefix="vm-", dir=self._lab.directory))
        places = Places(kernel.image, image, folder / "control.sock", folder / "qmp.sock")
        for nic in self._machine.nics:
            if isinstance(nic, Tap):
                words = (nic.interface, str(self._machine.mtu), str(nic.queues))
                self._host.run([sys.executable, "-I", "-S", _TAP, *words])
        self._channel = Channel(places.channel, self.name, self._last_words)
        process = self._process = self._host.start(argv(self._machine, accelerator, places), cores=cores)
        prefer_started(process.pid, COMMAND)
        self._console = Tail(process.stdout)
        prefer_session(process.pid)  # before it boots: beside a switch that polls it would get no time
        self.release = self._channel.await_ready(START_S, self._ended)
        self.accelerator = accelerator
        self._name_interfaces()
        self._processors = vm_qmp.processors(places.qmp)
        self.notes = (*note, *self._pin(cores))

    def _accelerated(self) -> tuple[Accelerator, tuple[str, ...]]:
        """Return what runs the guest's instructions, and a note where it is not KVM."""
        wanted = self._machine.accelerator
        if wanted == "tcg":
            return "tcg", (f"{self.name} runs under TCG, as it is told to: QEMU translates its instructions",)
        why = vm_kvm.kvm(self._lab.host, self._lab.directory)
        if not why:
            return "kvm", ()
        if wanted == "kvm":
            raise CapabilityMissing("kvm", why, vm_kvm.REMEDY)
        return "tcg", (f"{self.name} runs under TCG: QEMU translates its instructions, as {why}",)

    def _name_interfaces(self) -> None:
        """Call the vNICs `nic0`, `nic1`, ..., whatever order the guest's kernel found them in."""
        said = self.run(["sh"], stdin=_INTERFACES).stdout
        found = {address: name for name, _, address in (line.partition(" ") for line in said.splitlines())}
        lines = []
        for number, nic in enumerate(self._machine.nics):
            if nic.address not in found:
                raise DeploymentError(
                    f"{self.name}: its guest has no vNIC {nic.address}; it has: {', '.join(sorted(found))}"
                )
            lines.append(f"link set {found[nic.address]} name nic{number}\n")
        self.run(["ip", "-batch", "-"], stdin="".join(lines))

    def _pin(self, cores: Sequence[int]) -> list[str]:
        """Give each virtual processor its core, and all of QEMU's threads the priority of what polls there."""
        assert self._process is not None
        notes = []
        for number, thread in enumerate(self._processors):
            core = cores[number % len(cores)] if cores else None
            try:
                if core is not None:
                    os.sched_setaffinity(thread, {core})
            except OSError as error:
                notes.append(f"{self.name}: vCPU {number} is not pinned to core {core} ({error.strerror})")
        return [*notes, *prefer(threads_of(self._process.pid))]

    def run(
        self, argv: Sequence[str], *, stdin: str = "", timeout_s: float = RUN_S, check: bool = True
    ) -> Completed:
        """Run a command in the guest, to the end.

        Raises:
            CommandError: it failed (with `check`).
            DeploymentError: it did not end in time, or the guest is gone; with its console's last lines.
        """
        if self._channel is None:
            raise DeploymentError(f"{self.name} is not started")
        done = self._channel.run(argv, stdin, timeout_s, self._ended)
        if check and done.status:
            raise CommandError(self.name, argv, done.status, done.stderr)
        return done

    def forward(self, *functions: Function) -> None:
        """Let the guest carry out network functions: the first between `nic0` and `nic1`, and so on.

        Raises:
            ConfigurationError: its engine has no such function, or they are not one for each pair of vNICs.
            CommandError: a command was refused; with its own words.
            DeploymentError: a vNIC does not come up.
        """
        self._functions.forward(functions)

    def counters(self, pair: int = 0) -> tuple[VnicCounters, ...]:
        """Return the counters of a pair's two vNICs, once it forwards.

        Raises:
            DeploymentError: the guest is gone, or does not tell.
        """
        return self._functions.counters(pair)

    def drops(self, pair: int = 0) -> dict[str, int]:
        """Return the frames that a pair's function dropped, by reason; empty where there is none that drops.

        Raises:
            DeploymentError: the guest is gone, or does not tell.
        """
        return self._functions.drops(pair)

    def cpu_times(self) -> CpuTimes:
        """Return what the guest's virtual processors did since its start."""
        return cpu_times(self.run(["cat", "/proc/stat"]).stdout)

    def processors(self) -> tuple[int, ...]:
        """Return the host's thread of each virtual processor."""
        return tuple(self._processors)

    def threads(self) -> dict[int, str]:
        """Return all of QEMU's threads, id to name."""
        return threads_of(self._process.pid) if self._process is not None else {}

    def check(self) -> None:
        """Raise where the guest is gone.

        Raises:
            DeploymentError: with its console's last lines.
        """
        why = self._ended()
        if why:
            raise DeploymentError(f"{self.name}: {why}{self._last_words()}")

    def _ended(self) -> str:
        """Return how QEMU ended, empty while it runs."""
        if self._process is None:
            return "it is not started"
        status = self._process.poll()
        if status is None:
            return ""
        told = self._console.text(ended=True) if self._console else ""
        panic = next((line for line in told.splitlines() if _PANIC in line), "")
        if panic:
            return f"its guest is gone: {panic.partition('] ')[2].strip() or panic.strip()}"
        return f"QEMU was ended by signal {-status}" if status < 0 else f"QEMU ended with exit status {status}"

    def _last_words(self) -> str:
        if self._process is None or self._console is None:
            return ""
        said = self._process.stderr_tail() + self._console.text(ended=self._process.poll() is not None)
        lines = [line.rstrip() for line in said.splitlines() if line.strip()]
        panic = next((at for at, line in enumerate(lines) if _PANIC in line), None)
        # What led to a panic stands above it, and a trace as long as it likes below.
        lines = lines[-_LINES_TOLD:] if panic is None else lines[max(0, panic - _LINES_TOLD) :][: 2 * _LINES_TOLD]
        return "\n" + "\n".join(lines) if lines else ""

    def stop(self) -> None:
        """End it at once and remove what is its own; safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            process.stop(0.0)  # nothing of a guest is kept
        if self._console is not None:
            self._console.close()
            self._console = None
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        self._processors = []
        self._functions = self._made()
