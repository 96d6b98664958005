"""Ports of a host's network cards, as `ip -j` and /sys have them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_nfv.hosts.protocol import MachineHost

_NET = "/sys/class/net"
_PCI = "/sys/bus/pci/devices"
_NETWORK = "0x02"  # PCI class
_FILES = (
    "speed",
    "device/uevent",
    "device/numa_node",
    "device/sriov_totalvfs",
    "device/sriov_numvfs",
    "device/physfn/uevent",
)


@dataclass(frozen=True, slots=True)
class FoundPort:
    """One Ethernet port; None or empty where the host does not tell.

    Attributes:
        interface: the kernel's name of it; empty where vfio-pci or another network namespace has it.
        pci: its PCI address; driver: the kernel's, or `veth`.
        speed_mbps: per direction, while its link is up.
        node: NUMA node of its slot.
        up: whether it is set up; carrier: whether there is a link, which is known only while it is set up.
        used_by: why it is not free: its addresses, routes, and what it is part of.
        vfs, vfs_most: SR-IOV virtual functions there are, and can be; function_of: PCI address of a VF's port.
    """

    interface: str
    pci: str = ""
    driver: str = ""
    speed_mbps: int | None = None
    node: int | None = None
    up: bool = False
    carrier: bool | None = None
    used_by: tuple[str, ...] = ()
    vfs: int = 0
    vfs_most: int = 0
    function_of: str = ""


def read_ports(host: MachineHost) -> tuple[FoundPort, ...]:
    """Read a host's Ethernet ports, in the order of their PCI addresses.

    Raises:
        CommandError: `ip` is missing there (package iproute2).
    """
    links = json.loads(host.run(["ip", "-j", "-d", "addr"]).stdout or "[]")
    routes = [
        route
        for family in ("-4", "-6")
        for route in json.loads(host.run(["ip", "-j", family, "route", "show", "default"]).stdout or "[]")
    ]
    names = [link["ifname"] for link in links]
    slots = host.run(["ls", "-1", _PCI], check=False).stdout.split()
    paths = [f"{_NET}/{name}/{file}" for name in names for file in _FILES]
    paths += [f"{_PCI}/{slot}/{file}" for slot in slots for file in ("class", "uevent", "numa_node")]
    return ports(links, routes, slots, host.read_texts(paths))


def ports(
    links: Sequence[Mapping[str, Any]],
    routes: Iterable[Mapping[str, Any]],
    slots: Iterable[str],
    files: Mapping[str, str],
) -> tuple[FoundPort, ...]:
    """Return the Ethernet ports.

    Args:
        links: what `ip -j -d addr` says.
        routes: the default routes of `ip -j route`.
        slots: PCI addresses of all devices.
        files: texts of files below /sys by path.
    """
    through = {str(route.get("dev")) for route in routes}
    found = [_port(link, links, through, files) for link in links if _is_port(link, files)]
    known = {port.pci for port in found}
    found += [port for slot in slots if slot not in known and (port := _slot(slot, files)) is not None]
    return tuple(sorted(found, key=lambda port: (not port.pci, port.pci, port.interface)))


def _is_port(link: Mapping[str, Any], files: Mapping[str, str]) -> bool:
    kind = link.get("linkinfo", {}).get("info_kind", "")
    hardware = f"{_NET}/{link['ifname']}/device/uevent" in files and not kind
    return link.get("link_type") == "ether" and (hardware or kind == "veth")


def _port(
    link: Mapping[str, Any], links: Sequence[Mapping[str, Any]], through: set[str], files: Mapping[str, str]
) -> FoundPort:
    name = str(link["ifname"])
    texts = {file: files.get(f"{_NET}/{name}/{file}", "") for file in _FILES}
    device, flags = _fields(texts["device/uevent"]), link.get("flags", [])
    up = "UP" in flags
    return FoundPort(
        name,
        pci=device.get("PCI_SLOT_NAME", ""),
        driver=device.get("DRIVER", "") or link.get("linkinfo", {}).get("info_kind", ""),
        speed_mbps=_positive(texts["speed"]),
        node=_node(texts["device/numa_node"]),
        up=up,
        carrier="LOWER_UP" in flags if up else None,
        used_by=tuple(_used_by(link, links, through)),
        vfs=_positive(texts["device/sriov_numvfs"]) or 0,
        vfs_most=_positive(texts["device/sriov_totalvfs"]) or 0,
        function_of=_fields(texts["device/physfn/uevent"]).get("PCI_SLOT_NAME", ""),
    )


def _used_by(link: Mapping[str, Any], links: Sequence[Mapping[str, Any]], through: set[str]) -> Iterable[str]:
    """Yield why a port is not free for frames of ours."""
    name = link["ifname"]
    for address in link.get("addr_info", []):
        if address.get("scope") != "link":  # every interface that is up has one of those
            yield f"{address.get('local')}/{address.get('prefixlen')}"
    if name in through:
        yield "default route"
    if link.get("master"):
        yield f"part of {link['master']}"
    for other in links:
        if other.get("link") == name and other.get("linkinfo", {}).get("info_kind") != "veth":
            yield f"{other['ifname']} is on it"


def _slot(slot: str, files: Mapping[str, str]) -> FoundPort | None:
    """Return a network controller without an interface that is seen here; virtio's is on a bus of its own."""
    driver = _fields(files.get(f"{_PCI}/{slot}/uevent", "")).get("DRIVER", "")
    if not files.get(f"{_PCI}/{slot}/class", "").startswith(_NETWORK) or driver == "virtio-pci":
        return None
    return FoundPort("", pci=slot, driver=driver, node=_node(files.get(f"{_PCI}/{slot}/numa_node", "")))


def _fields(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _positive(text: str) -> int | None:
    return int(text) if text.strip().isdecimal() and int(text) else None


def _node(text: str) -> int | None:
    return int(text) if text.strip().isdecimal() else None  # -1: the machine has but one, or does not tell
