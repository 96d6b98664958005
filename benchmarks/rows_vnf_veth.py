"""Rows of network functions between two veth pairs: the kernel, an XDP program, and numpy over AF_XDP.

    generator's namespace        VNF's namespace
    g0  ====================  nic0-RUN
    g1  ====================  nic1-RUN

One way, from g0 to g1; what arrives at g1 is what counts, and goes no further. The generator only sends, over
AF_XDP. Kernel and XDP do their work where frames are taken in: a thread of the vNIC's own (threaded NAPI) on the
device's core. On the same core such a thread would keep the numpy engine from running, so with that one frames are
taken in on the generator's core, as softirqs of the sender. Where a vNIC's ring is full, g0 counts the frame as
dropped. To be root is needed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from benchmarks import ours
from benchmarks.place import Place
from benchmarks.sampling import Row, Sample, in_turns
from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.generators.templates import ethernet_udp
from pytest_nfv.hosts.lab import Lab, VethEnd
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.nf import ADDRESSES, NEIGHBOURS, Firewall, Function, L2Fwd, L3Fwd
from pytest_nfv.model.offer import FlowOffer, Offer, PortSpec
from pytest_nfv.model.trial import Direction
from pytest_nfv.vnfs.kernel import KernelEngine
from pytest_nfv.vnfs.numpy_engine import NumpyEngine
from pytest_nfv.vnfs.xdp import XdpEngine

SIZE = 64
NOTICED = 0.01
FUNCTIONS: dict[str, Function] = {
    "L2Fwd": L2Fwd(),
    "L3Fwd, 10 routes": L3Fwd(10),
    "Firewall, 10 rules": Firewall(10),
}


@dataclass(frozen=True, slots=True)
class Bench:
    """Both pairs.

    Attributes:
        nics: the vNICs' names; tids: threads that take frames in there.
    """

    lab: Lab
    near: NamespaceHost
    vnf: NamespaceHost
    nics: tuple[str, str]
    tids: tuple[int, ...]

    def counters(self) -> tuple[int, int]:
        """Return frames that arrived at g1, and frames that vNIC 0's full ring refused."""
        links = self.lab.links(self.near)
        return links["g1"].rx_packets, links["g0"].tx_dropped


@contextmanager
def _bench(place: Place, threaded: bool = True) -> Iterator[Bench]:
    if os.geteuid() != 0:
        raise CapabilityMissing("root", "receiving threads cannot be pinned, nor XDP be loaded", "run as root")
    run_id = new_run_id()
    lab = Lab(LocalHost(run_id), run_id)
    try:
        near, vnf = lab.namespace("gen"), lab.namespace("vnf")
        nics = (f"n0-{run_id}", f"n1-{run_id}")
        for number, (end, nic) in enumerate(zip(("g0", "g1"), nics, strict=True)):
            off = {"tso": False, "gso": False, "gro": True}
            lab.veth(
                VethEnd(near, end, NEIGHBOURS[number], off), VethEnd(vnf, nic, ADDRESSES[number], off), ours.MTU
            )
        threads: dict[int, str] = {}
        notes = []
        for nic in nics if threaded else ():
            some, note = lab.threaded(vnf, nic)
            threads |= some
            notes += [note] if note else []
        notes += lab.pin(threads, [place.device_core])
        if notes:
            raise DeploymentError(f"veth: {'; '.join(notes)}")
        yield Bench(lab, near, vnf, nics, tuple(threads))
    finally:
        lab.close()


def veth(place: Place, only: str) -> Iterator[Callable[[], Row]]:
    """Functions with `only` in their names, by XDP and by numpy over AF_XDP, beside the kernel."""
    for name, function in FUNCTIONS.items():
        if only not in name:
            continue
        if isinstance(function, XdpEngine.functions):
            yield partial(_row, place, f"XDP {name}", function, _xdp)
        yield partial(_row, place, f"numpy {name}", function, _numpy)


_Side = Callable[[Place, Function], Sample]


def _row(place: Place, name: str, function: Function, side: _Side) -> Row:
    one, other = in_turns(place.runs, partial(side, place, function), partial(_kernel, place, function))
    return Row(f"{name}, {SIZE} B, veth", "Mpps", "kernel", "-", tuple(one), tuple(other))


def _kernel(place: Place, function: Function) -> Sample:
    with _bench(place) as bench:
        engine = KernelEngine(bench.lab, bench.vnf, function, bench.nics)
        engine.start()
        try:
            return _measured(place, bench, [])
        finally:
            engine.stop()


def _xdp(place: Place, function: Function) -> Sample:
    with _bench(place) as bench:
        engine = XdpEngine(bench.lab, bench.vnf, function, bench.nics)
        engine.start()
        try:
            return _measured(place, bench, [])
        finally:
            engine.stop()


def _numpy(place: Place, function: Function) -> Sample:
    with _bench(place, threaded=False) as bench:
        engine = NumpyEngine(bench.vnf, place.device_core)
        try:
            pairs = zip(ADDRESSES, bench.nics, strict=True)
            engine.open([PortSpec("af_xdp", mac, ours.MTU, {"interface": nic}) for mac, nic in pairs])
            engine.run(function)
            return _measured(place, bench, [engine.pid()])
        finally:
            engine.close()


def _measured(place: Place, bench: Bench, tids: list[int]) -> Sample:
    frame = ethernet_udp(SIZE, src=NEIGHBOURS[0], dst=ADDRESSES[0])
    whole_s = ours.WARM_S + place.seconds + 2 * ours.PROGRESS_S
    flow = FlowOffer(0, Direction(0, 1), ours.CEILING_PPS, round(ours.CEILING_PPS * whole_s), frame.hex())
    offer = Offer((flow,), role="send", maximum=True, receiver_measured=True)
    port = PortSpec("af_xdp", NEIGHBOURS[0], ours.MTU, {"interface": "g0"})
    with ours.generator(place.generator_core, [port], bench.near) as generator:
        window, _ = ours.measured(generator, offer, place.seconds, [*bench.tids, *tids], bench.counters)
    arrived, refused = window.counts
    rate = arrived / window.seconds
    share = refused / max(1, arrived + refused)
    limit = "the function: its ring was full" if share >= NOTICED else "the generator: it met no full ring"
    more = {"ns a frame": 1e9 / rate} if rate else {}
    return Sample(rate / 1e6, window.waited, limit, share if share >= NOTICED else 0.0, more)
