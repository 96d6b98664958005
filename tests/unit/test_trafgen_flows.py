"""Many 5-tuples, sizes in turn: each frame on arrival is what scapy and ipaddress say, and is checked as such."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet

from pytest_nfv.deployment.frames import load_of
from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.mix import Mix
from pytest_nfv.model.offer import FlowOffer, Offer, Report
from pytest_nfv.model.topology import P2P, VSwitch
from pytest_nfv.model.trial import FlowCounts, TrialSpec
from pytest_nfv.rings.loopback import LoopbackPort
from pytest_nfv.rings.port import Arrived
from pytest_nfv.trafgen.engine import Trial
from pytest_nfv.trafgen.lane import Lane
from pytest_nfv.trafgen.tuples import tuple_rows
from pytest_nfv.units import FrameSize

START = 1_000_000_000
ADDRESSES = ("02:00:00:00:00:01", "02:00:00:00:00:02")
MIXES = st.dictionaries(st.integers(64, 200), st.integers(1, 9), min_size=1, max_size=4)
PACKETS = {
    "default": None,
    "far end of a /16": IP(src="10.1.255.250", dst="10.2.0.9") / UDP(sport=65535, dport=9),
    "tagged": Ether() / Dot1Q(vlan=5) / IP(src="192.0.2.1", dst="198.51.100.2", ttl=9) / UDP(sport=4, dport=5),
}


def flows(sizes: Mix | FrameSize, tuples: int, packet: Packet | None = None, frames: int = 500) -> list[FlowOffer]:
    load = load_of(P2P(VSwitch("linux-bridge")), ADDRESSES, sizes, packet, tuples, 0)
    return list(load.flows(TrialSpec(load.frame_size, 100_000.0, frames / 100_000.0)))


def on_the_wire(offers: list[FlowOffer], frames: int) -> list[bytes]:
    """Return what a lane sends, without signatures."""
    here, there = LoopbackPort.pair()
    there.expect(max(len(shape.template) // 2 for shape in offers[0].shapes))
    lane = Lane(here, offers, 0)
    lane.start(START)
    seen: list[bytes] = []
    now = START
    while len(seen) < frames:
        now += 70_000
        lane.send(now)
        while (arrived := there.receive(64)) is not None:
            seen += [row[: n - 16].tobytes() for row, n in zip(arrived.frames, arrived.octets, strict=True)]
            there.release()
    return seen[:frames]


def added(address: str, more: int) -> str:
    whole = int(IPv4Address(address))
    return str(IPv4Address(whole & ~0xFFFF | (whole + more) & 0xFFFF))


@settings(max_examples=25, deadline=None)
@given(sizes=MIXES, tuples=st.sampled_from([1, 2, 3, 7, 64, 1000]), packet=st.sampled_from(sorted(PACKETS)))
def test_every_frame_is_what_a_slow_oracle_says(sizes: dict[int, int], tuples: int, packet: str) -> None:
    assume(packet != "tagged" or min(sizes) >= 66)  # VLAN tag, headers and signature take as much
    mix = Mix.of(sizes)
    frames = 300
    base = PACKETS[packet] or IP(src="198.18.0.1", dst="198.19.0.1") / UDP(sport=0xC020, dport=7)
    for number, octets in enumerate(on_the_wire(flows(mix, tuples, PACKETS[packet]), frames)):
        size = mix.sizes[mix.cycle[number % len(mix.cycle)]]
        assert len(octets) == size - 4 - 16
        ip = Ether(octets + bytes(16))[IP]
        more = number % tuples
        assert (ip.src, ip.dst) == (added(base[IP].src, more), added(base[IP].dst, more))
        assert (ip[UDP].sport, ip[UDP].dport, ip[UDP].chksum) == (base[UDP].sport, base[UDP].dport, 0)
        assert ip.len == size - 18 - (4 if packet == "tagged" else 0)
        if number % 29 == 0:
            told = ip.chksum
            del ip.chksum
            assert IP(bytes(ip)).chksum == told


def test_a_million_tuples_differ_and_their_checksums_are_right() -> None:
    header = np.frombuffer(
        bytes(IP(src="10.0.0.1", dst="10.1.0.1", proto=17) / UDP(sport=9, dport=7))[:24], np.uint8
    )
    rows = tuple_rows(header, 1_000_000)
    assert len(np.unique(rows.view("V16")[:, 0])) == 1_000_000
    words = np.concatenate([np.tile(header[:8], (len(rows), 1)), rows[:, :12]], axis=1).view(">u2")
    total = words.sum(axis=1, dtype=np.int64)
    assert ((total & 0xFFFF) + (total >> 16) == 0xFFFF).all()


class Clock:
    """Every look takes 2 us: the loop is never held up."""

    def __init__(self) -> None:
        self.now_ns = START

    def __call__(self) -> int:
        self.now_ns += 2_000
        return self.now_ns


class Meddler(LoopbackPort):
    """An end at which arrivals may be changed: `touched` has (frame, octet) pairs."""

    touched: dict[int, int]
    seen: int

    def receive(self, limit: int) -> Arrived | None:
        arrived = super().receive(limit)
        if arrived is None:
            return None
        for number, octet in self.touched.items():
            if 0 <= number - self.seen < len(arrived.octets):
                arrived.frames[number - self.seen, octet] ^= 0x10
        self.seen += len(arrived.octets)
        return arrived


def trial(offers: list[FlowOffer], touched: dict[int, int] | None = None, rewrite: bool = False) -> Report:
    clock = Clock()
    here, there = LoopbackPort.pair(clock=clock)
    there.__class__ = Meddler
    assert isinstance(there, Meddler)
    there.touched, there.seen = touched or {}, 0
    if rewrite:
        here = Rewriting(here)
    return Trial((here, there), Offer(tuple(offers), quiet_s=0.01), lambda *_: None, clock).run()


class Rewriting(LoopbackPort):
    """A device that decrements the time to live as a router does, in what leaves."""

    def __init__(self, port: LoopbackPort) -> None:
        self.__dict__.update(port.__dict__)

    def commit(self, count: int) -> tuple[int, int]:
        before = self._out.written
        taken, refused = super().commit(count)
        self._out.settle()
        for slot in range(before, before + taken):
            frame = self._out.frames[slot % self._out.slots]
            frame[:] = np.frombuffer(routed(frame.tobytes()), np.uint8)
        return taken, refused


def routed(frame: bytes) -> bytes:
    octets = bytearray(frame)
    octets[22] -= 1
    octets[24:26] = bytes(2)
    total = sum(int.from_bytes(octets[at : at + 2]) for at in range(14, 34, 2))
    total = (total & 0xFFFF) + (total >> 16)
    octets[24:26] = (0xFFFF - ((total & 0xFFFF) + (total >> 16))).to_bytes(2)
    return bytes(octets)


CASES = {
    "sizes": (Mix.of({64: 3, 100: 2, 200: 1}), 1),
    "flows": (FrameSize(64), 300),
    "a flow a frame": (FrameSize(64), 100_000),
    "sizes and flows": (Mix.of({64: 3, 101: 2, 200: 1}), 77),
}


@pytest.mark.parametrize(("sizes", "tuples"), CASES.values(), ids=CASES)
def test_a_good_wire_returns_every_frame(sizes: Mix | FrameSize, tuples: int) -> None:
    (offer,) = flows(sizes, tuples, frames=3000)
    (counts,) = trial([offer]).flows
    assert counts == FlowCounts(offer.direction, 3000, 3000, 3000)


@pytest.mark.parametrize("octet", [0, 13, 20, 24, 27, 33, 35, 41, 43, 47])
@pytest.mark.parametrize(("sizes", "tuples"), CASES.values(), ids=CASES)
def test_a_changed_octet_anywhere_is_a_corrupted_frame(sizes: Mix | FrameSize, tuples: int, octet: int) -> None:
    (offer,) = flows(sizes, tuples, frames=1000)
    # octet 47 is in the body of the longer frames, and in the signature's magic of the shortest
    (counts,) = trial([offer], {5: octet, 700: octet}).flows
    assert (counts.received, counts.corrupted + counts.foreign) == (998, 2)


@pytest.mark.parametrize(("sizes", "tuples"), CASES.values(), ids=CASES)
def test_a_frame_that_a_router_rewrote_is_intact_where_that_is_expected(
    sizes: Mix | FrameSize, tuples: int
) -> None:
    (offer,) = flows(sizes, tuples, frames=300)
    (counts,) = trial([offer], rewrite=True).flows
    assert (counts.received, counts.corrupted) == (0, 300)
    shapes = [replace(one, expected=routed(bytes.fromhex(one.template)).hex()) for one in offer.shapes]
    awaited = replace(offer, expected=shapes[0].expected, others=tuple(shapes[1:]))
    (counts,) = trial([awaited], rewrite=True).flows
    assert (counts.received, counts.corrupted) == (300, 0)


def test_several_packets_take_turns_and_are_counted_apart() -> None:
    packets = [IP(dst=f"198.19.0.{n}") / UDP(dport=7) for n in (1, 2, 3)]
    load = load_of(P2P(VSwitch("linux-bridge")), ADDRESSES, FrameSize(64), packets, 5, 0)
    spec = load.spec(90_000.0, 0.01)
    offers = load.flows(spec)
    assert [offer.rate_pps for offer in offers] == [30_000.0] * 3
    assert len(spec.directions) == 1
    report = trial(list(offers), {4: 20})
    assert [(flow.sent, flow.received, flow.corrupted) for flow in report.flows] == [
        (300, 300, 0),
        (300, 299, 1),
        (300, 300, 0),
    ]


def test_an_offer_goes_over_json_unchanged() -> None:
    offer = Offer(tuple(flows(Mix.of({64: 1, 128: 2}), 1_000_000)))
    assert Offer.from_json(offer.to_json()) == offer


WRONG = {
    "no flow": ({"tuples": 0}, r"flows=0: accepted: 1 to 1,000,000"),
    "too many": ({"tuples": 1_000_001}, r"flows=1000001: accepted"),
    "true": ({"tuples": True}, r"flows=True: accepted"),
    "no IPv4": ({"tuples": 2, "packet": Ether(type=0x88B5)}, r"flows=2: .*no IPv4 header; accepted: IPv4 without"),
    "a checksum": ({"tuples": 2, "packet": IP() / UDP(chksum=5)}, r"flows=2: .*UDP checksum would have to follow"),
    "no packet": ({"tuples": 1, "packet": []}, r"frame=\[\]: 0 packets; accepted: "),
}


@pytest.mark.parametrize(("given_", "why"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_offered_is_said(given_: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        load_of(P2P(VSwitch("linux-bridge")), ADDRESSES, FrameSize(64), given_.get("packet"), given_["tuples"], 0)  # type: ignore[arg-type]  # wrong on purpose
