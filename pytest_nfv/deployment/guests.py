"""A virtual machine as a VNF: one guest, with a function for each pair of its vNICs."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_nfv.deployment.engines import Place, Running, VnfCounters
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.vnf import VM_MEMORY_MIB, VNF
from pytest_nfv.vnfs.vm import VirtualMachine
from pytest_nfv.vnfs.vm_reading import CpuTimes
from pytest_nfv.vnfs.vm_settings import Machine, Role, Tap, VhostUser
from pytest_nfv.vswitches.protocol import PollCycles


def guest(places: Sequence[Place], vnf: VNF) -> tuple[Running, ...]:
    """Start a VNF's guest; return its pairs of vNICs, a place each, of which the first answers for the guest.

    Raises:
        CapabilityMissing: something that it needs is not here.
        ConfigurationError: its engine has no such function.
        DeploymentError: it did not come up.
    """
    first = places[0]
    nics = tuple(_vnic(nic, vnf) for place in places for nic in place.nics)
    machine = Machine(
        nics,
        vcpus=vnf.vcpus,
        memory_mib=vnf.memory_mib or VM_MEMORY_MIB,
        mtu=first.nics[0].mtu,
        engine="testpmd" if vnf.engine == "testpmd" else "kernel",
    )
    host = first.host if any(isinstance(nic, Tap) for nic in nics) else None
    made = VirtualMachine(first.lab, machine, name=first.instance.vnf_name, host=host)
    made.start(first.cores)
    try:
        made.forward(*(place.function for place in places))
    except BaseException:
        made.stop()
        raise
    return tuple(_Pair(made, pair) for pair in range(len(places)))


def _vnic(nic: PortSpec, vnf: VNF) -> Tap | VhostUser:
    if nic.kind == "tap":
        return Tap(nic.parameters["interface"], nic.address, vnf.queues)
    role: Role = "server" if nic.parameters["role"] == "server" else "client"
    return VhostUser(nic.parameters["socket"], nic.address, role, vnf.queues)


class _Pair:
    def __init__(self, machine: VirtualMachine, pair: int) -> None:
        self._machine, self._pair = machine, pair
        self._answers = pair == 0

    @property
    def notes(self) -> tuple[str, ...]:
        return self._machine.notes if self._answers else ()

    def counters(self) -> VnfCounters:
        nics = self._machine.counters(self._pair)
        told = any(nic.dropped for nic in nics)  # of each vNIC: not of both once more
        return VnfCounters(nics, {} if told else self._machine.drops(self._pair))

    def threads(self) -> dict[int, str]:
        return self._machine.threads() if self._answers else {}

    def poll_cycles(self) -> dict[int, PollCycles]:
        return {}

    def guest(self) -> CpuTimes | None:
        return self._machine.cpu_times() if self._answers else None

    def check(self) -> None:
        self._machine.check()

    def stop(self) -> None:
        self._machine.stop()
