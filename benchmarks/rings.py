"""What a frame costs on each kind of port, sent and received, by batch size.

    python benchmarks/rings.py [KIND ...] [--runs 5] [--json | --markdown] [--plots docs]

Two joined ports in one process on one core: batches of 64 B frames are numbered, stamped and sent until 1,024
are on their way, then taken out in batches of the same size and their sequence numbers compared; then the other
way. So caches are warm and no other core touches the ring: what is told is the cost of the code, not the rate
that a peer allows. `af_packet` and `af_xdp` go over a veth pair, where sending includes the kernel's way to the
far end's queue. They need root. A batch above what a port takes at once goes out in parts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.ours import MTU, address, flow
from benchmarks.svg import plot
from pytest_nfv.errors import CapabilityMissing, NfvError
from pytest_nfv.hosts import kernel, userns
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.trial import Direction
from pytest_nfv.rings.port import U8, Port
from pytest_nfv.rings.table import open_ports
from pytest_nfv.trafgen.signature import Numbering, head

BATCHES = tuple(2**power for power in range(11))
ON_THE_WAY = 1024
FRAME_SIZE = 64
SLOTS = "4096"
ARRIVE_S = 2.0
SPAN_S = 0.05
"""Time that a run takes for one batch size, at least."""

Maker = Callable[[Path], tuple[Port, Port]]


@dataclass(frozen=True, slots=True)
class Cost:
    """Nanoseconds a frame, sent by a port and received by it; each run's figure is the median of its rounds."""

    kind: str
    batch: int
    send_ns: tuple[float, ...]
    receive_ns: tuple[float, ...]

    def to_json(self) -> dict[str, object]:
        """Return medians and spread of the runs."""
        sides = {"send": self.send_ns, "receive": self.receive_ns}
        return {
            "name": f"{self.kind} batch {self.batch}",
            **{f"{side}": round(statistics.median(taken), 1) for side, taken in sides.items()},
            "unit": "ns/frame",
            "spread": {side: [round(min(taken), 1), round(max(taken), 1)] for side, taken in sides.items()},
        }


def _pair(kind: str, far: str, given: dict[str, str], far_given: dict[str, str]) -> tuple[Port, Port]:
    """Open the far end first: it serves the socket where there is one."""
    specs = [PortSpec(far, address(1), MTU, far_given), PortSpec(kind, address(0), MTU, given)]
    if kind in ("memif", "loopback", "af_packet", "af_xdp"):
        there, here = open_ports(specs)
    else:
        (there,), (here,) = open_ports(specs[:1]), open_ports(specs[1:])
    return here, there


def _rings(kind: str, far: str, folder: Path) -> tuple[Port, Port]:
    given = {"socket": str(folder / "s"), "rx_slots": SLOTS, "tx_slots": SLOTS}
    return _pair(kind, far, {**given, "role": "client"}, {**given, "role": "server"})


def _interfaces(kind: str, folder: Path) -> tuple[Port, Port]:
    from pyroute2 import IPRoute  # type: ignore[import-untyped]  # pyroute2 ships no types

    with IPRoute() as routes:
        routes.link("add", ifname="a", kind="veth", peer={"ifname": "b"}, mtu=MTU)
        for name in ("a", "b"):
            routes.link("set", index=routes.link_lookup(ifname=name)[0], state="up")
    return _pair(kind, kind, {"interface": "a"}, {"interface": "b"})


@contextmanager
def own_namespace() -> Iterator[None]:
    """Be in a new network namespace meanwhile; it ends with the last socket that was opened in it.

    Raises:
        CapabilityMissing: not allowed.
    """
    if not userns.privileged():
        raise CapabilityMissing("root", "network namespaces and AF_XDP take privilege", "run as root")
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        kernel.unshare(kernel.CLONE_NEWNET)
        try:
            Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")  # no frames but ours
            yield
        finally:
            kernel.setns(home, kernel.CLONE_NEWNET)
    finally:
        os.close(home)


KINDS: dict[str, Maker] = {
    "loopback": lambda folder: _pair("loopback", "loopback", {}, {}),
    "vhost_user": lambda folder: _rings("vhost_user", "vhost_user_backend", folder),
    "vhost_user_backend": lambda folder: _rings("vhost_user", "vhost_user_backend", folder)[::-1],
    "memif": lambda folder: _rings("memif", "memif", folder),
    "memif server": lambda folder: _rings("memif", "memif", folder)[::-1],
    "af_xdp": lambda folder: _interfaces("af_xdp", folder),
    "af_packet": lambda folder: _interfaces("af_packet", folder),
}


@contextmanager
def joined(kind: str) -> Iterator[tuple[Port, Port]]:
    """Two joined ports; the first is of the kind."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nfvb-"))
        if kind.startswith("af_"):
            stack.enter_context(own_namespace())
        ports = KINDS[kind](Path(folder))
        for port in ports:
            stack.callback(port.close)
        yield ports


class Rounds:
    """Frames there, from one port to the other, in batches of one size."""

    def __init__(self, here: Port, there: Port) -> None:
        self._here, self._there = here, there
        template = bytes.fromhex(flow(0, Direction(0, 1), FRAME_SIZE, 1.0, 1.0).template)
        rows: U8 = np.frombuffer(template, np.uint8)[None, :]
        self._octets = rows.shape[1]
        there.expect(self._octets)
        here.prepare(rows)
        self._numbering = Numbering((0,), ON_THE_WAY)
        self._head = np.uint64(head(0))
        self._numbers = np.arange(ON_THE_WAY, dtype=np.uint64)
        self._sent = self._got = 0

    def one(self, batch: int) -> tuple[float, float]:
        """Send `ON_THE_WAY` frames and take them out; return ns a frame for either.

        Raises:
            NfvError: one was refused, did not come, or is not the one that comes next.
        """
        clock = time.perf_counter_ns
        begun = clock()
        for _ in range(ON_THE_WAY // batch):
            self._send(batch)
        sent = clock()
        deadline = sent + int(ARRIVE_S * 1e9)
        wanted = self._got + ON_THE_WAY
        spent = 0
        while self._got < wanted:
            started = clock()
            taken = self._take(batch)
            ended = clock()
            spent += ended - started if taken else 0
            if ended > deadline:
                raise NfvError(f"{wanted - self._got} of {ON_THE_WAY} frames did not arrive in {ARRIVE_S:g} s")
        return (sent - begun) / ON_THE_WAY, spent / ON_THE_WAY

    def _send(self, batch: int) -> None:
        left = batch
        while left:
            words = self._here.reserve(left)
            count = len(words)
            self._numbering.write(words[:, 0], self._sent)
            words[:, 1] = time.monotonic_ns()
            taken, refused = self._here.commit(count)
            if refused or not taken:
                raise NfvError(f"{refused or count} of a batch of {batch} frames were not taken")
            self._sent += taken
            left -= taken

    def _take(self, batch: int) -> int:
        arrived = self._there.receive(batch)
        if arrived is None:
            return 0
        count = len(arrived.octets)
        words = arrived.frames[:, self._octets - 16 : self._octets].view(np.uint64)[:, 0]
        low = self._head + np.uint64(self._got)
        if not (words == self._numbers[:count] + low).all():
            raise NfvError(f"frame {self._got} or one of the {count} from it on is not the one that was sent")
        self._got += count
        self._there.release()
        return count

    def median(self, batch: int) -> tuple[float, float]:
        """Return the median costs over `SPAN_S`, ns a frame."""
        taken = [self.one(batch)]
        deadline = time.monotonic() + SPAN_S
        while time.monotonic() < deadline or len(taken) < 3:
            taken.append(self.one(batch))
        return statistics.median(one for one, _ in taken), statistics.median(other for _, other in taken)


def costs(kind: str, runs: int) -> list[Cost]:
    """Measure one kind; runs go over all batch sizes, so that a slow moment of the machine meets all of them."""
    sent: dict[int, list[float]] = {batch: [] for batch in BATCHES}
    received: dict[int, list[float]] = {batch: [] for batch in BATCHES}
    with joined(kind) as (here, there):
        out, back = Rounds(here, there), Rounds(there, here)
        for _ in range(runs):
            for batch in BATCHES:
                sent[batch].append(out.median(batch)[0])
                received[batch].append(back.median(batch)[1])
    return [Cost(kind, batch, tuple(sent[batch]), tuple(received[batch])) for batch in BATCHES]


def drawn(found: Sequence[Cost], side: str) -> str:
    """Return the plot of one side, `send` or `receive`."""
    series: dict[str, list[tuple[float, float]]] = {}
    for one in found:
        taken = one.send_ns if side == "send" else one.receive_ns
        series.setdefault(one.kind, []).append((one.batch, statistics.median(taken)))
    done = "Sent, numbered and stamped" if side == "send" else "Received, numbers compared"
    return plot(f"{done}: {FRAME_SIZE} B, by kind of port", "frames a batch", "ns a frame", series)


def _show(one: Cost, form: argparse.Namespace) -> str:
    told = one.to_json()
    if form.json:
        return json.dumps(told)
    cells = [str(told["name"]), f"{told['send']} ns", f"{told['receive']} ns", json.dumps(told["spread"])]
    return "| " + " | ".join(cells) + " |" if form.markdown else "  ".join(cells)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: accepted: a whole number >= 1")
    return int(text)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument("--runs", type=positive, default=5, help="runs of each batch size (default: 5)")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="where it runs")
    parser.add_argument(
        "--plots", type=Path, metavar="FOLDER", help="write rings-send.svg, rings-receive.svg there"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON lines")
    form.add_argument("--markdown", action="store_true", help="print table rows")
    chosen = parser.parse_args(argv)
    if unknown := sorted(set(chosen.kinds) - set(KINDS)):
        parser.error(f"kind {unknown[0]!r}: accepted: {', '.join(KINDS)}")
    os.sched_setaffinity(0, {chosen.core})
    found: list[Cost] = []
    failed = False
    if chosen.markdown:
        print("| port and batch | send | receive | spread of the runs |\n|---|---:|---:|---|")
    for kind in chosen.kinds or KINDS:
        try:
            for one in costs(kind, chosen.runs):
                found.append(one)
                print(_show(one, chosen), flush=True)
        except NfvError as error:
            print(f"{kind}: {error}", file=sys.stderr)
            failed = True
    for side in ("send", "receive") if chosen.plots and found else ():
        (chosen.plots / f"rings-{side}.svg").write_text(drawn(found, side), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
