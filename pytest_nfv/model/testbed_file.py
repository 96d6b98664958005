"""Testbed files: hosts, the links between them, and testbeds, which give them roles.

```toml
[testbed.bench]
kind = "local"              # network namespaces on this machine
link = "1GbE"               # what line rate means on its virtual links
device_cores = [0]          # where the device under test forwards
generator_cores = [1]

[host.dut1]
ssh = "dut1"
ports.p0 = { interface = "eth1" }
ports.p1 = { pci = "0000:3b:00.1" }
# ... [host.gen1], two [[link]], and:

[testbed.dut1]
kind = "lab"
device = "dut1"
generator = "gen1"
```

`testbed_keys` has every key; docs/testbeds.md explains them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.machine import Cable, Machine, NicPort, Rig
from pytest_nfv.model.testbed import Testbed, built_in
from pytest_nfv.model.testbed_keys import HOST, LINK, PORT, TESTBED
from pytest_nfv.model.toml_file import TomlFile
from pytest_nfv.units import Link

_TOP = {"host": "[host.NAME]", "link": "[[link]]", "testbed": "[testbed.NAME]"}


@dataclass(frozen=True, slots=True)
class TestbedFile:
    """What one file declares."""

    __test__ = False  # not a test class, whatever pytest makes of its name

    machines: Mapping[str, Machine]
    cables: tuple[Cable, ...]
    testbeds: Mapping[str, Testbed]


def load(path: Path) -> dict[str, Testbed]:
    """Return a file's testbeds by name.

    Raises:
        ConfigurationError: names file, line, key, the value and what is accepted.
    """
    found = read(path)
    if not found.testbeds:
        raise ConfigurationError(f"testbed file {path}: accepted: at least one table [testbed.NAME]")
    return dict(found.testbeds)


def read(path: Path) -> TestbedFile:
    """Return all that a file declares; it need not have a testbed yet.

    Raises:
        ConfigurationError: as of `load`.
    """
    file = TomlFile(path, "testbed")
    file.check_names((), file.data, tuple(_TOP))
    machines = {name: _machine(file, name, one) for name, one in _tables(file, "host").items()}
    cables = _cables(file, machines)
    testbeds = {
        name: _testbed(file, str(path), name, one, machines, cables)
        for name, one in _tables(file, "testbed").items()
    }
    return TestbedFile(machines, cables, testbeds)


def _tables(file: TomlFile, kind: str) -> dict[str, Any]:
    tables = file.data.get(kind, {})
    if not isinstance(tables, dict) or not all(isinstance(one, dict) for one in tables.values()):
        odd = (
            ()
            if not isinstance(tables, dict)
            else [name for name, one in tables.items() if not isinstance(one, dict)]
        )
        raise ConfigurationError(f"{file.at(kind, *odd[:1])}: accepted: tables {_TOP[kind]}")
    return tables


def _machine(file: TomlFile, name: str, table: Mapping[str, Any]) -> Machine:
    where = ("host", name)
    with file.locating(*where):
        Machine(name)
    values = file.read(where, table, HOST)
    ports = tuple(_port(file, name, port, one) for port, one in values.pop("ports", {}).items())
    nodes: dict[int, int] = {}
    for key in ("device_cores", "generator_cores"):
        by_node = values.get(key, {})
        for node, cores in by_node.items():
            for core in cores if node is not None else ():
                if nodes.setdefault(core, node) != node:
                    raise ConfigurationError(
                        f"{file.at(*where, key)}: {key}: core {core} on NUMA node {node}, above on {nodes[core]}"
                    )
        values[key] = tuple(core for cores in by_node.values() for core in cores)
    address = values.pop("ssh", "")
    if "python" in values and not address:
        raise ConfigurationError(
            f"{file.at(*where, 'python')}: python goes with ssh; on this machine it is the one that runs"
        )
    with file.locating(*where, "ports"):
        _once_each(name, ports)
    with file.locating(*where):
        return Machine(name, address=address, ports=ports, core_nodes=nodes, **values)


def _port(file: TomlFile, host: str, name: str, table: Any) -> NicPort:
    where = ("host", host, "ports", name)
    if not isinstance(table, dict):
        raise ConfigurationError(f'{file.at(*where)}: {table!r}: accepted: {name} = {{ interface = "eth1" }}')
    values = file.read(where, table, PORT)
    with file.locating(*where):
        return NicPort(name, **values)


def _once_each(host: str, ports: tuple[NicPort, ...]) -> None:
    seen: dict[tuple[str, int | None], str] = {}
    for port in ports:
        card = (port.interface or port.pci, port.vf)
        if card in seen:
            raise ConfigurationError(
                f"host {host}: ports {seen[card]} and {port.name} are both {card[0]}; accepted: each port once"
            )
        seen[card] = port.name


def _cables(file: TomlFile, machines: Mapping[str, Machine]) -> tuple[Cable, ...]:
    tables = file.data.get("link", [])
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise ConfigurationError(f"{file.at('link')}: accepted: tables [[link]]")
    cables: list[Cable] = []
    taken: dict[tuple[str, str], int] = {}
    for number, table in enumerate(tables):
        values = file.read(("link", number), table, LINK)
        for place, end in enumerate(values["ends"]):
            with file.locating("link", number, "ends", place):
                _machine_of(end[0], machines).port(end[1])
                if taken.setdefault(end, number) != number:
                    raise ConfigurationError(
                        f"port {'.'.join(end)} has a link already ({file.at('link', taken[end], 'ends')}); "
                        "accepted: one link a port"
                    )
        with file.locating("link", number, "ends"):
            one, other = values["ends"]
            cables.append(Cable(one, other, values["speed"]))
    return tuple(cables)


def _machine_of(name: str, machines: Mapping[str, Machine]) -> Machine:
    if name not in machines:
        raise ConfigurationError(
            f"unknown host {name!r}; known: {', '.join(machines) or 'none, as there is no table [host.NAME]'}"
        )
    return machines[name]


def _testbed(
    file: TomlFile,
    source: str,
    name: str,
    table: Mapping[str, Any],
    machines: Mapping[str, Machine],
    cables: tuple[Cable, ...],
) -> Testbed:
    where = ("testbed", name)
    if name in built_in() or not name.replace("-", "").replace("_", "").isalnum():
        raise ConfigurationError(
            f"{file.at(*where)}: testbed name {name!r}: accepted: letters, digits, - and _, "
            f"other than the built-in {', '.join(built_in())}"
        )
    values = file.read(where, table, TESTBED)
    _goes_with_kind(file, where, values)
    if values["kind"] == "lab":
        values["rig"] = _rig(file, where, values.pop("device"), values.pop("generator"), machines, cables)
        values.setdefault("link", values["rig"].link)
    values.setdefault("link", Link.of("100MbE" if values["kind"] == "local" else "10GbE"))
    with file.locating(*where):
        return Testbed(name, source=source, **values)


def _goes_with_kind(file: TomlFile, where: tuple[str, str], values: Mapping[str, Any]) -> None:
    kind = values["kind"]
    for key in TESTBED:
        if key.kinds and kind not in key.kinds and key.name in values:
            raise ConfigurationError(
                f"{file.at(*where, key.name)}: {key.name} goes with kind {' or '.join(map(repr, key.kinds))}, "
                f"not {kind!r}"
            )
        if key.needed and kind in key.kinds and key.name not in values:
            raise ConfigurationError(f"{file.at(*where)}: {key.name} is missing; accepted: {key.form}")


def _rig(
    file: TomlFile,
    where: tuple[str, str],
    devices: tuple[str, ...],
    generator: str,
    machines: Mapping[str, Machine],
    cables: tuple[Cable, ...],
) -> Rig:
    used: dict[str, Machine] = {}
    for key, names in (("device", devices), ("generator", (generator,))):
        with file.locating(*where, key):
            used |= {name: _machine_of(name, machines) for name in names}
    between = tuple(cable for cable in cables if cable.one[0] in used and cable.other[0] in used)
    with file.locating(*where):
        return Rig(devices, generator, between, used)
