"""The hosts of a rig while a run uses them: reached, reaped, and put back at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from pytest_nfv.deployment.rig_plan import HostCores
from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts.cores import ISOLATED, ONLINE, SYSTEM, with_isolated
from pytest_nfv.hosts.facts import HostFacts, read_facts
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.protocol import MachineHost
from pytest_nfv.hosts.reap import reap
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.machine import Machine, Rig

_SOCKET = "/sys/devices/system/cpu/cpu{}/topology/physical_package_id"


class RigLabs:
    """Implements `across.Labs`; connects to a host, and starts its agent, when that is first asked for.

    Every host has run ids of its own: two hosts of a test may be one machine.
    """

    def __init__(self, rig: Rig, ssh_config: Path | None = None) -> None:
        self.rig = rig
        self._hosts = {name: _host(machine, ssh_config) for name, machine in rig.machines.items()}
        self._labs: dict[str, Lab] = {}
        self._facts: dict[str, HostFacts] = {}
        self._cores: dict[str, HostCores] = {}

    def host(self, name: str) -> MachineHost:
        """Return a host by its name."""
        return self._hosts[name]

    def hosts(self) -> Mapping[str, MachineHost]:
        """Return all, by name."""
        return dict(self._hosts)

    def is_here(self, name: str) -> bool:
        """Whether a host is this machine."""
        return not self.rig.machines[name].address

    def lab(self, name: str) -> Lab:
        """Return the lab on a host; made, and what dead runs left there reaped, when first asked for.

        Raises:
            DeploymentError: it cannot be reached, or no agent starts there.
        """
        if name not in self._labs:
            run_id = new_run_id()
            if self.is_here(name):
                reap()
                self._labs[name] = Lab(LocalHost(run_id, name=name), run_id)
            else:
                self._labs[name] = Lab.far(self._hosts[name], run_id)
        return self._labs[name]

    @property
    def broken(self) -> str:
        """Which hosts' labs are of no use any more, and why; empty where none is."""
        return "; ".join(lab.broken for lab in self._labs.values() if lab.broken)

    def facts(self, name: str, *, anew: bool = False) -> HostFacts:
        """Return what matters about a host, read once, or `anew` where something was set there meanwhile.

        Raises:
            DeploymentError: it cannot be reached.
        """
        if anew or name not in self._facts:
            self._facts[name] = read_facts(self._hosts[name])
        return self._facts[name]

    def cores(self) -> Mapping[str, HostCores]:
        """Return what placement must know of every host.

        Raises:
            DeploymentError: one cannot be reached.
        """
        for name, host in self._hosts.items():
            if name not in self._cores:
                listed = host.read_texts([str(SYSTEM / ONLINE), str(SYSTEM / ISOLATED)])
                online, isolated = (listed.get(str(SYSTEM / one), "") for one in (ONLINE, ISOLATED))
                allowed = with_isolated(self.facts(name).cores_allowed or (), online, isolated)
                texts = host.read_texts([_SOCKET.format(core) for core in allowed])
                sockets = {core: int(texts.get(_SOCKET.format(core), "0")) for core in allowed}
                self._cores[name] = HostCores(allowed, sockets)
        return dict(self._cores)

    def close(self) -> None:
        """Put every host back; safe to call twice.

        Raises:
            DeploymentError: one could not be; the others are all the same.
        """
        labs, self._labs = self._labs, {}
        ends: list[Callable[[], None]] = [lab.close for lab in reversed(labs.values())]
        ends += [host.close for host in self._hosts.values() if hasattr(host, "close")]
        trouble = []
        for end in ends:
            try:
                end()
            except DeploymentError as error:
                trouble.append(str(error))
        if trouble:
            raise DeploymentError("; ".join(trouble))


def _host(machine: Machine, ssh_config: Path | None) -> MachineHost:
    if not machine.address:
        return LocalHost(name=machine.name)
    from pytest_nfv.hosts.ssh import SshHost

    return SshHost(machine.address, name=machine.name, python=machine.python, config_file=ssh_config)
