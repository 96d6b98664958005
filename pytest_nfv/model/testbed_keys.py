"""Every key of a testbed file, once: the reader, the messages and docs/testbeds.md come from these tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.machine import CHANGES, Machine, NicPort
from pytest_nfv.model.simulation import Simulation
from pytest_nfv.model.testbed import KINDS, checked_mtu
from pytest_nfv.model.toml_file import Key, listed, table, text, whole
from pytest_nfv.units import Link

_ANY_PCI = "0000:00:00.0"


def _cores(value: Any) -> Mapping[int | None, tuple[int, ...]]:
    """Return cores by NUMA node; by None where the node is not said."""
    read = listed(_core)
    if not isinstance(value, dict):
        return {None: read(value)}
    found: dict[int | None, tuple[int, ...]] = {}
    for node, cores in table(value).items():
        if not node.isdecimal():
            raise ConfigurationError(f"NUMA node {node!r}: accepted: its number, as in {{ 0 = [2, 3], 1 = [18] }}")
        found[int(node)] = read(cores)
    listed(_core)([core for cores in found.values() for core in cores])
    return found


def _core(value: Any) -> int:
    if whole(value) < 0:
        raise ConfigurationError(f"core {value!r}: accepted: 0 or more")
    return int(value)


def _plain_cores(value: Any) -> tuple[int, ...]:
    return tuple(core for cores in _cores(value).values() for core in cores)


def _kind(value: Any) -> str:
    if text(value) not in KINDS:
        raise ConfigurationError(f"kind = {value!r}: accepted: {', '.join(KINDS)}")
    return str(value)


def _simulation(value: Any) -> Simulation:
    if isinstance(value, str):
        return Simulation.parse(value)
    if not isinstance(value, dict):
        raise ConfigurationError(f'{value!r}: accepted: {{ capacity = "12.5Mpps", ... }}')
    return Simulation.of(value)


def _devices(value: Any) -> tuple[str, ...]:
    return listed(text)(value) if isinstance(value, list) else (text(value),)


def _ends(value: Any) -> tuple[tuple[str, str], tuple[str, str]]:
    if not isinstance(value, list) or len(value) != 2:
        raise ConfigurationError(f'{value!r}: accepted: two ports, as in ["gen1.p0", "dut1.p0"]')
    one, other = (_end(text(end)) for end in value)
    return one, other


def _end(value: str) -> tuple[str, str]:
    host, dot, port = value.partition(".")
    if not (host and dot and port):
        raise ConfigurationError(f"{value!r}: accepted: HOST.PORT, as in dut1.p0")
    return host, port


def _link(value: Any) -> Link:
    return Link.of(text(value))


def _of_machine(field: str, read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Accept what a `Machine` accepts as that field, so that the error has this key's line."""
    return lambda value: getattr(Machine("any", **{field: read(value)}), field)


_MAY_CHANGE = Key(
    "may_change",
    '["governor", "offloads"]',
    f"settings that a run may change, and puts back: {', '.join(CHANGES)}",
    _of_machine("may_change", lambda value: frozenset(listed(text)(value))),
    default="none",
)

HOST = (
    Key(
        "ssh",
        '"dut1" or "user@host:22"',
        "how ssh(1) reaches it: a name in ~/.ssh/config, or `[user@]host[:port]`",
        _of_machine("address", text),
        default="this machine",
    ),
    Key(
        "python",
        '"/opt/nfv/bin/python" or "~/venv/bin/python"',
        "interpreter on it that has this package",
        _of_machine("python", text),
        default="`~/.local/share/pytest-nfv/venv/bin/python`, where `provision` puts it; here, the one that runs",
    ),
    Key(
        "ports",
        '{ p0 = { interface = "eth1" } }',
        "ports of its network cards by the names that links use, each a table as below",
        table,
        default="none",
    ),
    Key(
        "device_cores",
        "[2, 3] or { 0 = [2, 3], 1 = [18] }",
        "cores where a device under test forwards; also by NUMA node",
        _cores,
        default="chosen by the placement",
    ),
    Key(
        "generator_cores",
        "[4] or { 0 = [4] }",
        "cores where a generator spins; on a host that is device and generator, other ones than the device's",
        _cores,
        default="chosen by the placement",
    ),
    _MAY_CHANGE,
    Key(
        "tags",
        '["x710"]',
        "properties that `--nfv-host=tag:x710` picks by",
        _of_machine("tags", listed(text)),
        default="none",
    ),
)
"""Keys of `[host.NAME]`."""

PORT = (
    Key(
        "interface",
        '"eth1"',
        "the kernel's name of it",
        lambda value: NicPort("any", interface=text(value)).interface,
        default="`pci` says which it is",
    ),
    Key(
        "pci",
        '"0000:3b:00.1"',
        "its PCI address, which stays whatever the kernel calls it",
        lambda value: NicPort("any", pci=text(value)).pci,
        default="`interface` says which it is",
    ),
    Key(
        "vf",
        "2",
        "number of the SR-IOV virtual function that is meant, from 0",
        lambda value: NicPort("any", pci=_ANY_PCI, vf=whole(value)).vf,
        default="the port itself",
    ),
)
"""Keys of a port, `[host.NAME] ports.PORT = { ... }`."""

LINK = (
    Key(
        "ends", '["gen1.p0", "dut1.p0"]', "the two ports that the cable joins, HOST.PORT each", _ends, needed=True
    ),
    Key("speed", '"10GbE"', "its speed per direction", _link, needed=True),
)
"""Keys of `[[link]]`."""

TESTBED = (
    Key(
        "kind",
        '"local" or "sim" or "lab"',
        "namespaces of this machine, a model, or hosts with cables",
        _kind,
        needed=True,
    ),
    Key(
        "device",
        '"dut1" or ["dut1", "dut2"]',
        "host of the device under test; of several, a chain crosses them in this order",
        _devices,
        needed=True,
        kinds=("lab",),
    ),
    Key("generator", '"gen1"', "host of the generator; it may be the device's", text, needed=True, kinds=("lab",)),
    Key(
        "link",
        '"1GbE"',
        "what line rate means",
        _link,
        default="of `local` 100MbE, of `sim` 10GbE, of `lab` the speed of its slowest link",
    ),
    Key(
        "device_cores",
        "[0]",
        "cores where the device under test forwards",
        _plain_cores,
        default="chosen by the placement",
        kinds=("local", "sim"),
    ),
    Key(
        "generator_cores",
        "[1]",
        "cores where the generator spins; of two, one sends and one receives where no port does both",
        _plain_cores,
        default="chosen by the placement",
        kinds=("local", "sim"),
    ),
    Key("vswitches", '["linux-bridge", "ovs"]', "switches to test", listed(text), default='`["linux-bridge"]`'),
    Key(
        "mtu",
        "1500",
        "largest layer-3 packet on the links, in octets",
        lambda value: checked_mtu(whole(value)),
        default="1500",
    ),
    replace(_MAY_CHANGE, kinds=("local",)),
    Key(
        "simulation",
        '{ capacity = "12.5Mpps", noise = "0.3%", seed = 7 }',
        "the model's parameters, as --nfv-sim takes them",
        _simulation,
        needed=True,
        kinds=("sim",),
    ),
)
"""Keys of `[testbed.NAME]`; one that goes with some kinds only is needed with those only."""
