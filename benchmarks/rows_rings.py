"""Rows over shared-memory rings: `tx`, `loop`, `memif` and `latency`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from benchmarks import ours
from benchmarks.ovs import OvsDpdk
from benchmarks.peers import Testpmd
from benchmarks.place import Place
from benchmarks.sampling import Row, Sample, in_turns
from pytest_nfv.errors import GeneratorError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.trial import Direction
from pytest_nfv.units import FCS_OCTETS, line_rate

SMALL = 64
SIZES = (SMALL, 1518)
THERE, BACK = Direction(0, 1), Direction(1, 0)
LATENCY_PPS = 100e3
NOTICED = 0.01
"""Share of frames from which on a full ring is what limits."""

_VIRTIO = "queue_size=1024,in_order=1,mrg_rxbuf=0"
_MEMIF = "socket-abstract=no,rsize=11"
_ROW = Callable[[], Row]


class Device(Protocol):
    """What forwards: its thread, and the sockets of its two ports."""

    @property
    def worker(self) -> int:
        """The thread that forwards."""
        ...

    @property
    def sockets(self) -> tuple[str, ...]:
        """Control sockets of its ports."""
        ...


class TestpmdDevice:
    """testpmd `io` between two vhost-user ports."""

    __test__ = False

    def __init__(self, folder: Path, core: int) -> None:
        self.sockets = (str(folder / "v0"), str(folder / "v1"))
        devices = [f"net_vhost{n},iface={path}" for n, path in enumerate(self.sockets)]
        self._testpmd = Testpmd(folder, "dut", core, devices, "io")
        self.worker = self._testpmd.worker

    def stop(self) -> None:
        """End it."""
        self._testpmd.stop()


DEVICES: dict[str, Callable[[Path, int], TestpmdDevice | OvsDpdk]] = {
    "testpmd io": TestpmdDevice,
    "OVS-DPDK": OvsDpdk,
}


@contextmanager
def _device(place: Place, name: str) -> Iterator[Device]:
    with TemporaryDirectory(dir=place.folder, prefix="d") as folder:
        made = DEVICES[name](Path(folder), place.device_core)
        try:
            yield made
        finally:
            made.stop()


def _vhost(sockets: Sequence[str]) -> list[PortSpec]:
    return [
        PortSpec("vhost_user", ours.address(port), ours.MTU, {"socket": path}) for port, path in enumerate(sockets)
    ]


@dataclass(frozen=True, slots=True)
class Limit:
    """Who kept a rate from being higher; share of the frames that showed it."""

    text: str
    share: float = 0.0


def _limit(who: str, refused: float, dropped: float = 0.0) -> Limit:
    """Say it, from the shares of frames that met a full ring of the device's, and one on the way back."""
    if dropped >= max(NOTICED, refused):
        return Limit(f"{who}, receiving: its receive ring was full", dropped)
    if refused >= NOTICED:
        return Limit("the device: its receive ring was full", refused)
    return Limit(f"{who}: no ring was full")


def tx(place: Place) -> Iterator[_ROW]:
    """One way into testpmd `rxonly` over vhost-user."""
    yield partial(_tx, place, "vhost-user", ">= 1.0")


def memif(place: Place) -> Iterator[_ROW]:
    """One way into testpmd `rxonly` over memif."""
    yield partial(_tx, place, "memif", ">= 0.9")


def _tx(place: Place, kind: str, goal: str) -> Row:
    path = str(place.folder / kind)
    if kind == "memif":
        sink = f"net_memif0,role=server,socket={path},{_MEMIF}"
        source = f"net_memif0,role=client,socket={path},{_MEMIF}"
        port = PortSpec("memif", ours.address(0), ours.MTU, {"socket": path})
    else:
        sink, source = f"net_vhost0,iface={path}", f"net_virtio_user0,path={path},{_VIRTIO}"
        (port,) = _vhost([path])
    device = partial(_sink, place, sink)
    one, other = in_turns(
        place.runs, partial(_tx_ours, place, device, port), partial(_tx_peer, place, device, source)
    )
    name = f"{kind} tx {SMALL} B, stamped and numbered, into testpmd rxonly"
    return Row(name, "Mpps", "testpmd txonly", goal, tuple(one), tuple(other))


@contextmanager
def _sink(place: Place, device: str) -> Iterator[Testpmd]:
    """A receiver for one run: DPDK's memif server takes no second client."""
    made = Testpmd(place.folder, "rx", place.device_core, [device], "rxonly")
    try:
        yield made
    finally:
        made.stop()


_Sink = Callable[[], AbstractContextManager[Testpmd]]


def _tx_ours(place: Place, sink: _Sink, port: PortSpec) -> Sample:
    offer = ours.offer_for([Direction(0, 0)], SMALL, ours.CEILING_PPS, place.seconds, "send")
    with sink() as device, ours.generator(place.generator_core, [port]) as generator:
        window, report = ours.measured(
            generator, offer, place.seconds, [device.worker], lambda: device.counters(1, "ipackets")
        )
    refused = sum(report.refused) / max(1, sum(flow.sent for flow in report.flows))
    limit = _limit("the generator", refused)
    return Sample(window.counts[0] / window.seconds / 1e6, window.waited, limit.text, limit.share)


def _tx_peer(place: Place, sink: _Sink, source: str) -> Sample:
    octets = f"--txpkts={SMALL - FCS_OCTETS}"
    with sink() as device:
        peer = Testpmd(place.folder, "tx", place.generator_core, [source], "txonly", octets)
        try:
            tids = [device.worker, peer.worker]
            window = ours.watched(place.seconds, tids, lambda: device.counters(1, "ipackets"))
        finally:
            refused = peer.stop()
    limit = _limit("the peer", refused)
    return Sample(window.counts[0] / window.seconds / 1e6, window.waited, limit.text, limit.share)


def loop(place: Place) -> Iterator[_ROW]:
    """Both ways through a switch, at full load; and one way at the line rate of 10GbE."""
    for name in DEVICES:
        for frame_size in SIZES:
            yield partial(_loop, place, name, frame_size)
        yield partial(_line_rate, place, name)


def _loop(place: Place, name: str, frame_size: int) -> Row:
    with _device(place, name) as device:
        one, other = in_turns(
            place.runs,
            partial(_loop_ours, place, device, frame_size),
            partial(_loop_peer, place, device, frame_size),
        )
    title = f"loop {frame_size} B through {name}, both directions, all checked"
    return Row(title, "Mpps", "testpmd flowgen, nothing checked", ">= 0.7", tuple(one), tuple(other))


def _loop_ours(place: Place, device: Device, frame_size: int) -> Sample:
    offer = ours.offer_for([THERE, BACK], frame_size, ours.CEILING_PPS, place.seconds)
    with ours.generator(place.generator_core, _vhost(device.sockets)) as generator:
        window, report = ours.measured(generator, offer, place.seconds, [device.worker])
    if bad := sum(flow.corrupted + flow.duplicated + flow.reordered for flow in report.flows):
        raise GeneratorError(f"{bad:,} frames came back corrupted, twice or out of order: {report.flows}")
    sent = max(1, sum(flow.sent for flow in report.flows))
    refused = sum(report.refused) / sent
    limit = _limit("the generator", refused, sum(flow.lost for flow in report.flows) / sent - refused)
    return Sample(window.counts[1] / window.seconds / 1e6, window.waited, limit.text, limit.share)


def _loop_peer(place: Place, device: Device, frame_size: int) -> Sample:
    ports = [f"net_virtio_user{n},path={path},{_VIRTIO}" for n, path in enumerate(device.sockets)]
    options = [f"--txpkts={frame_size - FCS_OCTETS}", "--flowgen-flows=1"]
    peer = Testpmd(place.folder, "flowgen", place.generator_core, ports, "flowgen", *options)
    try:
        window = ours.watched(
            place.seconds, [device.worker, peer.worker], lambda: peer.counters(2, "ipackets", "opackets")
        )
    finally:
        refused = peer.stop()
    got, sent = window.counts
    limit = _limit("the peer", refused, 1 - got / sent if sent else 0.0)
    return Sample(got / window.seconds / 1e6, window.waited, limit.text, limit.share)


def _line_rate(place: Place, name: str) -> Row:
    rate_pps = line_rate("10GbE", SMALL).pps
    offer = ours.offer_for([THERE], SMALL, rate_pps, place.seconds)
    samples = []
    with _device(place, name) as device:
        for _ in range(place.runs):
            with ours.generator(place.generator_core, _vhost(device.sockets)) as generator:
                window, report = ours.measured(generator, offer, place.seconds, [device.worker])
            (counts,) = report.flows
            more = {"frames lost": float(counts.lost), "frames not sent": float(counts.not_sent)}
            refused = sum(report.refused) / max(1, counts.sent)
            limit = _limit("the load offered", refused, counts.loss_ratio - refused)
            if counts.not_sent >= NOTICED * counts.intended:
                limit = Limit("the generator: it could not offer the load", counts.not_sent / counts.intended)
            figure = window.counts[1] / window.seconds / 1e6
            samples.append(Sample(figure, window.waited, limit.text, limit.share, more))
    offered = tuple(Sample(rate_pps / 1e6, 0.0, "the load offered") for _ in samples)
    title = f"loop {SMALL} B through {name}, one way, at the line rate of 10GbE"
    return Row(title, "Mpps", "offered", "1.0, none lost", tuple(samples), offered)


def latency(place: Place) -> Iterator[_ROW]:
    """Out of one port and in at the other through testpmd `io` at a low load, beside the generator's own floor."""
    yield partial(_latency, place)


def _latency(place: Place) -> Row:
    with _device(place, "testpmd io") as device:
        through = partial(_trip, place, _vhost(device.sockets), [device.worker])
        wire = [PortSpec("loopback", ours.address(port), ours.MTU) for port in range(2)]
        one, other = in_turns(place.runs, through, partial(_trip, place, wire, []))
    title = f"latency {SMALL} B at {LATENCY_PPS / 1e3:g} kpps through testpmd io, median"
    return Row(title, "us", "floor: loopback", "ours <= 6 us", tuple(one), tuple(other))


def _trip(place: Place, ports: Sequence[PortSpec], tids: Sequence[int]) -> Sample:
    offer = ours.offer_for([THERE], SMALL, LATENCY_PPS, place.seconds)
    with ours.generator(place.generator_core, ports) as generator:
        window, report = ours.measured(generator, offer, place.seconds, tids)
    if not report.latency:
        raise GeneratorError(f"no frame came back: {report.flows}")
    (told,) = report.latency
    more = {f"p{p:g} us": value / 1e3 for p, value in told.percentiles_ns.items() if p != 50.0}
    more |= {"min us": told.min_ns / 1e3, "max us": told.max_ns / 1e3}
    return Sample(told.percentiles_ns[50.0] / 1e3, window.waited, "the way itself", 0.0, more)
