"""A network function as the kernel's own forwarding: the commands that make `nic0` and `nic1` do it.

Pure: a function value in, commands with their input out, which any host runs that has `ip` (iproute2), `nft`
(nftables) and `sysctl`. The interfaces are there, down, and have nothing to do yet.

What differs from `model.nf_oracle`, which is what the kernel's bridge and router are made to do:

- `L2Fwd`, `Firewall`: a bridge keeps frames to the vNICs' own addresses, and those that IEEE 802.1Q keeps on a
  link (01-80-C2-00-00-00 to -02), and takes none from a group address.
- `L3Fwd`: the kernel drops martian addresses (RFC 1812 section 5.3.7), broadcast and multicast; options are
  carried out; octets behind the packet are cut off.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_nfv.errors import ConfigurationError, DeploymentError
from pytest_nfv.model.nf import Firewall, Function, L2Fwd, L3Fwd
from pytest_nfv.model.routes import NICS
from pytest_nfv.vnfs.kernel_rules import QUIET, TABLE, firewall

BRIDGE = "br0"

_INTERFACES = tuple(f"nic{number}" for number in range(NICS))
_EVERYTHING = f"""\
table netdev {TABLE} {{
  chain everything {{
    type filter hook ingress devices = {{ {", ".join(_INTERFACES)} }} priority 0; policy accept;
    meta pkttype set host
  }}
}}
"""
"""Frames to any MAC address are for the router, as `L3Fwd` does not look at them."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command, and what it reads on its standard input."""

    argv: tuple[str, ...]
    stdin: str = ""


def steps(function: Function, mtu: int) -> tuple[Step, ...]:
    """Return what makes the kernel do a function.

    Raises:
        ConfigurationError: the kernel has no such function.
    """
    match function:
        case L2Fwd():
            return (_ip(_bridge(mtu)),)
        case Firewall():
            return _nft(firewall(function.rules)), _ip(_bridge(mtu))
        case L3Fwd():
            return (*_settings(), _nft(QUIET + _EVERYTHING), _ip(_routes(function, mtu)))
        case _:
            raise ConfigurationError(
                f"network function {function.kind!r} by the kernel: accepted: l2fwd, l3fwd, firewall"
            )


def space(pair: int) -> tuple[str, ...]:
    """Return the words before a command that is for one pair of several."""
    return "ip", "netns", "exec", _space(pair)


def parted(pairs: int) -> str:
    """Return what `ip -batch` reads to give each pair of vNICs a network namespace, `nic0` and `nic1` in it."""
    lines = []
    for pair in range(pairs):
        lines.append(f"netns add {_space(pair)}")
        for nic in range(NICS):
            lines.append(f"link set nic{NICS * pair + nic} netns {_space(pair)} name nic{nic}")
    return "".join(f"{line}\n" for line in lines)


def _space(pair: int) -> str:
    return f"pair{pair}"


LINKS = Step(("ip", "-json", "-details", "link"))
"""Asks for what `not_ready` reads."""


def not_ready(said: str) -> list[str]:
    """Read what `LINKS` prints: what still keeps a vNIC from carrying frames, each in words; empty where nothing.

    Raises:
        DeploymentError: it says something else.
    """
    try:
        links = {one["ifname"]: one for one in json.loads(said)}
        amiss = []
        for interface in _INTERFACES:
            port = links[interface].get("linkinfo", {}).get("info_slave_data", {}).get("state", "forwarding")
            if links[interface]["operstate"] not in ("UP", "UNKNOWN"):
                amiss.append(f"{interface} is {links[interface]['operstate'].lower()}")
            elif port != "forwarding":
                amiss.append(f"{interface} is {port} in its bridge")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DeploymentError(f"a guest's links cannot be read: {error!r} in {said[:200]!r}") from error
    return amiss


def _ip(lines: Iterator[str]) -> Step:
    return Step(("ip", "-batch", "-"), "".join(f"{line}\n" for line in lines))


def _nft(text: str) -> Step:
    return Step(("nft", "-f", "-"), text)


def _bridge(mtu: int) -> Iterator[str]:
    """A bridge that learns nothing sends whatever comes in by one of two ports out of the other."""
    yield f"link add {BRIDGE} type bridge stp_state 0 mcast_snooping 0"
    for interface in _INTERFACES:
        yield f"link set {interface} mtu {mtu} master {BRIDGE}"
        yield f"link set {interface} type bridge_slave learning off flood on mcast_flood on bcast_flood on"
        yield f"link set {interface} up"
    yield f"link set {BRIDGE} up"


def _settings() -> Iterator[Step]:
    for setting in ("conf.all.rp_filter=0", "conf.default.rp_filter=0", "conf.all.send_redirects=0"):
        yield _sysctl(setting)
    for interface in _INTERFACES:
        for setting in ("rp_filter=0", "send_redirects=0"):
            yield _sysctl(f"conf.{interface}.{setting}")
    yield _sysctl("ip_forward=1")


def _sysctl(setting: str) -> Step:
    return Step(("sysctl", "-w", f"net.ipv4.{setting}"))


def _routes(function: L3Fwd, mtu: int) -> Iterator[str]:
    """Next hops are stations without an address of ours in their network: each gets one that no packet carries."""
    yield "link set lo up"  # a kernel without any address of its own takes no gateway
    for interface, address in zip(_INTERFACES, function.addresses, strict=True):
        yield f"link set {interface} mtu {mtu} address {address} promisc on"  # QEMU looks at addresses too
        yield f"link set {interface} up"
    hops: dict[tuple[int, str], str] = {}
    routed: list[str] = []
    for route in function.routes.routes:
        station = (route.nic, route.next_hop or function.neighbours[route.nic])
        if station not in hops:
            hops[station] = _hop(len(hops))
            yield (
                f"neighbour replace {hops[station]} lladdr {station[1]} nud permanent dev {_INTERFACES[route.nic]}"
            )
        routed.append(f"route replace {route.prefix} via {hops[station]} dev {_INTERFACES[route.nic]} onlink")
    yield from routed


def _hop(number: int) -> str:
    """Return an address of 100.64.0.0/10, which is shared by carriers and routed nowhere (RFC 6598)."""
    return f"100.{64 + (number >> 16)}.{number >> 8 & 0xFF}.{number & 0xFF}"
