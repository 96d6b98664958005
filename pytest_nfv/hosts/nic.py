"""Which interface and which PCI device a port of a testbed file is, on its host."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_nfv.errors import CommandError, DeploymentError
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.model.machine import NicPort


@dataclass(frozen=True, slots=True)
class Nic:
    """A port as the host has it.

    Attributes:
        interface: the kernel's name; empty where no driver of the kernel's own has it.
        pci: its PCI address; empty where it is no PCI device.
    """

    interface: str
    pci: str


def nic_of(host: Host, port: NicPort) -> Nic:
    """Return the interface and the PCI device of a port.

    Raises:
        DeploymentError: the host has no such port.
    """
    device = f"/sys/class/net/{port.interface}/device" if port.interface else f"/sys/bus/pci/devices/{port.pci}"
    if port.interface and not _listed(host, f"/sys/class/net/{port.interface}"):
        known = ", ".join(_listed(host, "/sys/class/net")) or "none"
        raise DeploymentError(f"host {host.name}: port {port}: there is no such interface; there are: {known}")
    if port.pci and not _listed(host, device):
        raise DeploymentError(f"host {host.name}: port {port}: there is no PCI device {port.pci}; see lspci")
    if port.vf is not None:
        device = f"{device}/virtfn{port.vf}"
        if not _listed(host, device):
            raise DeploymentError(
                f"host {host.name}: port {port}: it has no virtual function {port.vf}; make some: "
                f"echo N | sudo tee {device.rpartition('/')[0]}/sriov_numvfs"
            )
    elif port.interface:
        return Nic(port.interface, _pci(host, device))
    interfaces = _listed(host, f"{device}/net")
    return Nic(interfaces[0] if interfaces else "", _pci(host, device))


def _listed(host: Host, path: str) -> list[str]:
    return host.run(["ls", "--", path], check=False).stdout.split()


def _pci(host: Host, device: str) -> str:
    """Return the PCI address behind a path, empty where it is none's."""
    try:
        name = host.run(["readlink", "-f", "--", device]).stdout.strip().rpartition("/")[2]
    except CommandError:
        return ""
    return name if name.count(":") == 2 else ""
