"""The kernel's own forwarding in a namespace, by netlink from the agent: routes, and a bridge of two ports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address

from pytest_nfv.hosts.links import PERMANENT, asked, index_of
from pytest_nfv.hosts.netns import Namespace

# Next hops have addresses here, where no route of a test leads; nobody else ever sees them.
_HOPS = IPv4Address("169.254.0.1")
# All that 802.1D keeps from being forwarded and the kernel may forward: all but STP, pause and LACP frames.
_GROUPS_FORWARDED = 0xFFF8
_SELF, _MASTER = 2, 4  # NTF_SELF, NTF_MASTER: whose entry it is


def make_router(namespace: Namespace, interfaces: Sequence[str], routes: Sequence[tuple[str, str, str]]) -> None:
    """Forward IPv4 between `interfaces`, which need no address of their own, as next hops are known.

    Reverse paths are not checked, no redirect is sent, and no packet is looked up for a local socket first.

    Args:
        namespace: where.
        interfaces: those that forward.
        routes: (prefix, interface, MAC address of the next hop) each.

    Raises:
        DeploymentError: the kernel refuses; with its reason.
        OSError: a setting is not to be had.
    """
    with asked("bring lo up"):  # with its address comes the table of local ones: without it no next hop is valid
        namespace.routes.link("set", index=index_of(namespace, "lo"), state="up")
    for name, value in _settings(interfaces):
        namespace.write(f"/proc/sys/net/ipv4/{name}", value)
    hops: dict[tuple[str, str], str] = {}
    indices = {interface: index_of(namespace, interface) for interface in interfaces}
    for prefix, interface, address in routes:
        hop = hops.get((interface, address))
        if hop is None:
            hop = hops[interface, address] = str(_HOPS + len(hops))
            with asked(f"tell {interface} that {hop} is at {address}"):
                namespace.routes.neigh("add", dst=hop, lladdr=address, ifindex=indices[interface], state=PERMANENT)
        with asked(f"route {prefix} by {interface}"):
            namespace.routes.route("add", dst=prefix, gateway=hop, oif=indices[interface], flags=["onlink"])


def _settings(interfaces: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield "ip_forward", "1"  # first: it sets others back
    yield "ip_early_demux", "0"
    for interface in ("all", *interfaces):
        yield f"conf/{interface}/rp_filter", "0"
        yield f"conf/{interface}/send_redirects", "0"


def make_transparent(namespace: Namespace, bridge: str, ports: Sequence[str]) -> None:
    """Let a bridge of two ports move every frame from one to the other, whatever its addresses.

    Nothing is learned, so that every frame is flooded, to the only other port; frames to the ports' own addresses,
    which a bridge keeps for its host, are forwarded as any other.

    Raises:
        DeploymentError: the kernel refuses; with its reason.
    """
    index = index_of(namespace, bridge)
    with asked(f"forward groups' frames in {bridge}"):
        namespace.routes.link("set", index=index, kind="bridge", br_group_fwd_mask=_GROUPS_FORWARDED)
    for port in ports:
        with asked(f"keep {port} from learning"):
            namespace.routes.brport("set", index=index_of(namespace, port), learning=0)
    with asked(f"read what {bridge} keeps for itself"):
        entries = list(namespace.routes.fdb("dump", master=index))
    # Entries of devices themselves are no entries of the bridge; one without VLAN goes with those of all VLANs.
    for entry in (one for one in entries if not one["flags"] & _SELF and one.get("vlan") is None):
        address = entry.get("lladdr")
        with asked(f"forward frames to {address}"):
            kind = _SELF if entry["ifindex"] == index else _MASTER
            namespace.routes.fdb("del", ifindex=entry["ifindex"], lladdr=address, flags=kind)
