"""Testbeds: which machines and cores there are. Two are built in, `local` and `sim`; a TOML file adds more.

```toml
[testbed.bench]
kind = "local"              # network namespaces on this machine
link = "1GbE"               # what line rate means on its virtual links
device_cores = [0]          # where the device under test forwards
generator_cores = [1]
vswitches = ["linux-bridge"]

[testbed.model]
kind = "sim"
link = "10GbE"
simulation = { capacity = "12.5Mpps", noise = "0.3%", seed = 7 }
```
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.simulation import Simulation
from pytest_nfv.units import FRAME_SIZE_MAX, FRAME_SIZE_MIN, Link

KINDS = ("local", "sim")
_HEADER_AND_FCS = 18


@dataclass(frozen=True, slots=True)
class Testbed:
    """One place where topologies can be deployed.

    Attributes:
        link: the link whose line rate is meant on virtual links.
        device_cores, generator_cores: processor numbers; empty lets the placement choose. Of two generator cores
            one sends and one receives, where no port does both.
        vswitches: the switches that a run uses unless it asks for others.
        mtu: largest layer-3 packet on the virtual links.
        oversubscribe: VNFs share cores where there are too few for what a topology asks.
        simulation: the simulated device's parameters, for kind `sim`.
        source: where it was declared.
    """

    __test__ = False  # not a test class, whatever pytest makes of its name

    name: str
    kind: str
    link: Link
    device_cores: tuple[int, ...] = ()
    generator_cores: tuple[int, ...] = ()
    vswitches: tuple[str, ...] = ("linux-bridge",)
    mtu: int = 1500
    oversubscribe: bool = False
    simulation: Simulation | None = None
    source: str = "built in"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigurationError(f"kind = {self.kind!r}: accepted: {', '.join(KINDS)}")
        if (self.kind == "sim") != (self.simulation is not None):
            raise ConfigurationError(f"kind = {self.kind!r}: a simulation goes with kind 'sim', and only with it")
        shared = set(self.device_cores) & set(self.generator_cores)
        if shared:
            raise ConfigurationError(
                f"generator_cores = {list(self.generator_cores)}: shares core {min(shared)} with device_cores; "
                "accepted: cores of its own"
            )
        low, high = FRAME_SIZE_MIN - _HEADER_AND_FCS, FRAME_SIZE_MAX - _HEADER_AND_FCS
        if not low <= self.mtu <= high:
            raise ConfigurationError(f"mtu = {self.mtu}: accepted: {low} to {high}")

    @property
    def frame_size_max(self) -> int:
        """Largest frame, FCS included, that fits the MTU (no VLAN tag)."""
        return self.mtu + _HEADER_AND_FCS

    @property
    def search_link(self) -> Link:
        """The link whose line rate a throughput search does not look beyond.

        A virtual link has no speed of its own, and its nominal one says what is asked, not what is possible: there
        it is 10GbE at least, and the generator's own limit comes first.
        """
        return (
            max(self.link, Link.of("10GbE"), key=lambda link: link.l1_bps) if self.kind == "local" else self.link
        )

    @property
    def machines(self) -> frozenset[str]:
        """Addresses of the machines that it measures on, empty text for this one; none where it is simulated."""
        return frozenset({""}) if self.kind == "local" else frozenset()

    def with_link(self, link: Link) -> Testbed:
        """Return the same testbed with another meaning of line rate."""
        return replace(self, link=link)

    def with_simulation(self, simulation: Simulation) -> Testbed:
        """Return the same simulated testbed with another device."""
        return replace(self, simulation=simulation)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values for the record."""
        return {
            "name": self.name,
            "kind": self.kind,
            "link": str(self.link),
            "device_cores": list(self.device_cores),
            "generator_cores": list(self.generator_cores),
            "vswitches": list(self.vswitches),
            "mtu_octets": self.mtu,
            "oversubscribe": self.oversubscribe,
            "source": self.source,
        }


def built_in() -> dict[str, Testbed]:
    """Return the testbeds that need no file.

    `local` calls 100 Mb/s its line rate: the kernel's veth path on one core forwards less than 1 Mpps, so
    that this is what every frame size can be expected to reach on any machine; `--nfv-link` asks for more.
    """
    return {
        "local": Testbed("local", "local", Link.of("100MbE")),
        "sim": Testbed(
            "sim", "sim", Link.of("10GbE"), simulation=Simulation.parse("capacity=40Mpps,generator=40Mpps")
        ),
    }


def load(path: Path) -> dict[str, Testbed]:
    """Read a testbed file.

    Raises:
        ConfigurationError: names file, line, key, the value and what is accepted.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"testbed file {path}: cannot be read: {error}") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"testbed file {path}: not TOML: {error}") from error
    _accept(path, text, (), data, {"testbed"})
    tables = data.get("testbed")
    if not isinstance(tables, dict) or not tables:
        raise ConfigurationError(f"testbed file {path}: accepted: at least one table [testbed.NAME]")
    return {name: _testbed(path, text, name, table) for name, table in tables.items()}


def _testbed(path: Path, text: str, name: str, table: Any) -> Testbed:
    section = ("testbed", name)
    if not isinstance(table, dict):
        raise ConfigurationError(f"{_at(path, text, section)}: accepted: a table [testbed.{name}]")
    if name in built_in() or not name.replace("-", "").replace("_", "").isalnum():
        raise ConfigurationError(
            f"{_at(path, text, section)}: testbed name {name!r}: accepted: letters, digits, - and _, "
            f"other than the built-in {', '.join(built_in())}"
        )
    _accept(path, text, section, table, set(_READERS))
    if "kind" not in table:
        raise ConfigurationError(f"{_at(path, text, section)}: kind is missing: accepted: {', '.join(KINDS)}")
    values: dict[str, Any] = {"link": Link.of("100MbE" if table["kind"] == "local" else "10GbE")}
    for key, value in table.items():
        try:
            values[key] = _READERS[key](value)
        except ConfigurationError as error:
            raise ConfigurationError(f"{_at(path, text, (*section, key))}: {key}: {error}") from error
    try:
        return Testbed(name, source=str(path), **values)
    except ConfigurationError as error:
        raise ConfigurationError(f"{_at(path, text, section)}: {error}") from error


def _accept(path: Path, text: str, section: tuple[str, ...], table: Mapping[str, Any], known: set[str]) -> None:
    for key in table:
        if key not in known:
            where = _at(path, text, (*section, key))
            raise ConfigurationError(f"{where}: unknown key {key!r}; accepted: {', '.join(sorted(known))}")


def _at(path: Path, text: str, keys: tuple[str, ...]) -> str:
    """Return `testbed file F, line N`, as near to the key as its text is found."""
    best, want = 0, list(keys)
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].strip()
        if words.startswith("["):
            if [part.strip(" \"'") for part in words.strip("[]").split(".")] == want[:-1]:
                best = number
            elif [part.strip(" \"'") for part in words.strip("[]").split(".")] == want:
                return f"testbed file {path}, line {number}"
        elif best and words.split("=")[0].strip(" \"'") == want[-1]:
            return f"testbed file {path}, line {number}"
    return f"testbed file {path}" + (f", line {best}" if best else "")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{value!r} is not a text in quotes")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigurationError(f"{value!r} is not a whole number")
    return value


def _list(item: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ConfigurationError(f"{value!r} is not a list in [ ]")
        if not value:
            raise ConfigurationError("[] is empty; accepted: one or more, or leave the key out")
        return tuple(item(one) for one in value)

    return read


def _core(value: Any) -> int:
    if _whole(value) < 0:
        raise ConfigurationError(f"core {value!r}: accepted: 0 or more")
    return int(value)


def _simulation(value: Any) -> Simulation:
    if isinstance(value, str):
        return Simulation.parse(value)
    if not isinstance(value, dict):
        raise ConfigurationError(f'{value!r}: accepted: {{ capacity = "12.5Mpps", ... }}')
    return Simulation.of(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "kind": _text,
    "link": lambda value: Link.of(_text(value)),
    "device_cores": _list(_core),
    "generator_cores": _list(_core),
    "vswitches": _list(_text),
    "mtu": _whole,
    "simulation": _simulation,
}
