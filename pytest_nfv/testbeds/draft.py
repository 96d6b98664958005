"""A first version of a host's part of a testbed file, from what was found on it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.hosts.nic_ports import FoundPort
from pytest_nfv.hosts.processors import Processors
from pytest_nfv.model.machine import CHANGES, NicPort
from pytest_nfv.units import Link

_FEW = 4  # fewer physical cores than that cannot leave one to the system


def host_name(text: str) -> str:
    """Return a name that a testbed file takes, from an address or a machine's own name."""
    bare = text.rpartition("@")[2].strip("[]").split(":")[0]
    first = bare if bare.replace(".", "").isdecimal() else bare.split(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]", "-", first).strip("-_")[:63] or "host"


def draft(name: str, address: str, ports: Sequence[FoundPort], cores: Processors) -> str:
    """Return the text: a table `[host.NAME]` that can be read, and what is to be added as comments.

    Args:
        name: of the host, as `host_name` gives it.
        address: what ssh(1) takes; empty for this machine.
        ports: its Ethernet ports.
        cores: its processors.
    """
    lines = [f"[host.{name}]"]
    lines.append(f'ssh = "{address}"' if address else "# no `ssh`: this machine")
    free = [port for port in ports if is_free(port)]
    lines += _ports(ports, free)
    lines += _cores(free, cores)
    lines += ["# settings that a run may change, and puts back:", f"# may_change = [{_quoted(CHANGES)}]"]
    tags = sorted({port.driver for port in free if port.driver})
    lines.append(f"tags = [{_quoted(tags)}]" if tags else '# tags = ["x710"]')
    return "\n".join([*lines, "", *_rest(name, free)]) + "\n"


def is_free(port: FoundPort) -> bool:
    """Whether a port has no other use, so that tests may have it, and a name that a testbed file takes."""
    return bool(port.interface and place(port)) and not port.used_by


def place(port: FoundPort) -> str:
    """Return the key that says which port it is: its PCI address, which stays, or else its interface."""
    with suppress(ConfigurationError):
        return f'pci = "{NicPort("any", pci=port.pci).pci}"'
    with suppress(ConfigurationError):
        return f'interface = "{NicPort("any", interface=port.interface).interface}"'
    return ""


def _ports(ports: Sequence[FoundPort], free: Sequence[FoundPort]) -> Iterator[str]:
    for number, port in enumerate(free):
        yield f"ports.p{number} = {{ {place(port)} }}  # {_words(port)}"
    for port in ports:
        if port.used_by:
            yield f"# management: {port.interface} ({', '.join(port.used_by)}); {_words(port)}"
        elif port.interface and not place(port):
            yield f"# {port.interface}: a name that no testbed file takes; rename it: ip link set ... name ..."
        elif not port.interface:
            what = f"driver {port.driver} has it" if port.driver else "no driver"
            yield f'# ports.p? = {{ pci = "{port.pci}" }}  # no interface is seen: {what}, or another namespace'
    if not free:
        yield "# no port is free: put a network card in, or take addresses off an interface that may be used"


def _words(port: FoundPort) -> str:
    """Return what is known of a port."""
    link = {True: "link up", False: "set up, no link", None: "not set up"}[port.carrier]
    speed = f", {Link(port.speed_mbps * 1e6)}" if port.speed_mbps else ""
    said = [port.interface, *([port.pci] if port.pci else []), port.driver or "driver unknown", f"{link}{speed}"]
    said += [f"NUMA node {port.node}"] if port.node is not None else []
    said += [f"{port.vfs} of {port.vfs_most} virtual functions"] if port.vfs_most else []
    said += [f"a virtual function of {port.function_of}"] if port.function_of else []
    return ", ".join(said)


def _cores(free: Sequence[FoundPort], cores: Processors) -> Iterator[str]:
    for node, members in cores.nodes.items():
        threads = f", {cores.threads} threads a physical core" if cores.threads > 1 else ""
        yield f"# NUMA node {node}: cores {_ranges(members)}{threads}{_pages(node, cores)}"
    if cores.isolated:
        yield f"# isolated from the scheduler: {_ranges(cores.isolated)}"
    if cores.frequency:
        yield f"# cpufreq: {', '.join(f'{name} {value}' for name, value in cores.frequency.items())}"
    device, generator = split(free, cores)
    if cores.threads > 1:
        yield "# one thread of each physical core; its siblings should stay idle"
    yield f"device_cores = {_by_node(device, cores)}"
    if generator:
        yield f"generator_cores = {_by_node(generator, cores)}"
    else:
        yield "# no core is left for a generator: this host cannot be device and generator at once"


def split(free: Sequence[FoundPort], cores: Processors) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return cores for a device and for a generator: near the ports, one thread of each physical core.

    The first physical core of each node is left to the system where there are enough; where cores are isolated,
    those are what is meant for this. The generator's are the last of the ports' node.
    """
    usable = {node: _usable(cores.first_threads(node), cores.isolated) for node in cores.nodes}
    near = [port.node for port in free if port.node in usable]
    home = max(sorted(set(near)), key=near.count) if near else min(usable)
    here, elsewhere = usable[home], [core for node in usable if node != home for core in usable[node]]
    take = min(2 if len(here) >= _FEW - 1 else 1, len(here) - 1)
    kept = here[: len(here) - take]
    return (*kept, *elsewhere), tuple(here[len(here) - take :])


def _usable(first: tuple[int, ...], isolated: tuple[int, ...]) -> tuple[int, ...]:
    apart = tuple(core for core in first if core in isolated)
    return apart or (first[1:] if len(first) >= _FEW else first)


def _by_node(chosen: Sequence[int], cores: Processors) -> str:
    if len(cores.nodes) == 1:
        return str(sorted(chosen))
    nodes = {node: [core for core in members if core in chosen] for node, members in cores.nodes.items()}
    return "{ " + ", ".join(f"{node} = {members}" for node, members in nodes.items() if members) + " }"


def _pages(node: int, cores: Processors) -> str:
    pages = [
        f"{count} huge pages of {kib // 1024} MiB"
        for (of, kib), count in (cores.huge_pages or {}).items()
        if of == node and count
    ]
    return "; " + (", ".join(pages) or "no huge pages")


def _ranges(cores: Sequence[int]) -> str:
    """Return cores as the kernel writes them: 0-3,8."""
    parts: list[list[int]] = []
    for core in sorted(cores):
        if parts and core == parts[-1][-1] + 1:
            parts[-1].append(core)
        else:
            parts.append([core])
    return ",".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


def _rest(name: str, free: Sequence[FoundPort]) -> list[str]:
    """Return what no host alone can tell, as comments: the cables and the roles."""
    speed = next((str(Link(port.speed_mbps * 1e6)) for port in free if port.speed_mbps), "10GbE")
    cables = [
        line
        for number in range(2)
        for line in ("# [[link]]", f'# ends = ["GENERATOR.p{number}", "{name}.p{number}"]', f'# speed = "{speed}"')
    ]
    testbed = [f"# [testbed.{name}]", '# kind = "lab"', f'# device = "{name}"', '# generator = "GENERATOR"']
    return [
        "# The other host's part goes into the same file; then the cables between them, and the roles:",
        *cables,
        *testbed,
    ]
