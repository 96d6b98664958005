"""A VNF in an LXC container with a BusyBox root file system; run against LXC 5.0.2 and BusyBox 1.35 on Debian 12.

Root file system, configuration and LXC's own files are in the run's directory. The container is in a network
namespace of the run, so its interfaces are veth ends like all others: no bridge, and no service, of the system's.
Its control groups have the run's name, its processes the run's environment: so the reaper finds both.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Mapping, Sequence
from shutil import rmtree, which
from typing import ClassVar

from pytest_nfv.errors import CapabilityMissing, ConfigurationError, DeploymentError
from pytest_nfv.hosts import cgroups, userns
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.protocol import Completed, Process
from pytest_nfv.hosts.run_id import RUN_VARIABLE
from pytest_nfv.model.vnf import MEMORY_MIN_MIB
from pytest_nfv.vnfs.lxc_attached import AttachedProcess
from pytest_nfv.vnfs.lxc_config import ContainerConfig, Mount
from pytest_nfv.vnfs.lxc_rootfs import PATH, READY, make_rootfs, static_busybox

START_S = 20.0
STOP_S = 2.0
MEMORY_LEAST_MIB = MEMORY_MIN_MIB["lxc"]
_LOOK_EVERY_S = 0.01
_PROGRAMS = ("lxc-start", "lxc-attach")


class LxcVnf:
    """Implements `hosts.protocol.Host` for commands in the container."""

    kind: ClassVar[str] = "lxc"

    def __init__(
        self,
        lab: Lab,
        namespace: NamespaceHost,
        *,
        cores: Sequence[int] = (),
        memory_mib: int = 0,
        mounts: Sequence[Mount] = (),
    ) -> None:
        """Make a container; nothing is started yet.

        Args:
            lab: the run's.
            namespace: made by it; the container's interfaces are its.
            cores: where the container runs.
            memory_mib: MiB that all in it may use together; 0 sets no limit.
            mounts: directories of the machine that it sees, such as that of the sockets.

        Raises:
            ConfigurationError: a limit below 4 MiB.
        """
        if memory_mib and memory_mib < MEMORY_LEAST_MIB:
            raise ConfigurationError(
                f"memory_mib={memory_mib}: accepted: 0 for no limit, or {MEMORY_LEAST_MIB} MiB and more"
            )
        self._namespace = namespace
        self._cores, self._mounts, self._memory_mib = tuple(cores), tuple(mounts), memory_mib
        self._local = LocalHost(namespace.run_id, name=f"{namespace.name} (lxc)")
        self._folder = lab.directory / "lxc"
        self._container: Process | None = None

    @property
    def name(self) -> str:
        """`local/ROLE (lxc)`."""
        return self._local.name

    @classmethod
    def probe(cls) -> str:
        """Return what is there.

        Raises:
            CapabilityMissing: LXC or a static BusyBox is not installed, or this user is not root.
        """
        missing = [program for program in _PROGRAMS if which(program) is None]
        if missing:
            raise CapabilityMissing(cls.kind, f"{', '.join(missing)} not installed", "apt-get install lxc")
        if not userns.privileged():
            raise CapabilityMissing(cls.kind, "containers are made by root here", "run as root")
        return f"{which(_PROGRAMS[0])}, {static_busybox()}"

    def start_container(self) -> None:
        """Start it, and wait until its init says that it is up.

        Raises:
            CapabilityMissing: see `probe`; or no memory controller for a limit.
            DeploymentError: it did not come up; with its console's and LXC's last words.
        """
        self.probe()
        if self._container is not None:
            raise DeploymentError(f"{self.name} is started already")
        busybox = static_busybox()
        version = cgroups.memory_hierarchy().version if self._memory_mib else 2
        home = self._folder / self._namespace.namespace
        try:
            make_rootfs(home / "rootfs", self._local.run([str(busybox), "--list"]).stdout.split())
            config = ContainerConfig(
                self._namespace.namespace,
                self._namespace.role,
                home / "rootfs",
                busybox,
                self._namespace.entry.net,
                (f"{RUN_VARIABLE}={self._namespace.run_id}", f"PATH={PATH}"),
                self._mounts,
                self._memory_mib,
                version,
                cgroups.polling_weight(),
            )
            (home / "config").write_text(config.text(), encoding="utf-8")
        except OSError as error:
            raise DeploymentError(f"{self.name}: cannot write {home}: {error.strerror}") from error
        argv = ["lxc-start", "-F", *self._named(), "-f", str(home / "config"), "-l", "ERROR", "-o", "/dev/null"]
        self._container = self._local.start(argv, cores=self._cores)
        try:
            self._await_ready(self._container)
        except BaseException:
            self.stop()
            raise

    def _named(self) -> list[str]:
        return ["-n", self._namespace.namespace, "-P", str(self._folder)]

    def _await_ready(self, container: Process) -> None:
        deadline = time.monotonic() + START_S
        said, descriptor = b"", container.stdout.fileno()
        while READY.encode() not in said:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([descriptor], [], [], left)[0]:
                raise DeploymentError(
                    self._trouble(f"not up after {START_S:g} s", said.decode("utf-8", "replace"))
                )
            piece = os.read(descriptor, 4096)
            if not piece:
                status = container.stop(STOP_S)
                raise DeploymentError(
                    self._trouble(f"ended with status {status} before it was up", said.decode("utf-8", "replace"))
                )
            said += piece

    def _trouble(self, what: str, said: str = "") -> str:
        console = (said + (self._container.stderr_tail() if self._container else "")).strip()
        return f"{self.name}: {what}" + (f"\n{console}" if console else "")

    def console(self) -> str:
        """Return the last lines of the container's console, and of LXC's own errors."""
        return self._container.stderr_tail() if self._container else ""

    def check(self) -> None:
        """Raise where the container has ended.

        Raises:
            DeploymentError: with its console's last lines.
        """
        if self._container is None:
            raise DeploymentError(f"{self.name} is not started")
        if why := self.ended():
            raise DeploymentError(why)

    def ended(self, within_s: float = 0.0) -> str:
        """Return how the container ended, with its console's last lines; empty where it runs on for so long."""
        until = time.monotonic() + within_s
        while self._container is not None:
            if (status := self._container.poll()) is not None:
                return self._trouble(f"the container ended with status {status}")
            if time.monotonic() >= until:
                break
            time.sleep(_LOOK_EVERY_S)
        return ""

    def _inside(self, argv: Sequence[str]) -> list[str]:
        self.check()
        return ["lxc-attach", *self._named(), "--", *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float = 30.0,
        check: bool = True,
        cores: Sequence[int] = (),
    ) -> Completed:
        """Run to the end, in the container.

        Raises:
            CommandError: it could not be started, ran past the deadline or (with `check`) failed.
            DeploymentError: the container has ended.
        """
        inside = self._inside(argv)
        return self._local.run(inside, stdin=stdin, timeout_s=timeout_s, check=check, cores=cores or self._cores)

    def start(
        self, argv: Sequence[str], *, cores: Sequence[int] = (), env: Mapping[str, str] | None = None
    ) -> Process:
        """Start in the background, in the container; it dies with the container.

        A command that is not there ends with status 127: only then is it known.

        Raises:
            CommandError: it could not be started.
            DeploymentError: the container has ended.
        """
        return AttachedProcess(self._local.start(self._inside(argv), cores=cores or self._cores, env=env))

    def read_text(self, path: str) -> str:
        """Return a small file's text as the network namespace shows it."""
        return self._namespace.read_text(path)

    def write_text(self, path: str, text: str) -> None:
        """Write a small file as the network namespace shows it."""
        self._namespace.write_text(path, text)

    def stop(self) -> None:
        """End the container and all in it, and remove its files and control groups; safe to call twice.

        Raises:
            DeploymentError: something of it stays.
        """
        if self._container is not None:
            self._container.stop(STOP_S)
            self._container = None
        try:
            rmtree(self._folder / self._namespace.namespace, ignore_errors=False)
        except FileNotFoundError:
            return
        except OSError as error:
            raise DeploymentError(f"{self.name}: cannot remove {error.filename}: {error.strerror}") from error
