"""What is set on a machine's cores and network cards, and what else runs there: read, never changed."""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytest_nfv.hosts.cores import core_list
from pytest_nfv.hosts.ethtool import exchange
from pytest_nfv.hosts.tuning.cstates import states
from pytest_nfv.hosts.tuning.irqs import affinities
from pytest_nfv.hosts.tuning.link_knobs import LINK_KNOBS, LinkKnob
from pytest_nfv.hosts.tuning.protocol import Scope
from pytest_nfv.hosts.tuning.smt import siblings

SPAN_S = 0.2
"""How long cores are watched for other work: twenty ticks of the kernel's accounts."""

_GET_DRIVER, _DRIVER = 0x3, struct.Struct("=I32s32s32s32s32s12s5I")  # struct ethtool_drvinfo
_PCI = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")
_BUSY = (0, 1, 2, 5, 6)  # of /proc/stat: user, nice, system, irq, softirq; proc(5)
_STEAL, _TICKS = 7, 8


@dataclass(frozen=True, slots=True)
class CoreFacts:
    """One core; None and empty where the machine does not tell.

    Attributes:
        node: its NUMA node; socket: its processor.
        siblings: logical cores of the same physical core that are on line.
        min_khz, max_khz: the limits of its clock, as set.
        c_states: those that are on, each with its wake-up time in microseconds.
        irqs: interrupts that may come on it.
        isolated: the scheduler leaves it alone (isolcpus); tickless: it has no timer tick (nohz_full).
        busy: share of time that it worked just now; steal: share since boot that a hypervisor kept it from us.
    """

    core: int
    node: int | None
    socket: int | None
    siblings: tuple[int, ...]
    driver: str | None
    governor: str | None
    min_khz: int | None
    max_khz: int | None
    c_states: Mapping[str, int]
    irqs: tuple[int, ...]
    isolated: bool
    tickless: bool
    busy: float
    steal: float


@dataclass(frozen=True, slots=True)
class NicFacts:
    """One port; None where its driver does not tell.

    Attributes:
        interface: the kernel's name; its PCI address where no driver of the kernel's own has it.
        node: NUMA node of its slot; speed_mbits: of its link.
        settings: of `hosts.tuning.link_knobs`, in their words.
    """

    interface: str
    driver: str | None
    firmware: str | None
    pci: str | None
    node: int | None
    speed_mbits: int | None
    rx_queues: int
    tx_queues: int
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Survey:
    """What a measurement on these cores and interfaces depends on.

    Attributes:
        huge_page_use: when the kernel makes huge pages by itself: `always`, `madvise` or `never`.
    """

    cores: tuple[CoreFacts, ...]
    nics: tuple[NicFacts, ...]
    huge_page_use: str | None

    def core(self, number: int) -> CoreFacts | None:
        """Return a core of it."""
        return next((core for core in self.cores if core.core == number), None)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "cores": {str(core.core): _without(asdict(core), "core") for core in self.cores},
            "nics": {nic.interface: _without(asdict(nic), "interface") for nic in self.nics},
            "huge_page_use": self.huge_page_use,
        }

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Survey:
        """Read what `to_json` of another process gave."""
        cores = tuple(
            CoreFacts(core=int(number), **{key: _tuple(value) for key, value in one.items()})
            for number, one in said["cores"].items()
        )
        nics = tuple(NicFacts(interface=name, **one) for name, one in said["nics"].items())
        return cls(cores, nics, said["huge_page_use"])


def survey(cores: Sequence[int], interfaces: Sequence[str] = (), root: Path = Path("/")) -> Survey:
    """Read what is true now; watches the cores for `SPAN_S`.

    Args:
        cores: that device and generator are to run on.
        interfaces: of the network namespace that we are in; a port that vfio-pci has, by its PCI address.
        root: where /sys and /proc are.
    """
    scope, before = Scope(cores, interfaces, root), _ticks(root)
    watched_until = time.monotonic() + SPAN_S
    system = scope.system
    isolated, tickless = (_cores(system / name) for name in ("isolated", "nohz_full"))
    moved = affinities(root)
    nics = tuple((_slot if _PCI.fullmatch(one) else _nic)(one, root) for one in interfaces)
    time.sleep(max(0.0, watched_until - time.monotonic()))  # the span is what is measured
    after = _ticks(root)
    found = tuple(
        CoreFacts(
            core=core,
            node=_node(scope.cpu(core)),
            socket=_number(scope.cpu(core) / "topology/physical_package_id"),
            siblings=siblings(core, scope),
            driver=_line(scope.cpu(core) / "cpufreq/scaling_driver"),
            governor=_line(scope.cpu(core) / "cpufreq/scaling_governor"),
            min_khz=_number(scope.cpu(core) / "cpufreq/scaling_min_freq"),
            max_khz=_number(scope.cpu(core) / "cpufreq/scaling_max_freq"),
            c_states=_c_states(scope.cpu(core)),
            irqs=tuple(int(path.parent.name) for path, on in moved if core in on),
            isolated=core in isolated,
            tickless=core in tickless,
            busy=_share(before.get(core, ()), after.get(core, ()), _BUSY),
            steal=_share((), after.get(core, ()), (_STEAL,)),
        )
        for core in cores
    )
    return Survey(found, nics, _chosen(root / "sys/kernel/mm/transparent_hugepage/enabled"))


def _c_states(cpu: Path) -> dict[str, int]:
    found = {}
    for state in states(cpu):
        name, latency = _line(state / "name"), _number(state / "latency")
        if name and latency is not None and _line(state / "disable") == "0":
            found[name] = latency
    return found


def _nic(interface: str, root: Path) -> NicFacts:
    folder = root / "sys/class/net" / interface
    driver, firmware = _driver(interface)
    device = folder / "device"
    queues = [path.name for path in (folder / "queues").glob("*")]
    speed = _number(folder / "speed")
    slots = [part for part in device.resolve().parts if _PCI.fullmatch(part)] if device.exists() else []
    return NicFacts(
        interface=interface,
        driver=driver,
        firmware=firmware,
        pci=slots[-1] if slots else None,
        node=_slot_node(device),
        speed_mbits=None if speed is None or speed < 0 else speed,
        rx_queues=sum(name.startswith("rx-") for name in queues),
        tx_queues=sum(name.startswith("tx-") for name in queues),
        settings=_settings(interface),
    )


def _slot(pci: str, root: Path) -> NicFacts:
    """Return what a card tells without a driver of the kernel's own: its link is the business of who has it."""
    device = root / "sys/bus/pci/devices" / pci
    driver = device / "driver"
    return NicFacts(
        interface=pci,
        driver=driver.resolve().name if driver.exists() else None,
        firmware=None,
        pci=pci,
        node=_slot_node(device),
        speed_mbits=None,
        rx_queues=0,
        tx_queues=0,
        settings={},
    )


def _slot_node(device: Path) -> int | None:
    node = _number(device / "numa_node")
    return None if node is None or node < 0 else node  # -1: the firmware does not tell


def _settings(interface: str) -> dict[str, str]:
    found = {}
    for kind in LINK_KNOBS:
        try:
            found[kind] = LinkKnob(kind, interface).read()
        except OSError:  # the driver has no such thing
            continue
    return found


def _driver(interface: str) -> tuple[str | None, str | None]:
    """Return (driver, firmware version)."""
    try:
        answer = exchange(interface, _DRIVER.pack(_GET_DRIVER, *[b""] * 6, *[0] * 5))
    except OSError:
        return None, None
    words = _DRIVER.unpack(answer)
    name, firmware = (words[place].split(b"\0")[0].decode(errors="replace") or None for place in (1, 3))
    return name, firmware


def _ticks(root: Path) -> dict[int, tuple[int, ...]]:
    found = {}
    for line in (_text(root / "proc/stat") or "").splitlines():
        name, *ticks = line.split()
        if name.startswith("cpu") and name != "cpu":
            found[int(name[3:])] = tuple(int(tick) for tick in ticks[:_TICKS])
    return found


def _share(before: Sequence[int], after: Sequence[int], which: Sequence[int]) -> float:
    spent = [now - then for now, then in zip(after, before or [0] * len(after), strict=True)]
    return sum(spent[place] for place in which if place < len(spent)) / sum(spent) if sum(spent) > 0 else 0.0


def _node(cpu: Path) -> int | None:
    names = [path.name.removeprefix("node") for path in cpu.glob("node[0-9]*")]
    return int(names[0]) if names else None


def _cores(path: Path) -> tuple[int, ...]:
    text = _line(path)
    return core_list(text) if text and text[0].isdigit() else ()  # `(null)`: built without


def _chosen(path: Path) -> str | None:
    """Return the word in brackets."""
    text = _line(path) or ""
    return text.partition("[")[2].partition("]")[0] or None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _line(path: Path) -> str | None:
    return (_text(path) or "").strip() or None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _without(values: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != key}
