"""The switches that there are: a row each, imported when used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Protocol, cast

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.vswitches.protocol import VSwitchDriver

DRIVERS = {
    "linux-bridge": "pytest_nfv.vswitches.linux_bridge:LinuxBridge",
    "ovs": "pytest_nfv.vswitches.ovs:Ovs",
    "ovs-dpdk": "pytest_nfv.vswitches.ovs_dpdk:OvsDpdk",
    "testpmd": "pytest_nfv.vswitches.testpmd:Testpmd",
}

ALIASES = {
    "basicfwd": "testpmd",  # which does in mode `io`, its default, what DPDK's basic forwarding application does
}


class DriverClass(Protocol):
    """What a row names: a class that makes drivers."""

    def __call__(self, lab: Lab, settings: Mapping[str, str]) -> VSwitchDriver:
        """Make a driver for one deployment on `lab`."""
        ...

    def joins(self, settings: Mapping[str, str]) -> str:
        """Return what the far end of a port is, as `VSwitchDriver.joins` does."""
        ...

    def probe(self, host: Host) -> str:
        """Return the version found on `host`, as `VSwitchDriver.probe` does."""
        ...


def driver(name: str) -> DriverClass:
    """Return the driver called `name`, or of which that is another name.

    Raises:
        ConfigurationError: there is none.
    """
    row = DRIVERS.get(ALIASES.get(name, name))
    if row is None:
        raise ConfigurationError(f"vSwitch {name!r}: accepted: {', '.join(sorted((*DRIVERS, *ALIASES)))}")
    module, _, attribute = row.partition(":")
    return cast(DriverClass, getattr(import_module(module), attribute))
