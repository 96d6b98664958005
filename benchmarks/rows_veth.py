"""Rows of `veth`: out of one end of a pair, 64 B, our `af_packet` and `af_xdp` beside trafgen and iperf3.

    namespace of the sender         namespace of the receiver
    g0  ==========================  d0-RUN

The far end takes frames in by a kernel thread (threaded NAPI, which GRO switches on) pinned to the device's core,
as the plugin's switches do; what arrived there is what counts. Where its ring is full, the sender's end counts the
frame as dropped. To be root is needed: for the pin, and by trafgen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import ours
from benchmarks.peers import needed, wait_for
from benchmarks.place import Place
from benchmarks.sampling import Row, Sample, in_turns
from benchmarks.windows import Window, busiest, threads_of
from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.hosts.lab import Lab, VethEnd
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.protocol import Process
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.trial import Direction

SIZE = 64
UDP_OCTETS = 18  # payload of a 64 B frame
IPERF_PORT = 5201
NEAR_IP, FAR_IP, PREFIX = "198.18.0.1", "198.18.0.2", 24
NEAR_MAC, FAR_MAC = "02:6e:03:00:00:00", "02:6e:03:00:00:01"
NOTICED = 0.01
STARTED_NS = 5_000_000  # processor time by which a sender sends


@dataclass(frozen=True, slots=True)
class Wire:
    """A veth pair with a namespace at each end.

    Attributes:
        tids: threads that take frames in at the far end.
    """

    lab: Lab
    near: NamespaceHost
    far: NamespaceHost
    far_name: str
    tids: tuple[int, ...]

    def counters(self) -> tuple[int, int]:
        """Return frames that arrived at the far end, and frames that its full ring refused."""
        arrived = self.lab.links(self.far)[self.far_name].rx_packets
        return arrived, self.lab.links(self.near)["g0"].tx_dropped


@contextmanager
def _wire(place: Place) -> Iterator[Wire]:
    if os.geteuid() != 0:
        raise CapabilityMissing("root", "the receiving thread cannot be pinned, nor trafgen send", "run as root")
    run_id = new_run_id()
    lab = Lab(LocalHost(run_id), run_id)
    try:
        near, far = lab.namespace("gen"), lab.namespace("dut")
        name = f"d0-{run_id}"
        lab.veth(
            VethEnd(near, "g0", NEAR_MAC, {"tso": False, "gso": False}),
            VethEnd(far, name, FAR_MAC, {"gro": True}),
            ours.MTU,
        )
        lab.address(near, "g0", NEAR_IP, PREFIX, {FAR_IP: FAR_MAC})
        lab.address(far, name, FAR_IP, PREFIX, {NEAR_IP: NEAR_MAC})
        threads, note = lab.threaded(far, name)
        notes = [note] if note else lab.pin(threads, [place.device_core])
        if notes:
            raise DeploymentError(f"veth: {'; '.join(notes)}")
        yield Wire(lab, near, far, name, tuple(threads))
    finally:
        lab.close()


def veth(place: Place) -> Iterator[Callable[[], Row]]:
    """Each kind of port of ours beside each peer."""
    for peer, goal, sender in (("trafgen", ">= 1.3", _trafgen), ("iperf3 UDP", "-", _iperf)):
        for kind in ("af_packet", "af_xdp"):
            yield partial(_row, place, kind, peer, goal, sender)


_Sender = Callable[[Place, Wire], Sample]


def _row(place: Place, kind: str, peer: str, goal: str, sender: _Sender) -> Row:
    with _wire(place) as wire:
        one, other = in_turns(place.runs, partial(_ours, place, wire, kind), partial(sender, place, wire))
    return Row(f"veth {SIZE} B, {kind}, stamped and numbered", "Mpps", peer, goal, tuple(one), tuple(other))


def _sample(window: Window, who: str) -> Sample:
    arrived, refused = window.counts
    share = refused / max(1, arrived + refused)
    figure = arrived / window.seconds / 1e6
    if share >= NOTICED:
        return Sample(figure, window.waited, "the receiving core: its ring was full", share)
    return Sample(figure, window.waited, f"{who}, with the kernel's way out: no ring was full")


def _ours(place: Place, wire: Wire, kind: str) -> Sample:
    port = PortSpec(kind, ours.address(0), ours.MTU, {"interface": "g0"})
    offer = ours.offer_for([Direction(0, 1)], SIZE, ours.CEILING_PPS, place.seconds, "send")
    with ours.generator(place.generator_core, [port], wire.near) as generator:
        window, _ = ours.measured(generator, offer, place.seconds, wire.tids, wire.counters)
    return _sample(window, "the generator")


def _trafgen(place: Place, wire: Wire) -> Sample:
    template = bytes.fromhex(ours.flow(0, Direction(0, 1), SIZE, 1.0, 1.0).template)
    frame = place.folder / "frame.cfg"
    frame.write_text("{ " + ", ".join(f"0x{octet:02x}" for octet in template) + " }\n")
    argv = [needed("trafgen", "netsniff-ng"), "--dev", "g0", "--conf", str(frame), "--cpus", "1"]
    argv += ["--notouch-irq", "--no-sock-mem"]  # those would be the machine's settings
    return _running(place, wire, argv, "trafgen")


def _iperf(place: Place, wire: Wire) -> Sample:
    command = needed("iperf3", "iperf3")
    server = wire.far.start([command, "--server", "--bind", FAR_IP], cores=(place.device_core,))
    try:
        wait_for("iperf3 listens", lambda: _listens(server.pid))
        argv = [command, "--client", FAR_IP, "--udp", "--bandwidth", "0", "--length", str(UDP_OCTETS)]
        argv += ["--time", str(round(place.seconds + ours.WARM_S + 30))]
        return _running(place, wire, argv, "iperf3")
    finally:
        server.stop()


def _listens(pid: int) -> bool:
    """Whether a process's namespace has a TCP socket that listens on iperf3's port; proc(5), /proc/net/tcp."""
    tables = [Path(f"/proc/{pid}/net/{name}") for name in ("tcp", "tcp6")]
    lines = [line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    return any(words[1].endswith(f":{IPERF_PORT:04X}") and words[3] == "0A" for words in lines)


def _running(place: Place, wire: Wire, argv: Sequence[str], name: str) -> Sample:
    sender = wire.near.start(argv, cores=(place.generator_core,))
    try:
        wait_for(f"{name} sends", partial(_sends, sender, name))
        for tid in threads_of(sender.pid):  # it may have chosen a core of its own
            os.sched_setaffinity(tid, {place.generator_core})
        tids = [*wire.tids, busiest(sender.pid)[0]]
        return _sample(ours.watched(place.seconds, tids, wire.counters), name)
    finally:
        sender.stop()


def _sends(sender: Process, name: str) -> bool:
    if sender.poll() is not None:
        raise DeploymentError(f"{name} ended\n{sender.stderr_tail()}")
    return busiest(sender.pid)[1] >= STARTED_NS
