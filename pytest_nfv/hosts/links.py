"""Links as the agent makes and reads them by netlink."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]  # pyroute2 ships no types

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts.ethtool import set_offload
from pytest_nfv.hosts.netns import Namespace

_NO_IPV6 = "/proc/sys/net/ipv6/conf/default/disable_ipv6"
_BRIDGE_NETFILTER = "/proc/sys/net/bridge/bridge-nf-call-"
_NETFILTERS = ("iptables", "ip6tables", "arptables")
_AGEING_S = 3600  # no address is forgotten within any run of trials
PERMANENT = 0x80  # NUD_PERMANENT
_STATIC = 0x40 | 0x02  # NUD_NOARP and NUD_REACHABLE: as `bridge fdb add ... master static`, bridge(8)
_OF_THE_BRIDGE = 0x04  # NTF_MASTER
_DOOMED = 0x6E66  # group of links that go; groups are each namespace's own
_NO_QUEUE = ("noqueue", "noop", None)  # what a veth end has, if nobody gives it another
_ROOT = 0xFFFFFFFF  # TC_H_ROOT
_COUNTED = ("rx_packets", "tx_packets", "rx_dropped", "tx_dropped", "rx_errors", "tx_errors")
_MISSED = "rx_missed_errors"


@dataclass(frozen=True, slots=True)
class End:
    """One end of a veth pair: where it lives, what it is called, what is switched on or off."""

    namespace: Namespace
    interface: str
    address: str
    offloads: Mapping[str, bool]


def make_veth(one: End, other: End, mtu: int) -> None:
    """Make a pair, up at both ends, with no IPv6 on it.

    Raises:
        DeploymentError: refused; with the kernel's reason.
    """
    with asked(f"make veth pair {one.interface} - {other.interface}"):
        one.namespace.routes.link(
            "add",
            kind="veth",
            ifname=one.interface,
            address=one.address,
            mtu=mtu,
            peer={
                "ifname": other.interface,
                "address": other.address,
                "mtu": mtu,
                "net_ns_fd": other.namespace.descriptor,
            },
        )
    for end in (one, other):
        end.namespace.links.append(end.interface)
    for end in (one, other):
        with end.namespace.entered():
            for offload, on in end.offloads.items():
                set_offload(end.interface, offload, on)
        with asked(f"bring {end.interface} up"):
            end.namespace.routes.link("set", index=index_of(end.namespace, end.interface), state="up")


def make_bridge(namespace: Namespace, bridge: str, address: str, ports: Sequence[str]) -> None:
    """Make a learning bridge with neither spanning tree, multicast snooping nor netfilter, and put `ports` in it.

    VLAN filtering is off by itself; not naming it lets a kernel without it do too.

    Raises:
        DeploymentError: refused; with the kernel's reason.
    """
    ticks = os.sysconf("SC_CLK_TCK")
    with asked(f"make bridge {bridge}"):
        namespace.routes.link(
            "add", kind="bridge", ifname=bridge, address=address, br_stp_state=0, br_ageing_time=_AGEING_S * ticks
        )
    namespace.links.append(bridge)
    index = index_of(namespace, bridge)
    _optional(namespace, index, br_mcast_snooping=0)
    _optional(namespace, index, br_nf_call_iptables=0, br_nf_call_ip6tables=0, br_nf_call_arptables=0)
    with asked(f"bring {bridge} up"):
        namespace.routes.link("set", index=index, state="up")
    for port in ports:
        with asked(f"put {port} into {bridge}"):
            namespace.routes.link("set", index=index_of(namespace, port), master=index)


def give_address(
    namespace: Namespace, interface: str, ip: str, prefix: int, neighbours: Mapping[str, str]
) -> None:
    """Give an interface an IPv4 address, and tell it its neighbours, so that nothing is ever asked by ARP.

    Raises:
        DeploymentError: refused; with the kernel's reason.
    """
    index = index_of(namespace, interface)
    with asked(f"give {interface} the address {ip}/{prefix}"):
        namespace.routes.addr("add", index=index, address=ip, prefixlen=prefix)
    for neighbour, address in neighbours.items():
        with asked(f"tell {interface} that {neighbour} is at {address}"):
            namespace.routes.neigh("add", dst=neighbour, lladdr=address, ifindex=index, state=PERMANENT)


def _optional(namespace: Namespace, index: int, **settings: int) -> None:
    """Set what a kernel may have been built without, in which case there is nothing to switch off."""
    try:
        namespace.routes.link("set", index=index, kind="bridge", **settings)
    except NetlinkError as error:
        if error.code != errno.EOPNOTSUPP:
            raise DeploymentError(f"cannot set {', '.join(settings)}: {os.strerror(error.code)}") from error


def quieten(namespace: Namespace) -> list[str]:
    """Keep the kernel from putting frames of its own on links, or judging those of others; return what it kept."""
    notes = []
    for path, value in ((_NO_IPV6, "1"), *((_BRIDGE_NETFILTER + name, "0") for name in _NETFILTERS)):
        try:
            if namespace.read(path).strip() != value:
                namespace.write(path, value)
        except FileNotFoundError:
            continue  # no IPv6, or no bridge netfilter, in this kernel
        except OSError as error:
            notes.append(f"{path} could not be set to {value} ({error.strerror})")
    return notes


def read_links(namespace: Namespace) -> dict[str, dict[str, Any]]:
    """Return every interface's state and counters since it was made."""
    with asked("read interfaces"):
        found = list(namespace.routes.get_links())
        queued = any(link.get("qdisc") not in _NO_QUEUE for link in found)
        dropped = _queue_drops(namespace) if queued else {}
    names = {link["index"]: link.get("ifname") for link in found}
    return {
        link.get("ifname"): {
            "up": bool(link["flags"] & 1),
            "carrier": bool(link.get("carrier")),
            "master": names.get(link.get("master"), ""),
            "address": link.get("address") or "",
            "mtu": link.get("mtu"),
            **{name: link.get("stats64")[name] for name in _COUNTED},
            "rx_missed": link.get("stats64")[_MISSED],
            "queue_dropped": dropped.get(link["index"], 0),
        }
        for link in found
    }


def _queue_drops(namespace: Namespace) -> dict[int, int]:
    """Return, by interface, the frames that its queueing discipline dropped: `tx_dropped` holds none of them."""
    return {
        one["index"]: one.get_attr("TCA_STATS2").get_attr("TCA_STATS_QUEUE")["drops"]
        for one in namespace.routes.get_qdiscs()
        if one["parent"] == _ROOT  # it counts what those below it drop
    }


def read_learned(namespace: Namespace, bridge: str) -> list[tuple[str, str]]:
    """Return (MAC address, interface) of everything that a bridge has learned."""
    with asked(f"read what {bridge} has learned"):
        names = {link["index"]: link.get("ifname") for link in namespace.routes.get_links()}
        index = index_of(namespace, bridge)
        entries = list(namespace.routes.fdb("dump", master=index))
    return [
        (entry.get("lladdr"), names.get(entry["ifindex"], ""))
        for entry in entries
        if not entry["state"] & PERMANENT and entry["ifindex"] != index  # permanent: the ports' own addresses
    ]


def add_station(namespace: Namespace, interface: str, address: str) -> None:
    """Tell the bridge of `interface` that the station `address` is behind it, for good.

    Raises:
        DeploymentError: the kernel refuses; with its reason.
    """
    with asked(f"tell a bridge that {address} is at {interface}"):
        index = index_of(namespace, interface)
        namespace.routes.fdb("add", ifindex=index, lladdr=address, state=_STATIC, flags=_OF_THE_BRIDGE)


def remove_links(namespace: Namespace) -> None:
    """Remove the links that were made, and the far ends of veth pairs with them, all at once.

    The kernel waits for all cores after each removal, some 30 ms; so it is asked for one, of a group. What
    somebody else took away already is no trouble.

    Raises:
        DeploymentError: the kernel keeps one.
    """
    there = [index for link in namespace.links for index in namespace.routes.link_lookup(ifname=link)]
    requests = [("set", {"index": index, "group": _DOOMED}) for index in there]
    for command, what in (*requests, *([("del", {"group": _DOOMED})] if there else [])):
        try:
            namespace.routes.link(command, **what)
        except NetlinkError as error:
            if error.code != errno.ENODEV:
                raise DeploymentError(
                    f"cannot remove {', '.join(namespace.links)}: {os.strerror(error.code)}"
                ) from error
    namespace.links.clear()


def index_of(namespace: Namespace, interface: str) -> int:
    """Return an interface's index.

    Raises:
        DeploymentError: there is no such interface.
    """
    found = namespace.routes.link_lookup(ifname=interface)
    if not found:
        raise DeploymentError(f"interface {interface} is gone from {namespace.name}")
    return int(found[0])


@contextmanager
def asked(what: str) -> Iterator[None]:
    """Turn a refusal of the kernel into a DeploymentError that says what was asked for."""
    try:
        yield
    except NetlinkError as error:
        raise DeploymentError(f"cannot {what}: {os.strerror(error.code)}") from error
