"""Machines of a lab, their ports, and the cables between them; a testbed is some of them with roles."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.units import Link

CHANGES = (
    "cpu-frequency",
    "governor",
    "turbo",
    "c-states",
    "smt",
    "irq-affinity",
    "offloads",
    "auto-negotiation",
    "flow-control",
    "huge-pages",
)
"""What `may_change` names: settings of a host that a run may change; each is put back."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
_PCI = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")
# As ssh(1) takes it; never an option, never a word of a shell.
_HOST = r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*|\[[0-9a-fA-F:.]+\])"
_ADDRESS = re.compile(rf"(?:[A-Za-z0-9_][A-Za-z0-9._-]*@)?{_HOST}(?::(?P<port>[0-9]{{1,5}}))?")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PYTHON = re.compile(r"(?:~|)(?:/[A-Za-z0-9._+-]+)+")


@dataclass(frozen=True, slots=True)
class NicPort:
    """One port of a machine's network card, or one virtual function of it.

    Attributes:
        name: what cables call it: `p0`.
        interface: the kernel's name for it, or empty where `pci` says which it is.
        pci: its address, such as `0000:3b:00.0`, or empty.
        vf: number of the SR-IOV virtual function that is meant, or None for the port itself.
    """

    name: str
    interface: str = ""
    pci: str = ""
    vf: int | None = None

    def __post_init__(self) -> None:
        _named("port", self.name)
        if bool(self.interface) == bool(self.pci):
            raise ConfigurationError(
                f'port {self.name}: accepted: one of interface = "eth1" and pci = "0000:3b:00.0"'
            )
        if self.interface and not _INTERFACE.fullmatch(self.interface):
            raise ConfigurationError(
                f"interface = {self.interface!r}: accepted: 1 to 15 letters, digits, '.', '_' and '-'"
            )
        if self.pci and not _PCI.fullmatch(self.pci):
            raise ConfigurationError(f"pci = {self.pci!r}: accepted: domain:bus:device.function, as 0000:3b:00.0")
        if self.vf is not None and not 0 <= self.vf < 256:
            raise ConfigurationError(f"vf = {self.vf}: accepted: 0 to 255")

    def __str__(self) -> str:
        where = self.interface or self.pci
        return f"{self.name} ({where})" if self.vf is None else f"{self.name} ({where} vf {self.vf})"


@dataclass(frozen=True, slots=True)
class Machine:
    """A host that a testbed names.

    Attributes:
        name: what testbeds call it: `dut1`.
        address: what ssh(1) is given, `[user@]host[:port]` or a name in ~/.ssh/config; empty: this machine.
        python: interpreter on it that has this package; empty: where `provision` puts one, and on this machine
            the one that runs.
        ports: of its network cards, that cables end at.
        device_cores: processor numbers where a device under test forwards; empty lets the placement choose.
        generator_cores: where a generator spins; likewise.
        may_change: which of `CHANGES` a run may change.
        tags: properties that `--nfv-host=tag:NAME` picks by.
        core_nodes: NUMA node of each core that was given by node.
    """

    name: str
    address: str = ""
    python: str = ""
    ports: tuple[NicPort, ...] = ()
    device_cores: tuple[int, ...] = ()
    generator_cores: tuple[int, ...] = ()
    may_change: frozenset[str] = frozenset()
    tags: tuple[str, ...] = ()
    core_nodes: Mapping[int, int] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _named("host", self.name)
        address = _ADDRESS.fullmatch(self.address)
        if self.address and not (address and 0 < int(address["port"] or 22) < 65536):
            raise ConfigurationError(
                f"ssh = {self.address!r}: accepted: [user@]host[:port], or a name in ~/.ssh/config"
            )
        if self.python and not _PYTHON.fullmatch(self.python):
            raise ConfigurationError(
                f"python = {self.python!r}: accepted: an absolute path, or one from ~/; letters, digits, . _ + -"
            )
        names = [port.name for port in self.ports]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ConfigurationError(f"host {self.name}: port {twice} is there twice; accepted: each name once")
        unknown = sorted(self.may_change - set(CHANGES))
        if unknown:
            raise ConfigurationError(f"may_change names {', '.join(unknown)}; accepted: {', '.join(CHANGES)}")
        odd = next((tag for tag in self.tags if not _TAG.fullmatch(tag)), None)
        if odd is not None:
            raise ConfigurationError(f"tag {odd!r}: accepted: letters, digits, '.', '_' and '-'")

    def port(self, name: str) -> NicPort:
        """Return the port of that name.

        Raises:
            ConfigurationError: there is none.
        """
        for port in self.ports:
            if port.name == name:
                return port
        known = ", ".join(port.name for port in self.ports) or "none"
        raise ConfigurationError(f"host {self.name} has no port {name!r}; it has: {known}")

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values for the record."""
        return {
            "name": self.name,
            "address": self.address,
            "ports": [str(port) for port in self.ports],
            "device_cores": list(self.device_cores),
            "generator_cores": list(self.generator_cores),
            "may_change": sorted(self.may_change),
            "tags": list(self.tags),
            "core_nodes": {str(core): node for core, node in sorted(self.core_nodes.items())},
        }


@dataclass(frozen=True, slots=True)
class Cable:
    """A link between two ports.

    Attributes:
        one, other: (host, port) by their names.
        link: its speed.
    """

    one: tuple[str, str]
    other: tuple[str, str]
    link: Link

    def __post_init__(self) -> None:
        if self.one == self.other:
            raise ConfigurationError(f"link from {'.'.join(self.one)} to itself; accepted: two ports")

    def __str__(self) -> str:
        return f"{'.'.join(self.one)} - {'.'.join(self.other)} ({self.link})"

    def far(self, host: str, port: str) -> tuple[str, str] | None:
        """Return the end that is not this one; None where the cable does not end here."""
        ends = {self.one: self.other, self.other: self.one}
        return ends.get((host, port))


@dataclass(frozen=True, slots=True)
class Rig:
    """The machines of one testbed, by role.

    Frames go out of the generator's port 0, through each device in order, and come back at the generator's port 1.

    Attributes:
        devices: hosts of the device under test: one, or several that a chain crosses in this order.
        generator: host of the traffic generator; it may be one of the devices.
        cables: the links between their ports.
        machines: every host of `devices` and `generator`, by name.
    """

    devices: tuple[str, ...]
    generator: str
    cables: tuple[Cable, ...]
    machines: Mapping[str, Machine] = field(hash=False)

    def __post_init__(self) -> None:
        twice = next((name for name in self.devices if self.devices.count(name) > 1), None)
        if twice or not self.devices:
            said = f"{twice} is there twice" if twice else "none"
            raise ConfigurationError(f"device: {said}; accepted: one host or more, each once")
        if self.generator in self.devices and len(self.devices) > 1:
            raise ConfigurationError(
                f"generator: {self.generator} is one of several devices; accepted: a host of its own, "
                "or the only device"
            )
        for name in (*self.devices, self.generator):
            if name not in self.machines:
                raise ConfigurationError(f"unknown host {name!r}; known: {', '.join(self.machines) or 'none'}")
        way = (self.generator, *self.devices, self.generator)
        for pair, needed in Counter(tuple(sorted(hop)) for hop in pairwise(way)).items():
            found = len(self.between(*pair))
            if found < needed:
                raise ConfigurationError(
                    f"links between {pair[0]} and {pair[1]}: {found}; accepted: {needed} or more, as frames go "
                    f"{' > '.join(way)}"
                )
        if self.generator in self.devices:
            shared = self.generator_machine
            distinct_cores(shared.device_cores, shared.generator_cores, f"host {shared.name}: ")

    def __str__(self) -> str:
        hosts = [*(("device", name) for name in self.devices), ("generator", self.generator)]
        return ", ".join(
            f"{role} {name} ({self.machines[name].address or 'this machine'})" for role, name in hosts
        )

    @property
    def device(self) -> Machine:
        """The first device."""
        return self.machines[self.devices[0]]

    @property
    def generator_machine(self) -> Machine:
        """Where the generator runs."""
        return self.machines[self.generator]

    @property
    def link(self) -> Link:
        """The slowest of the cables."""
        return min((cable.link for cable in self.cables), key=lambda link: link.l1_bps)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values for the record."""
        return {
            "devices": list(self.devices),
            "generator": self.generator,
            "cables": [str(cable) for cable in self.cables],
            "hosts": {name: machine.to_json() for name, machine in self.machines.items()},
        }

    def between(self, one: str, other: str) -> tuple[tuple[NicPort, NicPort], ...]:
        """Return the ports of `one` that are cabled to `other`, each with the far one, in the cables' order."""
        found = []
        for cable in self.cables:
            for near, far in ((cable.one, cable.other), (cable.other, cable.one)):
                if near[0] == one and far[0] == other:
                    found.append((self.machines[one].port(near[1]), self.machines[other].port(far[1])))
                    break
        return tuple(found)


def distinct_cores(device: Sequence[int], generator: Sequence[int], of: str = "") -> None:
    """Raise ConfigurationError where device and generator share a core; `of` says whose they are."""
    shared = set(device) & set(generator)
    if shared:
        raise ConfigurationError(
            f"{of}generator_cores = {list(generator)}: shares core {min(shared)} with device_cores; "
            "accepted: cores of its own"
        )


def _named(what: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{what} name {name!r}: accepted: letters, digits, - and _")
