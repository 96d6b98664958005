"""What on a host of a testbed will spoil a measurement, as that host's own `ready` says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_nfv.hosts.cores import core_text
from pytest_nfv.hosts.nic_ports import read_ports
from pytest_nfv.hosts.protocol import MachineHost
from pytest_nfv.model.machine import Machine

READY = ("-m", "pytest_nfv", "ready")
DEADLINE_S = 60.0


def ready(machine: Machine, host: MachineHost, more: Sequence[str] = ()) -> str:
    """Return what `python -m pytest_nfv ready` prints there, for the cores and ports that the machine names.

    Args:
        machine: what a testbed file says of it.
        host: connects to it.
        more: further options of `ready`; they win.

    Raises:
        CommandError: the package is not there, or of another version.
        DeploymentError: no connection.
    """
    argv = [
        host.python,
        *READY,
        *_cores("device", machine.device_cores),
        *_cores("generator", machine.generator_cores),
    ]
    argv += [word for interface in _interfaces(machine, host) for word in ("--interface", interface)]
    return host.run([*argv, *more], timeout_s=DEADLINE_S).stdout


def _cores(role: str, cores: Sequence[int]) -> list[str]:
    return [f"--{role}-cores={core_text(cores)}"] if cores else []


def _interfaces(machine: Machine, host: MachineHost) -> Iterator[str]:
    """Yield the kernel's names of its ports; a port that is not there, or a virtual function, has none."""
    by_slot = {one.pci: one.interface for one in read_ports(host)} if any(p.pci for p in machine.ports) else {}
    for port in machine.ports:
        name = port.interface or ("" if port.vf is not None else by_slot.get(port.pci, ""))
        if name:
            yield name
