"""Rows of network functions between two vhost-user ports, with DPDK's testpmd as the switch that makes the ports.

    core of the device: the function          core of the generator: testpmd `flowgen`
    vNIC 0  ==virtqueues==  vhost-user port 0
    vNIC 1  ==virtqueues==  vhost-user port 1

testpmd sends 64 B frames of 1,024 flows into both ports and takes in what comes back, which is what is counted:
the sum of both directions. Its frames are not those of RFC 2544, so route table and rule set of ten are made for
them: routes are of different lengths, within one another, and the rule that allows is the last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import ours
from benchmarks.peers import Testpmd
from benchmarks.place import Place
from benchmarks.sampling import Row, Sample, in_turns
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.model.nf import ADDRESSES, Firewall, Function, L2Fwd, L3Fwd, Signature
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.routes import Route, RouteTable
from pytest_nfv.model.rules import Rule, RuleSet
from pytest_nfv.vnfs.numpy_engine import NumpyEngine

NOTICED = 0.01
_VIRTIO = "queue_size=1024,in_order=1,mrg_rxbuf=0"
_FROM, _TO = "10.254.0.0/16", "10.253.0.0/16"  # addresses of flowgen's frames
_ELSEWHERE = (
    Route.of("10.0.0.0/8", 0),
    Route.of("10.128.0.0/9", 0),
    *(Route.of(f"198.18.{number}.0/{25 + number}", number % 2) for number in range(4)),
)
ONE_WAY = RouteTable((Route.of(_TO, 1), *(Route.of(f"10.253.{128 + n}.0/26", 0) for n in range(3)), *_ELSEWHERE))
BOTH_WAYS = RouteTable((*(Route.of(f"10.253.{number}.0/24", number % 2) for number in range(4)), *_ELSEWHERE))
"""Each batch has frames for both vNICs: 256 flows leave by one, the next 256 by the other."""
RULES = RuleSet((*RuleSet.generated(10, 1).rules[:-1], Rule.to("allow", source=_FROM, destination=_TO)))

FUNCTIONS: dict[str, tuple[Function, str]] = {
    "L2Fwd": (L2Fwd(), ">= 12 Mpps"),
    "L3Fwd, 10 routes": (L3Fwd(ONE_WAY), ">= 8 Mpps"),
    "L3Fwd, 10 routes, two ways out of a batch": (L3Fwd(BOTH_WAYS), "-"),
    "Firewall, 10 rules": (Firewall(RULES), "-"),
    "Signature": (Signature(), "-"),
}


def vhost(place: Place, only: str) -> Iterator[Callable[[], Row]]:
    """Each function with `only` in its name, by the numpy engine, beside testpmd `io`, which looks at nothing."""
    for name, (function, goal) in FUNCTIONS.items():
        if only in name:
            yield partial(_row, place, name, function, goal)


def _row(place: Place, name: str, function: Function, goal: str) -> Row:
    one, other = in_turns(place.runs, partial(_numpy, place, function), partial(_testpmd, place))
    return Row(f"numpy {name}, 64 B, vhost-user", "Mpps", "testpmd io, L2", goal, tuple(one), tuple(other))


def _generator(place: Place, folder: Path) -> tuple[Testpmd, list[str]]:
    sockets = [str(folder / f"v{number}") for number in range(2)]
    devices = [f"net_vhost{number},iface={path}" for number, path in enumerate(sockets)]
    return Testpmd(folder, "gen", place.generator_core, devices, "flowgen"), sockets


def _numpy(place: Place, function: Function) -> Sample:
    with TemporaryDirectory(dir=place.folder, prefix="n") as folder:
        generator, sockets = _generator(place, Path(folder))
        engine = NumpyEngine(LocalHost(), place.device_core)
        try:
            engine.open(_ports(sockets))
            engine.run(function)

            def reading() -> tuple[int, ...]:
                counted = engine.counters()
                full = sum(sum(nic.dropped.values()) for nic in counted.nics)
                return (*generator.counters(2, "ipackets"), counted.rounds, counted.busy, full)

            window = ours.watched(place.seconds, [generator.worker, engine.pid()], reading)
        finally:
            engine.close()
            refused = generator.stop()
    got, rounds, busy, dropped = window.counts
    rate = got / window.seconds
    more = {
        "ns a frame": 1e9 / rate,
        "frames a look": got / max(1, busy),
        "looks in vain, %": 100 * (1 - busy / rounds),
    }
    more["dropped, %"] = 100 * dropped / max(1, got + dropped)
    limit = "the function: it always found frames" if busy >= 0.95 * rounds else _limit(refused)
    return Sample(rate / 1e6, window.waited, limit, 0.0, more)


def _ports(sockets: Sequence[str]) -> list[PortSpec]:
    both = zip(ADDRESSES, sockets, strict=True)
    return [PortSpec("vhost_user", address, ours.MTU, {"socket": path}) for address, path in both]


def _testpmd(place: Place) -> Sample:
    with TemporaryDirectory(dir=place.folder, prefix="t") as folder:
        generator, sockets = _generator(place, Path(folder))
        ports = [f"net_virtio_user{n},path={path},{_VIRTIO}" for n, path in enumerate(sockets)]
        try:
            device = Testpmd(Path(folder), "io", place.device_core, ports, "io")
            try:
                tids = [generator.worker, device.worker]
                window = ours.watched(place.seconds, tids, lambda: generator.counters(2, "ipackets"))
            finally:
                device.stop()
        finally:
            refused = generator.stop()
    return Sample(window.counts[0] / window.seconds / 1e6, window.waited, _limit(refused))


def _limit(refused: float) -> str:
    return "the function: its ring was full" if refused >= NOTICED else "the generator: it met no full ring"
