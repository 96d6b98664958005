"""Templates made of scapy packets."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

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
    inner = Ether(src=ENDS["src"], dst=ENDS["dst"]) / IP() / UDP(chksum=0)
    assert len(from_packet(IP() / UDP() / VXLAN(vni=7) / inner, 256, **ENDS)) == 252


@pytest.mark.parametrize(
    ("packet", "size", "least"),
    [
        (IP() / UDP() / Raw(bytes(3)), 64, 65),
        (IPv6() / UDP(chksum=0), 64, 82),
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


@pytest.mark.parametrize("packet", [IP() / TCP(), IPv6() / UDP()])
def test_a_checksum_over_the_signature_is_refused_unless_set_by_hand(packet: Packet) -> None:
    with pytest.raises(ConfigurationError, match="depends on the signature, as a checksum over the payload does"):
        from_packet(packet, 128, **ENDS)
    packet.lastlayer().chksum = 0x1234
    assert b"\x12\x34" in from_packet(packet, 128, **ENDS)
