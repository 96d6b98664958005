"""Frames, route tables and rule sets for the tests of network functions: plausible, extreme and broken."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from pytest_nfv.model.nf_oracle import checksum
from pytest_nfv.model.routes import Route, RouteTable
from pytest_nfv.model.rules import ANY_PORT, Rule, RuleSet

ADDRESSES = st.one_of(
    st.sampled_from([0xC6120001, 0xC6130001, 0xC613FFFF, 0xC6140000, 0, 0xFFFFFFFF, 0x0A000001]),
    st.integers(0xC6120000, 0xC613FFFF),
    st.integers(0, 0xFFFFFFFF),
)
PORTS = st.one_of(st.sampled_from([0, 7, 1023, 1024, 65535]), st.integers(0, 65535))
PROTOCOLS = st.one_of(st.sampled_from([1, 6, 17]), st.integers(0, 255))


@st.composite
def sound_frames(draw: st.DrawFn) -> bytes:
    """IPv4 with a right checksum, with and without options, fragments and padding."""
    options = draw(st.sampled_from([0, 0, 0, 4, 12, 40]))
    protocol, payload = draw(PROTOCOLS), draw(st.binary(max_size=40))
    if draw(st.booleans()):
        payload = b"".join(port.to_bytes(2) for port in (draw(PORTS), draw(PORTS))) + payload
    header = bytearray(20 + options)
    header[0] = 0x40 | (5 + options // 4)
    header[2:4] = (len(header) + len(payload)).to_bytes(2)
    header[4:6] = draw(st.binary(min_size=2, max_size=2))
    header[6:8] = draw(st.sampled_from([b"\0\0", b"\x40\0", b"\x20\0", b"\x20\x05", b"\0\x05"]))
    header[8] = draw(st.sampled_from([0, 1, 2, 64, 255]))
    header[9] = protocol
    header[12:16] = draw(ADDRESSES).to_bytes(4)
    header[16:20] = draw(ADDRESSES).to_bytes(4)
    header[20:] = draw(st.binary(min_size=options, max_size=options))
    header[10:12] = checksum(bytes(header)).to_bytes(2)
    macs = draw(st.binary(min_size=12, max_size=12))
    frame = macs + b"\x08\x00" + bytes(header) + payload
    return frame.ljust(draw(st.sampled_from([0, 60, 64, 100])), draw(st.sampled_from([b"\0", b"\xff"])))


@st.composite
def broken_frames(draw: st.DrawFn) -> bytes:
    """A sound one with some octets changed, or its end cut off."""
    frame = bytearray(draw(sound_frames()))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.one_of(st.integers(12, 37), st.integers(0, len(frame) - 1))) % len(frame)
        frame[at] = draw(st.integers(0, 255))
    return bytes(frame[: draw(st.integers(1, len(frame)))]) if draw(st.booleans()) else bytes(frame)


@st.composite
def scapy_frames(draw: st.DrawFn) -> bytes:
    """What scapy makes of drawn fields: protocols with and without ports, tags, and no IPv4."""
    addresses = st.integers(0, 0xFFFFFFFF).map(lambda number: str(IPv4Address(number)))
    tested = st.integers(0xC6120000, 0xC613FFFF).map(lambda number: str(IPv4Address(number)))
    source, destination = draw(st.one_of(tested, addresses)), draw(st.one_of(tested, addresses))
    ttl = draw(st.sampled_from([1, 2, 64, 255]))
    packet = IP(src=source, dst=destination, ttl=ttl, tos=draw(st.integers(0, 255)))
    above = draw(st.sampled_from([UDP, TCP]))(sport=draw(PORTS), dport=draw(PORTS))
    ethernet = Ether(src="02:00:00:00:00:01", dst="02:6e:66:00:00:00")
    shape = draw(st.sampled_from(["plain", "plain", "plain", "icmp", "tagged", "arp", "ipv6"]))
    made = {
        "plain": lambda: ethernet / packet / above / Raw(draw(st.binary(max_size=80))),
        "icmp": lambda: ethernet / packet / ICMP(),
        "tagged": lambda: ethernet / Dot1Q(vlan=7) / packet / above,
        "arp": lambda: ethernet / ARP(psrc=source, pdst=destination),
        "ipv6": lambda: ethernet / IPv6(src="2001:2::1", dst="2001:2::2") / above,
    }
    return bytes(made[shape]())


FRAMES = st.one_of(sound_frames(), sound_frames(), broken_frames(), st.binary(min_size=1, max_size=120).map(bytes))


@st.composite
def networks(draw: st.DrawFn) -> IPv4Network:
    length = draw(st.one_of(st.sampled_from([0, 8, 15, 16, 17, 23, 24, 25, 31, 32]), st.integers(0, 32)))
    address = draw(ADDRESSES)
    return IPv4Network((address >> 32 - length << 32 - length, length))


@st.composite
def route_tables(draw: st.DrawFn) -> RouteTable:
    prefixes = draw(st.lists(networks(), min_size=1, max_size=12, unique=True))
    hops = st.sampled_from(["", "02:00:00:00:00:aa", "02:00:00:00:00:bb"])
    return RouteTable(tuple(Route(one, draw(st.integers(0, 1)), draw(hops)) for one in prefixes))


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    protocol = draw(st.one_of(st.none(), PROTOCOLS))
    ranges = st.one_of(st.just(ANY_PORT), st.tuples(PORTS, PORTS).map(lambda ends: (min(ends), max(ends))))
    ports = [draw(ranges) if protocol in (None, 6, 17) else ANY_PORT for _ in range(2)]
    action = draw(st.sampled_from(["allow", "drop"]))
    return Rule(action, draw(networks()), draw(networks()), protocol, ports[0], ports[1])


@st.composite
def rule_sets(draw: st.DrawFn) -> RuleSet:
    some = draw(st.lists(rules(), min_size=1, max_size=8))
    # Further on than one word of 64 bits: the same rules, behind others that fit next to nothing
    ahead = draw(st.sampled_from([0, 0, 60, 130]))
    narrow = [Rule("drop", IPv4Network((number, 32)), IPv4Network((number, 32))) for number in range(ahead)]
    return RuleSet((*narrow, *some), draw(st.sampled_from(["allow", "drop"])))
