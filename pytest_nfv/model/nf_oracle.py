"""What must come out: one frame at a time, by the standard library alone, made to be right and not to be fast."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.nf import SIGNED_OCTETS, Drop, Firewall, Function, L3Fwd, Own
from pytest_nfv.model.rules import WITH_PORTS

ETHERNET_OCTETS = 14
HEADER_OCTETS_MIN = 20
_IPV4 = b"\x08\x00"


@dataclass(frozen=True, slots=True)
class Sent:
    """A frame that comes out.

    Attributes:
        nic: by which vNIC; frame: its octets without FCS.
    """

    nic: int
    frame: bytes


def process(function: Function, nic: int, frame: bytes) -> Sent | Drop:
    """Return what becomes of a frame that came in by `nic`.

    Raises:
        ConfigurationError: a function of a user's own, of which nothing is known here.
    """
    if isinstance(function, Own):
        raise ConfigurationError(f"{function}: the oracle knows only the functions of this package")
    if len(frame) < ETHERNET_OCTETS:
        return Drop.MALFORMED
    if isinstance(function, L3Fwd):
        return _route(function, frame)
    if isinstance(function, Firewall) and not _allows(function, frame):
        return Drop.POLICY if _header(frame) is not None or frame[12:14] != _IPV4 else Drop.MALFORMED
    return Sent(1 - nic, frame)


def signature(frame: bytes) -> int:
    """Return the signature of a frame, as `Signature` defines it."""
    return checksum(frame[:SIGNED_OCTETS].ljust(SIGNED_OCTETS, b"\0"))


def checksum(octets: bytes) -> int:
    """Return the Internet checksum of an even number of octets (RFC 1071)."""
    total = sum(int.from_bytes(octets[at : at + 2]) for at in range(0, len(octets), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def _header(frame: bytes) -> bytes | None:
    """Return the IPv4 header, options included, or None where none is sound; its checksum is not judged."""
    packet = frame[ETHERNET_OCTETS:]
    if frame[12:14] != _IPV4 or len(packet) < HEADER_OCTETS_MIN or packet[0] >> 4 != 4:
        return None
    header_octets, total_octets = 4 * (packet[0] & 0xF), int.from_bytes(packet[2:4])
    if not HEADER_OCTETS_MIN <= header_octets <= total_octets <= len(packet):
        return None
    return packet[:header_octets]


def _route(function: L3Fwd, frame: bytes) -> Sent | Drop:
    header = _header(frame)
    if header is None or checksum(header) != 0:
        return Drop.MALFORMED
    route = function.routes.lookup(IPv4Address(header[16:20]))
    if route is None:
        return Drop.NO_ROUTE
    if header[8] <= 1:
        return Drop.TTL
    next_hop = route.next_hop or function.neighbours[route.nic]
    ethernet = _octets(next_hop) + _octets(function.addresses[route.nic]) + _IPV4
    after = bytes([header[8] - 1]) + header[9:10]
    update = _updated(int.from_bytes(header[10:12]), int.from_bytes(header[8:10]), int.from_bytes(after))
    routed = header[:8] + after + update.to_bytes(2) + header[12:]
    return Sent(route.nic, ethernet + routed + frame[ETHERNET_OCTETS + len(header) :])


def _updated(before: int, old: int, new: int) -> int:
    """Return the checksum after one 16-bit word changed: HC' = ~(~HC + ~m + m') (RFC 1624, equation 3)."""
    total = (0xFFFF - before) + (0xFFFF - old) + new
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def _octets(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))


def _allows(function: Firewall, frame: bytes) -> bool:
    if frame[12:14] != _IPV4:
        return function.rules.default == "allow"
    header = _header(frame)
    if header is None:
        return False
    source, destination = IPv4Address(header[12:16]), IPv4Address(header[16:20])
    ports = _ports(frame, header)
    for rule in function.rules.rules:
        if rule.matches(source, destination, header[9], ports):
            return rule.action == "allow"
    return function.rules.default == "allow"


def _ports(frame: bytes, header: bytes) -> tuple[int, int] | None:
    """Return source and destination port, or None where the packet has none to be seen."""
    later_fragment = int.from_bytes(header[6:8]) & 0x1FFF
    end = ETHERNET_OCTETS + int.from_bytes(header[2:4])
    start = ETHERNET_OCTETS + len(header)
    if header[9] not in WITH_PORTS or later_fragment or end - start < 4:
        return None
    return int.from_bytes(frame[start : start + 2]), int.from_bytes(frame[start + 2 : start + 4])
