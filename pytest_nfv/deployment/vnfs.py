"""The VNFs of a deployment: hosts made before the switch, functions started behind it, counters while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TypeVar

from pytest_nfv.deployment.choice import chosen
from pytest_nfv.deployment.cores import of_pair
from pytest_nfv.deployment.engines import Place, Running, VnfCounters, run
from pytest_nfv.deployment.guests import guest
from pytest_nfv.deployment.wiring import Chains, Instance
from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.vnf import VNF
from pytest_nfv.vnfs.lxc import LxcVnf
from pytest_nfv.vnfs.lxc_config import Mount
from pytest_nfv.vnfs.lxc_mounts import python_mounts
from pytest_nfv.vnfs.namespace import NamespaceVnf
from pytest_nfv.vnfs.vm_reading import CpuTimes
from pytest_nfv.vswitches.protocol import PollCycles, Vnic

CONTAINER_S = 0.5
"""What ran in a container that was ended is gone a moment before LXC says so."""
Told = TypeVar("Told")


class Vnfs:
    """All of a deployment's instances: `vnics` before the switch is started, `start` behind it."""

    def __init__(self, lab: Lab, chains: Chains, joins: str, switch: str) -> None:
        """Make their network namespaces.

        Raises:
            CapabilityMissing: a host that cannot be here.
            ConfigurationError: an engine that cannot be at this switch.
        """
        self._lab, self._chains, self._joins, self._switch = lab, chains, joins, switch
        self._undo = ExitStack()
        self._running: dict[Instance, Running] = {}
        self._containers: dict[Instance, LxcVnf] = {}
        self._vnfs = {one.vnf_number: chosen(one.vnf, joins, switch) for one in chains.instances}
        self._nodes: dict[int, NamespaceHost] = {}
        try:
            for one in chains.instances:
                node = self._nodes[one.number] = lab.namespace(f"vnf{one.number}")
                self._undo.callback(lab.remove, node)
        except BaseException:
            self.close()
            raise

    def vnics(self) -> tuple[Vnic, ...]:
        """Return what the switch is to face, in the order of its ports."""
        return tuple(
            Vnic(
                one.name,
                nic,
                self._nodes[one.number],
                one.addresses[nic],
                one.vnf.queues,
                tap=one.vnf.host == "vm" and self._joins == "veth",
            )
            for one in self._chains.instances
            for nic in (0, 1)
        )

    def start(
        self,
        nics: Sequence[PortSpec],
        generator: Sequence[str],
        cores: Mapping[int, tuple[int, ...]],
        shared: bool,
        device_host: Host,
    ) -> None:
        """Start every function.

        Args:
            nics: how each vNIC is opened, as the switch said.
            generator: address of each generator port.
            cores: of each VNF, by its place among those here: one for each pair of its vNICs.
            shared: whether others use those cores too.
            device_host: where the switch's own interfaces are.

        Raises:
            CapabilityMissing: something that it needs is not here.
            DeploymentError: one did not come up.
        """
        first = self._chains.instances[0].vnf_number
        for number, vnf in self._vnfs.items():
            places = []
            for place, one in enumerate(self._chains.instances):
                if one.vnf_number == number:
                    node, function = self._nodes[one.number], self._chains.function(one, generator)
                    own = tuple(nics[2 * place : 2 * place + 2])
                    mine = of_pair(vnf, cores[number - first], one.pair)
                    host = device_host if vnf.host == "vm" else self._hosted(one, vnf, node, mine)
                    places.append(Place(self._lab, one, function, node, host, own, mine, shared))
            started = guest(places, vnf) if vnf.host == "vm" else (run(at, vnf) for at in places)
            for at, made in zip(places, started, strict=True):
                self._running[at.instance] = made
                self._undo.callback(made.stop)

    def _hosted(self, one: Instance, vnf: VNF, node: NamespaceHost, cores: Sequence[int]) -> Host:
        own = () if vnf.engine == "numpy" else cores  # pinned once it is up
        if vnf.host == "lxc":
            # The run's own directory: sockets are in there, and what a program of a VNF keeps.
            mounts = (
                () if vnf.engine == "kernel" else (*python_mounts(), Mount(self._lab.directory, writable=True))
            )
            container = LxcVnf(self._lab, node, cores=own, memory_mib=vnf.memory_mib, mounts=mounts)
            container.start_container()
            self._undo.callback(container.stop)
            self._containers[one] = container
            return container
        if vnf.engine == "kernel":
            return node  # no process of its own
        return NamespaceVnf(self._lab, node, cores=own, memory_mib=vnf.memory_mib)

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be read beside every figure."""
        told = tuple(note for one in self._running.values() for note in one.notes)
        return (*unlimited(self._vnfs), *told)

    def counters(self) -> dict[str, VnfCounters]:
        """Read all, by the instance's name."""
        return {instance.name: self._told(instance, one.counters) for instance, one in self._running.items()}

    def threads(self) -> dict[int, str]:
        """Return every thread that forwards, with the VNF's name before its own."""
        return {
            tid: f"{_named(instance)} {name}"
            for instance, one in self._running.items()
            for tid, name in one.threads().items()
        }

    def poll_cycles(self) -> dict[int, PollCycles]:
        """Return the cycles of those that poll and tell."""
        told = [self._told(instance, one.poll_cycles) for instance, one in self._running.items()]
        return {tid: cycles for cycles_of in told for tid, cycles in cycles_of.items()}

    def guests(self) -> dict[str, CpuTimes]:
        """Return what the processors of each virtual machine did so far, by their own account."""
        told = [(_named(one), self._told(one, running.guest)) for one, running in self._running.items()]
        return {name: times for name, times in told if times is not None}

    def check(self) -> None:
        """Raise where one is gone.

        Raises:
            DeploymentError: with its last words.
        """
        for instance, one in self._running.items():
            self._told(instance, one.check)

    def _told(self, instance: Instance, ask: Callable[[], Told]) -> Told:
        """Ask an instance; an error names it, and its container where that has ended."""
        container, named = self._containers.get(instance), f"{_named(instance)}: "
        try:
            if container is not None:
                container.check()
            return ask()
        except DeploymentError as error:
            why = (container.ended(CONTAINER_S) if container is not None else "") or str(error).removeprefix(named)
            raise DeploymentError(named + why) from error

    def close(self) -> None:
        """Take them down, the last first; safe to call twice."""
        self._running.clear()
        self._undo.close()


def unlimited(vnfs: Mapping[int, VNF]) -> tuple[str, ...]:
    """Return the notes that memory asks for where none is a VNF's own: the kernel forwards in no process of it."""
    return tuple(
        f"vnf{number}: memory_mib={vnf.memory_mib} limits nothing: the kernel of the host forwards for it"
        for number, vnf in vnfs.items()
        if vnf.memory_mib and vnf.engine == "kernel" and vnf.host != "vm"
    )


def _named(instance: Instance) -> str:
    """Return whose its processes are: of a virtual machine, all of its pairs'."""
    return instance.vnf_name if instance.vnf.host == "vm" else instance.name
