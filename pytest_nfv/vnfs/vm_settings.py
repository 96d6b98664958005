"""What a virtual machine is told: processors, memory, and how its network interfaces reach the outside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.vnf import MEMORY_MIN_MIB, VM_TESTPMD_MIB

Accelerator = Literal["kvm", "tcg"]
Wanted = Literal["auto", "kvm", "tcg"]
Role = Literal["client", "server"]
Engine = Literal["kernel", "testpmd"]

NICS_MAX = 16  # each has a slot on the one bus of the machine
VCPUS_MAX = 64
QUEUES_MAX = 16
SLOTS = (256, 512, 1024)
MEMORY_MIB = (MEMORY_MIN_MIB["vm"], 1 << 20)
_SOCKET_OCTETS = 107
_ADDRESS = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")


@dataclass(frozen=True, slots=True)
class Tap:
    """A vNIC behind a tap interface of the host.

    Attributes:
        interface: the tap, in the network namespace that QEMU runs in; made where it is not there yet.
        address: the vNIC's MAC address, in lower case.
        queues: queue pairs; the tap needs as many.
    """

    interface: str
    address: str
    queues: int = 1

    def __post_init__(self) -> None:
        if not _INTERFACE.fullmatch(self.interface):
            raise ConfigurationError(
                f"tap {self.interface!r}: accepted: 1 to 15 letters, digits, '.', '_' and '-'"
            )
        _check(self.address, self.queues)


@dataclass(frozen=True, slots=True)
class VhostUser:
    """A vNIC whose rings another process serves by vhost-user: OVS with DPDK, testpmd, or a port of ours.

    Attributes:
        socket: path of the control socket.
        address: the vNIC's MAC address, in lower case.
        role: `client` connects to a socket that the other serves, `server` serves it and waits for the other.
        queues: queue pairs; the other end must have as many.
        slots: entries of the queue that the guest receives by.
    """

    socket: str
    address: str
    role: Role = "client"
    queues: int = 1
    slots: int = 1024

    def __post_init__(self) -> None:
        # A comma ends a value on QEMU's command line.
        if not self.socket or len(self.socket.encode()) > _SOCKET_OCTETS or "," in self.socket:
            raise ConfigurationError(
                f"vhost-user socket {self.socket!r}: accepted: a path of 1 to {_SOCKET_OCTETS} octets, no comma"
            )
        if self.role not in get_args(Role):
            raise ConfigurationError(f"vhost-user role {self.role!r}: accepted: {', '.join(get_args(Role))}")
        if self.slots not in SLOTS:
            raise ConfigurationError(f"vNIC slots {self.slots}: accepted: {', '.join(map(str, SLOTS))}")
        _check(self.address, self.queues)


Nic = Tap | VhostUser


@dataclass(frozen=True, slots=True)
class Machine:
    """A virtual machine, by default the papers': one vCPU and 1 GB (S16).

    Attributes:
        nics: its vNICs in order; inside they are called `nic0`, `nic1`, ...
        vcpus: virtual processors, 1 to 64.
        memory_mib: MiB of memory.
        accelerator: `kvm`, `tcg` (QEMU translates the guest's instructions), or `auto`: KVM where it runs guests.
        mtu: largest layer-3 packet of every vNIC.
        engine: what forwards in it: its kernel, or DPDK's testpmd, which takes the vNICs from the kernel.
    """

    nics: tuple[Nic, ...]
    vcpus: int = 1
    memory_mib: int = 1024
    accelerator: Wanted = "auto"
    mtu: int = 1500
    engine: Engine = "kernel"

    def __post_init__(self) -> None:
        low, high = MEMORY_MIB
        if len(self.nics) > NICS_MAX:
            raise ConfigurationError(f"{len(self.nics)} vNICs: accepted: up to {NICS_MAX}")
        if not 1 <= self.vcpus <= VCPUS_MAX:
            raise ConfigurationError(f"vcpus {self.vcpus}: accepted: 1 to {VCPUS_MAX}")
        if not low <= self.memory_mib <= high:
            raise ConfigurationError(f"memory_mib {self.memory_mib}: accepted: {low} to {high}")
        if self.accelerator not in get_args(Wanted):
            raise ConfigurationError(f"accelerator {self.accelerator!r}: accepted: {', '.join(get_args(Wanted))}")
        if self.engine not in get_args(Engine):
            raise ConfigurationError(f"engine {self.engine!r}: accepted: {', '.join(get_args(Engine))}")
        if self.engine == "testpmd" and self.memory_mib < VM_TESTPMD_MIB:
            raise ConfigurationError(f"memory_mib {self.memory_mib} with testpmd: accepted: from {VM_TESTPMD_MIB}")
        if self.engine == "testpmd" and any(nic.queues > 1 for nic in self.nics):
            raise ConfigurationError("vNICs with several queues and testpmd: accepted: one queue each")
        if not 68 <= self.mtu <= 9600:
            raise ConfigurationError(f"mtu {self.mtu}: accepted: 68 to 9600")
        addresses = [nic.address for nic in self.nics]
        twice = next((one for one in addresses if addresses.count(one) > 1), None)
        if twice:
            raise ConfigurationError(f"vNIC address {twice} is there twice: accepted: one of its own each")


def _check(address: str, queues: int) -> None:
    if not _ADDRESS.fullmatch(address) or int(address[:2], 16) & 1:
        raise ConfigurationError(
            f"vNIC address {address!r}: accepted: a unicast MAC address in lower case, 02:6e:00:00:03:00"
        )
    if not 1 <= queues <= QUEUES_MAX:
        raise ConfigurationError(f"vNIC queues {queues}: accepted: 1 to {QUEUES_MAX}")
