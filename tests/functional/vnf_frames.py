"""Frames for network functions over real interfaces, built by scapy: sound, broken, and of other protocols."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from pytest_nfv.model.nf import ADDRESSES, NEIGHBOURS

ICMP, TCP_NUMBER, UDP_NUMBER, GRE = 1, 6, 17, 47
PLACES = ("198.18.0.1", "198.19.0.1", "198.19.4.1", "198.19.4.128", "198.19.4.129", "10.1.2.3", "10.2.0.1")
PORTS = st.sampled_from((0, 7, 8, 9, 10, 80, 99, 100, 1023, 1024, 2047, 2048, 65535))
# What makes a header unsound: its version, its length, the packet's length, its checksum.
UNSOUND: tuple[dict[str, int], ...] = (
    {"version": 6},
    {"ihl": 4},
    {"ihl": 15},
    {"len": 19},
    {"len": 1400},
    {"chksum": 0},
)


def packet(nic: int, source: str, destination: str, payload: Packet | bytes = b"", **fields: Any) -> bytes:
    """Return an IPv4 frame from the station at a vNIC's far end to that vNIC; `fields` are scapy's of IP."""
    ethernet = Ether(dst=ADDRESSES[nic], src=NEIGHBOURS[nic], type=0x0800)
    content = Raw(payload) if isinstance(payload, bytes) else payload
    return bytes(ethernet / IP(src=source, dst=destination, **({"proto": UDP_NUMBER} | fields)) / content)


def _addresses() -> st.SearchStrategy[str]:
    """Near those that rules and routes know, or anywhere that a router does not take for martian."""
    near = st.sampled_from(PLACES)
    anywhere = st.ip_addresses(v=4).filter(lambda one: 1 <= one.packed[0] < 224 and not one.is_loopback)
    return st.one_of(near, near, anywhere.map(str))


@st.composite
def _contents(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what is behind the header: whole headers with ports, some octets of one, or another protocol."""
    data = Raw(draw(st.binary(max_size=40)))
    ports: dict[str, Any] = {"sport": draw(PORTS), "dport": draw(PORTS)}
    number = draw(st.sampled_from((ICMP, TCP_NUMBER, UDP_NUMBER, UDP_NUMBER, GRE)))
    content = {TCP_NUMBER: TCP(**ports) / data, UDP_NUMBER: UDP(**ports) / data}.get(number, data)
    cut = draw(st.sampled_from((None, None, None, 0, 3, 4)))
    return {"proto": number, "payload": content if cut is None else bytes(content)[:cut]}


@st.composite
def packets(draw: st.DrawFn) -> tuple[int, bytes]:
    """Draw a vNIC, and an IPv4 frame for it: options, fragments, padding, and headers that are unsound."""
    nic = draw(st.integers(0, 1))
    fields: dict[str, Any] = {
        "ttl": draw(st.sampled_from((0, 1, 2, 64, 255))),
        "options": [IPOption_NOP()] * 4 * draw(st.sampled_from((0, 0, 0, 1, 10))),
        "flags": draw(st.sampled_from((0, 0, "DF", "MF"))),
        "frag": draw(st.sampled_from((0, 0, 0, 1, 7))),
        **draw(st.one_of(st.just({}), st.just({}), st.sampled_from(UNSOUND))),
        **draw(_contents()),
    }
    return nic, packet(nic, draw(_addresses()), draw(_addresses()), **fields) + draw(st.binary(max_size=8))


@st.composite
def others(draw: st.DrawFn) -> tuple[int, bytes]:
    """Draw a vNIC, and a frame of another protocol from a station, to it, to all or to anybody; no VLAN tag."""
    nic = draw(st.integers(0, 1))
    to = draw(st.sampled_from((ADDRESSES[nic], "ff:ff:ff:ff:ff:ff", "02:00:00:00:00:77", "03:00:00:00:00:01")))
    ethernet = Ether(dst=to, src=NEIGHBOURS[nic])
    if draw(st.booleans()):
        return nic, bytes(ethernet / ARP(psrc="198.18.0.1", pdst=draw(_addresses())))
    ethernet.type = draw(st.sampled_from((0x0010, 0x0806, 0x86DD, 0x88B5)))
    return nic, bytes(ethernet / Raw(draw(st.binary(max_size=100))))
