"""Cores of a host by NUMA node, with their SMT siblings, and the memory and frequencies that go with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_nfv.hosts.cores import core_list
from pytest_nfv.hosts.protocol import MachineHost

_CPU, _NODE = "/sys/devices/system/cpu", "/sys/devices/system/node"
_PAGES_KIB = (2048, 1048576)
_FREQUENCY = (
    "scaling_driver",
    "scaling_governor",
    "scaling_available_governors",
    "scaling_available_frequencies",
    "cpuinfo_min_freq",
    "cpuinfo_max_freq",
)


@dataclass(frozen=True, slots=True)
class Processors:
    """The cores that are online.

    Attributes:
        nodes: cores by NUMA node; one node, 0, where the machine has none.
        siblings: the cores of one physical core, of each core.
        isolated: cores that the scheduler leaves alone.
        huge_pages: (node, size of a page in KiB) to pages in the pool.
        frequency: what cpufreq says of the first core, by its file's name; empty where there is none.
        boost: whether turbo is on; None where the machine does not tell.
    """

    nodes: Mapping[int, tuple[int, ...]]
    siblings: Mapping[int, tuple[int, ...]]
    isolated: tuple[int, ...] = ()
    huge_pages: Mapping[tuple[int, int], int] | None = None
    frequency: Mapping[str, str] | None = None
    boost: bool | None = None

    @property
    def online(self) -> tuple[int, ...]:
        """All cores."""
        return tuple(sorted(core for cores in self.nodes.values() for core in cores))

    @property
    def threads(self) -> int:
        """Hardware threads of a physical core: 2 with SMT on."""
        return max((len(cores) for cores in self.siblings.values()), default=1)

    def first_threads(self, node: int) -> tuple[int, ...]:
        """Return one core of each physical core of a node."""
        return tuple(core for core in self.nodes[node] if core == min(self.siblings.get(core, (core,))))

    def node_of(self, core: int) -> int | None:
        """Return the NUMA node of a core; None where it is not online."""
        return next((node for node, cores in self.nodes.items() if core in cores), None)


def read_processors(host: MachineHost) -> Processors:
    """Read a host's cores."""
    files = host.read_texts([f"{_CPU}/online", f"{_CPU}/isolated", f"{_NODE}/online"])
    nodes, cores = _cores(files.get(f"{_NODE}/online", "")) or (0,), _cores(files.get(f"{_CPU}/online", ""))
    paths = [f"{_NODE}/node{node}/cpulist" for node in nodes]
    paths += [_pages(node, kib) for node in nodes for kib in _PAGES_KIB]
    paths += [f"{_CPU}/cpu{core}/topology/thread_siblings_list" for core in cores]
    paths += [f"{_CPU}/cpu{min(cores, default=0)}/cpufreq/{name}" for name in _FREQUENCY]
    paths += [f"{_CPU}/intel_pstate/no_turbo", f"{_CPU}/cpufreq/boost"]
    return processors(files | host.read_texts(paths))


def processors(files: Mapping[str, str]) -> Processors:
    """Return the cores, from the texts of files below /sys by path."""
    online = _cores(files.get(f"{_CPU}/online", ""))
    nodes = {
        node: tuple(core for core in _cores(files.get(f"{_NODE}/node{node}/cpulist", "")) if core in online)
        for node in _cores(files.get(f"{_NODE}/online", ""))
    }
    siblings = {
        core: _cores(files.get(f"{_CPU}/cpu{core}/topology/thread_siblings_list", "")) or (core,)
        for core in online
    }
    pages = {
        (node, kib): int(files[_pages(node, kib)])
        for node in nodes or {0: online}
        for kib in _PAGES_KIB
        if files.get(_pages(node, kib), "").strip().isdecimal()
    }
    first = f"{_CPU}/cpu{min(online, default=0)}/cpufreq"
    return Processors(
        nodes={node: cores for node, cores in nodes.items() if cores} or {0: online},
        siblings=siblings,
        isolated=_cores(files.get(f"{_CPU}/isolated", "")),
        huge_pages=pages,
        frequency={name: files[f"{first}/{name}"].strip() for name in _FREQUENCY if f"{first}/{name}" in files},
        boost=_boost(files),
    )


def _cores(text: str) -> tuple[int, ...]:
    return core_list(text) if text.strip() else ()


def _pages(node: int, kib: int) -> str:
    return f"{_NODE}/node{node}/hugepages/hugepages-{kib}kB/nr_hugepages"


def _boost(files: Mapping[str, str]) -> bool | None:
    off, on = files.get(f"{_CPU}/intel_pstate/no_turbo"), files.get(f"{_CPU}/cpufreq/boost")
    if off is not None:
        return off.strip() == "0"
    return None if on is None else on.strip() == "1"
