"""The oracle, judged by scapy and ipaddress."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given, settings
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import checksum as scapy_checksum

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.nf import Drop, Firewall, L2Fwd, L3Fwd, Own, Signature
from pytest_nfv.model.nf_oracle import Sent, process, signature
from pytest_nfv.model.routes import Route, RouteTable
from pytest_nfv.model.rules import Rule, RuleSet
from tests.unit.nf_frames import route_tables, sound_frames

TABLE = RouteTable((Route.of("198.19.0.0/16", 1), Route.of("198.19.7.0/24", 0, "02:00:00:00:00:77")))
ROUTER = L3Fwd(TABLE)


def frame_to(destination: str, **fields: Any) -> bytes:
    packet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    return bytes(packet / IP(src="198.18.0.1", dst=destination, **fields) / UDP(sport=1, dport=7) / Raw(bytes(18)))


ARP = frame_to("198.19.0.1")[:12] + b"\x08\x06" + bytes(28)


def damaged(frame: bytes, at: int, octet: int) -> bytes:
    return frame[:at] + bytes([octet]) + frame[at + 1 :]


def test_l2_forwards_as_it_came() -> None:
    frame = frame_to("198.19.0.1")
    assert process(L2Fwd(), 0, frame) == Sent(1, frame)
    assert process(L2Fwd(), 1, frame) == Sent(0, frame)
    assert process(Signature(), 1, frame) == Sent(0, frame)
    assert process(L2Fwd(), 0, frame[:13]) is Drop.MALFORMED


@settings(max_examples=300, deadline=None)
@given(sound_frames(), route_tables())
def test_what_is_routed_is_what_scapy_makes_of_it(frame: bytes, table: RouteTable) -> None:
    function = L3Fwd(table)
    before, after = Ether(frame), process(function, 0, frame)
    address = IPv4Address(before[IP].dst)
    held = [one for one in table.routes if address in one.prefix]
    if not held:
        assert after is Drop.NO_ROUTE
    elif before[IP].ttl < 2:
        assert after is Drop.TTL
    else:
        assert isinstance(after, Sent)
        made = Ether(after.frame)
        route = min(held, key=lambda one: one.prefix.num_addresses)
        assert after.nic == route.nic
        assert made.src == function.addresses[route.nic]
        assert made.dst == (route.next_hop or function.neighbours[route.nic])
        length = 4 * made[IP].ihl
        assert scapy_checksum(after.frame[14 : 14 + length]) == 0
        assert made[IP].ttl == before[IP].ttl - 1
        untouched = [*range(14, 22), 23, *range(26, len(frame))]
        assert [after.frame[at] for at in untouched] == [frame[at] for at in untouched]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (frame_to("198.20.0.1"), Drop.NO_ROUTE),
        (frame_to("198.19.0.1", ttl=1), Drop.TTL),
        (frame_to("198.19.0.1", ttl=0), Drop.TTL),
        (frame_to("198.20.0.1", ttl=1), Drop.NO_ROUTE),
        (damaged(frame_to("198.19.0.1"), 24, 0xAA), Drop.MALFORMED),  # checksum
        (frame_to("198.19.0.1", version=6), Drop.MALFORMED),
        (frame_to("198.19.0.1", ihl=4), Drop.MALFORMED),
        (frame_to("198.19.0.1", len=19), Drop.MALFORMED),
        (frame_to("198.19.0.1", len=47), Drop.MALFORMED),  # of 46 that there are
        (frame_to("198.19.0.1")[:33], Drop.MALFORMED),
        (ARP, Drop.MALFORMED),
    ],
)
def test_what_is_not_routed_has_its_reason(frame: bytes, reason: Drop) -> None:
    assert process(ROUTER, 0, frame) is reason


def test_a_route_may_lead_back_and_to_another_station() -> None:
    sent = process(ROUTER, 0, frame_to("198.19.7.1"))
    assert isinstance(sent, Sent)
    assert (sent.nic, Ether(sent.frame).dst) == (0, "02:00:00:00:00:77")


@pytest.mark.parametrize(("before", "after"), [(0xFEFF, 0x0000), (0xFFFF, 0x0100), (0xFFFE, 0x00FF), (0, 0x0100)])
def test_a_checksum_at_the_edges_of_ones_complement(before: int, after: int) -> None:
    """RFC 1624 section 3: the older way gave 0xFFFF where 0x0000 is right."""
    header = bytearray(IP(src="0.0.0.0", dst="198.19.0.1", ttl=64, len=20, id=0, proto=0).build())
    header[10:12] = before.to_bytes(2)
    rest = sum(int.from_bytes(header[at : at + 2]) for at in range(0, 20, 2) if at != 4)
    header[4:6] = (-rest % 0xFFFF).to_bytes(2)  # the identification makes up for the checksum that is wanted
    frame = bytes(12) + b"\x08\x00" + bytes(header)
    assert scapy_checksum(bytes(header)) in (0, 0xFFFF)
    sent = process(ROUTER, 0, frame)
    assert isinstance(sent, Sent)
    assert int.from_bytes(sent.frame[24:26]) == after


RULES = RuleSet(
    (
        Rule.to("drop", protocol="tcp", destination_ports=80),
        Rule.to("allow", source="198.18.0.0/16", protocol="udp", destination_ports="7-9"),
        Rule.to("allow", protocol="tcp"),
    )
)
WALL = Firewall(RULES)
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
TCP_80 = bytes(ETHER / IP(src="198.18.0.1", dst="198.19.0.1") / TCP(dport=80))


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (frame_to("198.19.0.1"), None),
        (bytes(ETHER / IP(src="198.20.0.1", dst="1.2.3.4") / UDP(dport=7)), Drop.POLICY),
        (bytes(ETHER / IP(src="198.18.0.1", dst="1.2.3.4") / UDP(dport=10)), Drop.POLICY),
        (TCP_80, Drop.POLICY),
        (bytes(ETHER / IP(src="10.0.0.1", dst="1.2.3.4") / TCP(dport=81)), None),
        (
            bytes(ETHER / IP(src="10.0.0.1", dst="1.2.3.4", frag=5, proto=6) / Raw(bytes(20))),
            None,
        ),  # no port to be dropped for
        (bytes(ETHER / IP(src="10.0.0.1", dst="1.2.3.4", proto=6) / Raw(b"\0\x01\0")), None),
        (
            bytes(ETHER / IP(src="10.0.0.1", dst="1.2.3.4", options=[IPOption_NOP()] * 4) / TCP(dport=80)),
            Drop.POLICY,
        ),
        (
            damaged(bytes(ETHER / IP(src="10.0.0.1", dst="1.2.3.4") / TCP(dport=81)), 24, 0xAA),
            None,
        ),  # not its business
        (ARP, Drop.POLICY),
        (damaged(TCP_80, 14, 0x65), Drop.MALFORMED),
        (TCP_80[:40], Drop.MALFORMED),
    ],
)
def test_the_first_rule_that_matches_decides(frame: bytes, reason: Drop | None) -> None:
    assert process(WALL, 1, frame) == (Sent(0, frame) if reason is None else reason)


def test_the_default_is_for_what_meets_no_rule() -> None:
    frame = ARP
    assert process(Firewall(RuleSet(RULES.rules, default="allow")), 0, frame) == Sent(1, frame)


@settings(max_examples=100, deadline=None)
@given(sound_frames())
def test_a_signature_is_the_internet_checksum_of_64_octets(frame: bytes) -> None:
    assert signature(frame) == scapy_checksum(frame[:64].ljust(64, b"\0"))


def test_functions_of_users_are_not_judged() -> None:
    with pytest.raises(ConfigurationError, match="a:b"):
        process(Own("a:b"), 0, bytes(60))
