"""Commands of a VNF in namespaces of their own: network, PID and mounts, with the machine's files.

They see no process but their own, and mounts that they make are nobody else's; what is left of them ends with the
command. Lighter than a container by its root file system: interpreter, libraries and devices are the machine's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from pytest_nfv.errors import CapabilityMissing, CommandError, ConfigurationError
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.protocol import Completed, Process
from pytest_nfv.model.vnf import MEMORY_MIN_MIB

MEMORY_LEAST_MIB = MEMORY_MIN_MIB["namespace"]
_REFUSED = ("cannot make PID", "cannot mount", "cannot keep mounts")  # as hosts/launch.py says it


class NamespaceVnf:
    """Implements `hosts.protocol.Host`; run against Linux 6.18 with control groups of version 1.

    A process's id, as `start` returns it, is that of one that waits for the command and shares its process group:
    the command's own id is another, in the group.
    """

    kind: ClassVar[str] = "namespace"

    def __init__(
        self, lab: Lab, namespace: NamespaceHost, *, cores: Sequence[int] = (), memory_mib: int = 0
    ) -> None:
        """Enclose what is started; the network namespace and its links are there already.

        Args:
            lab: the run's.
            namespace: made by it.
            cores: where commands run that say nothing else.
            memory_mib: MiB that all its commands may use together; 0 sets no limit.

        Raises:
            ConfigurationError: a limit below 16 MiB.
            CapabilityMissing: no such namespaces for us here, or no memory limit.
        """
        if memory_mib and memory_mib < MEMORY_LEAST_MIB:
            raise ConfigurationError(
                f"memory_mib={memory_mib}: accepted: 0 for no limit, or {MEMORY_LEAST_MIB} MiB and more"
            )
        group = lab.limit_memory(namespace, memory_mib) if memory_mib else ""
        entry = replace(namespace.entry, cgroup=group, enclosed=True)
        self._local = LocalHost(namespace.run_id, name=f"{namespace.name} (enclosed)", entry=entry)
        self._namespace = namespace
        self._cores = tuple(cores)
        self._try()

    @property
    def name(self) -> str:
        """`local/ROLE (enclosed)`."""
        return self._local.name

    def _try(self) -> None:
        try:
            self._local.run(["true"], cores=self._cores)
        except CommandError as error:
            if not any(refused in error.stderr for refused in _REFUSED):
                raise
            raise CapabilityMissing(
                self.kind, error.stderr, "run as root; in a container, with CAP_SYS_ADMIN (--privileged)"
            ) from error

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float = 30.0,
        check: bool = True,
        cores: Sequence[int] = (),
    ) -> Completed:
        """Run to the end, enclosed.

        Raises:
            CommandError: it could not be started, ran past the deadline or (with `check`) failed.
        """
        return self._local.run(argv, stdin=stdin, timeout_s=timeout_s, check=check, cores=cores or self._cores)

    def start(
        self, argv: Sequence[str], *, cores: Sequence[int] = (), env: Mapping[str, str] | None = None
    ) -> Process:
        """Start in the background, enclosed; it dies with the thread that calls this.

        Raises:
            CommandError: it could not be started.
        """
        return self._local.start(argv, cores=cores or self._cores, env=env)

    def read_text(self, path: str) -> str:
        """Return a small file's text as the network namespace shows it."""
        return self._namespace.read_text(path)

    def write_text(self, path: str, text: str) -> None:
        """Write a small file as the network namespace shows it."""
        self._namespace.write_text(path, text)

    def stop(self) -> None:
        """Do nothing: what was started ends with its process, and the rest with the lab."""
