"""Templates made of scapy packets."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Padding, Raw

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.generators.templates import ethernet_udp, from_packet
from pytest_nfv.units import FrameSize

ENDS: dict[str, Any] = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}


@pytest.mark.parametrize("size", [64, 65, 128, 1518, FrameSize(9018)])
def test_the_default_frame_is_as_rfc_2544_describes_it(size: FrameSize | int) -> None:
    frame = ethernet_udp(size, **ENDS)
    assert len(frame) == int(size) - 4
    read = Ether(frame)
    assert (read.src, read.dst) == (ENDS["src"], ENDS["dst"])
    assert (read[IP].src, read[UDP].dport, read[UDP].chksum) == ("198.18.0.1", 7, 0)
    assert read[IP].len == int(size) - 4 - 14
    assert read[UDP].len == int(size) - 4 - 34
    header = read[IP].copy()
    del header.chksum
    assert IP(bytes(header)).chksum == read[IP].chksum


def test_addresses_that_the_packet_sets_are_kept() -> None:
    read = Ether(from_packet(Ether(dst="ff:ff:ff:ff:ff:ff") / IP() / UDP(), 64, **ENDS))
    assert (read.src, read.dst) == (ENDS["src"], "ff:ff:ff:ff:ff:ff")


def test_a_packet_without_ethernet_gets_it_and_is_left_alone() -> None:
    packet = IP(src="10.0.0.1", dst="10.0.0.2") / UDP() / Raw(b"hello")
    before = bytes(packet)
    frame = from_packet(packet, 128, **ENDS)
    assert Ether(frame)[IP].dst == "10.0.0.2"
    assert frame[42:47] == b"hello"
    assert bytes(packet) == before


def test_tags_and_tunnels_fit_too() -> None:
    assert len(from_packet(Ether() / Dot1Q(vlan=5) / IP() / UDP(), 68, **ENDS)) == 64
    inner = Ether(src=ENDS["src"], dst=ENDS["dst"]) / IP() / UDP()
    read = Ether(from_packet(IP() / UDP() / VXLAN(vni=7) / inner, 256, **ENDS))
    assert len(read) == 252
    assert (read[UDP].chksum, read[VXLAN].payload[UDP].chksum) == (0, 0)


@pytest.mark.parametrize(
    ("packet", "size", "least"),
    [
        (IP() / UDP() / Raw(bytes(3)), 64, 65),
        (IPv6() / UDP(), 64, 82),
        (IP() / TCP(), 64, 74),
        (IP() / UDP() / Raw(bytes(100)), 128, 162),
    ],
)
def test_a_packet_without_room_for_the_signature_says_what_is_accepted(
    packet: Packet, size: int, least: int
) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"a frame of {size} B has .* accepted: frames from {least} B on"
    ):
        from_packet(packet, size, **ENDS)
    assert len(from_packet(packet, least, **ENDS)) == least - 4


@pytest.mark.parametrize(
    ("packet", "field"),
    [
        (IP() / TCP(), "chksum"),
        (IPv6() / TCP(), "chksum"),
        (IPv6() / UDP(), "chksum"),
        (IP() / ICMP(), "chksum"),
        (IPv6() / ICMPv6EchoRequest(), "cksum"),
        (IPv6() / UDP() / VXLAN(vni=7) / Ether(**ENDS) / IP() / TCP(), "chksum"),
    ],
    ids=lambda value: value.summary() if isinstance(value, Packet) else "",
)
def test_a_checksum_over_the_payload_is_right_for_a_signature_of_zeros(packet: Packet, field: str) -> None:
    frame = from_packet(packet, 256, **ENDS)
    assert (len(frame), frame[-16:]) == (252, bytes(16))
    protocol = type(packet.payload)
    read = Ether(frame)[protocol]
    there = read.fields[field]
    assert there
    again = Ether(frame)
    del again[protocol].fields[field]
    assert Ether(bytes(again))[protocol].fields[field] == there


def test_a_checksum_set_by_hand_is_kept() -> None:
    for packet in (IP() / TCP(chksum=0x1234), IP() / UDP(chksum=0x1234), IPv6() / UDP(chksum=0x1234)):
        assert Ether(from_packet(packet, 128, **ENDS)).payload.payload.chksum == 0x1234


def test_octets_behind_the_payload_leave_no_place_for_the_signature() -> None:
    with pytest.raises(
        ConfigurationError, match="octets of its own behind the payload; accepted: packets that end"
    ):
        from_packet(IP() / UDP() / Raw(b"hello") / Padding(b"padding"), 128, **ENDS)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (b"xx", r"frame b'xx' is of type bytes"),
        ("IP() / UDP()", r"frame 'IP\(\) / UDP\(\)' is of type str"),
        (bytes(1000), r"frame b'.{,40} is of type bytes"),
        (IP, r"frame <class .*IP'> is of type Packet_metaclass"),
    ],
    ids=["octets", "text", "many octets", "a layer's class"],
)
def test_what_is_no_packet_is_named(given: Any, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named + r"; accepted: a scapy packet, such as IP\(\) / UDP\(\)"):
        from_packet(given, 128, **ENDS)
