"""Frame templates, made with scapy: octets without FCS, whose last 16 are left to the generator's signature."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.offer import SIGNATURE_OCTETS
from pytest_nfv.units import FCS_OCTETS, FrameSize

if TYPE_CHECKING:
    from scapy.packet import Packet

# RFC 2544 appendix C: addresses of 198.18.0.0/15, UDP from port 0xC020 to echo
SOURCE_IP, DESTINATION_IP = "198.18.0.1", "198.19.0.1"
SOURCE_PORT, DESTINATION_PORT = 0xC020, 7

_ZEROS = bytes(SIGNATURE_OCTETS)


def ethernet_udp(
    frame_size: FrameSize | int,
    *,
    src: str,
    dst: str,
    src_ip: str = SOURCE_IP,
    dst_ip: str = DESTINATION_IP,
    src_port: int = SOURCE_PORT,
    dst_port: int = DESTINATION_PORT,
) -> bytes:
    """Return an Ethernet/IPv4/UDP frame as RFC 2544 appendix C describes it; `src` and `dst` are MAC addresses."""
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether

    packet = Ether(src=src, dst=dst) / IP(src=src_ip, dst=dst_ip) / UDP(sport=src_port, dport=dst_port)
    return from_packet(packet, frame_size, src=src, dst=dst)


def from_packet(packet: Packet, frame_size: FrameSize | int, *, src: str, dst: str) -> bytes:
    """Return any scapy packet as a template of `frame_size`, padded behind its payload.

    A packet without an Ethernet header gets one; MAC addresses that it does not set become `src` and `dst`.
    Lengths and checksums that it does not set are scapy's.

    The signature differs from frame to frame, and a checksum over the payload does not follow it. UDP over IPv4
    goes without checksum (RFC 768). Any other (TCP, ICMP, UDP over IPv6) is right for a signature of zeros only:
    devices of layers 2 and 3 do not look at it and forward such frames, a receiver's stack would drop them.

    Raises:
        ConfigurationError: it is no scapy packet, or has no room for the signature at its end.
    """
    whole = _with_addresses(_checked(packet), src, dst)
    octets = FrameSize.of(frame_size).octets - FCS_OCTETS
    room = octets - len(bytes(whole))
    if room < SIGNATURE_OCTETS:
        raise ConfigurationError(
            f"{packet.summary()}: a frame of {octets + FCS_OCTETS} B has {octets} octets without FCS; the packet "
            f"takes {octets - room} and the generator's signature {SIGNATURE_OCTETS}; accepted: frames from "
            f"{octets - room + SIGNATURE_OCTETS + FCS_OCTETS} B on"
        )
    payload = bytes(number % 256 for number in range(room - SIGNATURE_OCTETS)) + _ZEROS
    frame = _built(whole, payload)
    if len(frame) != octets or not frame.endswith(payload):
        raise ConfigurationError(
            f"{packet.summary()}: it puts octets of its own behind the payload; "
            "accepted: packets that end with their payload"
        )
    return frame


def _checked(packet: object) -> Packet:
    from scapy.packet import Packet

    if not isinstance(packet, Packet):
        raise ConfigurationError(
            f"frame {reprlib.repr(packet)} is of type {type(packet).__name__}; accepted: a scapy packet, such as "
            "IP() / UDP(), or Ether(octets) where the octets are at hand"
        )
    return packet


def _with_addresses(packet: Packet, src: str, dst: str) -> Packet:
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether

    whole = packet.copy()
    if not isinstance(whole, Ether):
        whole = Ether() / whole
    for field, address in (("src", src), ("dst", dst)):
        if field not in whole.fields:
            whole.setfieldval(field, address)
    for layer in whole.iterpayloads():  # in tunnels, too
        if isinstance(layer, UDP) and isinstance(layer.underlayer, IP) and layer.fields.get("chksum") is None:
            layer.chksum = 0
    return whole


def _built(packet: Packet, payload: bytes) -> bytes:
    from scapy.packet import Raw

    return bytes(packet / Raw(payload))
