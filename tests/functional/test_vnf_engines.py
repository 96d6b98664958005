"""Network functions of the kernel and of XDP over real frames: all that comes out is what the oracle says."""

from __future__ import annotations

import os
import signal
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_nfv.errors import CapabilityMissing, ConfigurationError, DeploymentError
from pytest_nfv.hosts import userns
from pytest_nfv.hosts.lab import Lab, VethEnd
from pytest_nfv.hosts.lines import JsonLines
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.nf import ADDRESSES, NEIGHBOURS, Firewall, Function, L2Fwd, L3Fwd, Signature
from pytest_nfv.model.nf_oracle import Sent, checksum, process
from pytest_nfv.model.routes import Route, RouteTable
from pytest_nfv.model.rules import Rule, RuleSet
from pytest_nfv.vnfs.kernel import KernelEngine
from pytest_nfv.vnfs.xdp import XdpEngine

Engine: TypeAlias = KernelEngine | XdpEngine
MTU = 1500
DEADLINE_S = 20.0
NICS = ("nic0", "nic1")
FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

pytestmark = pytest.mark.skipif(not userns.privileged(), reason="XDP and names of namespaces take root")

# Sends each frame of a request into one of two interfaces, and after them a mark for each way that frames may
# leave; answers with all that came out before the marks.
STATION = """
import json, select, socket, sys
names = sys.argv[1:]
ends = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) for _ in names]
for end, name in zip(ends, names):
    end.bind((name, 0))
print(json.dumps({"ready": 1}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    came = []
    for nic, frame in request["frames"]:
        ends[nic].send(bytes.fromhex(frame))
        for mark, expected, out in request["marks"][nic]:
            ends[nic].send(bytes.fromhex(mark))
            while True:
                if not select.select([ends[out]], [], [], 10)[0]:
                    sys.exit(f"no mark came out of {names[out]} for one into {names[nic]}")
                seen, address = ends[out].recvfrom(4096)
                if address[2] == 4:
                    continue
                if seen.hex() == expected:
                    break
                came.append([out, seen.hex()])
        came.append(None)
    print(json.dumps({"came": came}), flush=True)
"""

TABLE = RouteTable(
    (
        Route.of("198.18.0.0/16", 0),
        Route.of("198.19.0.0/16", 1),
        Route.of("198.19.4.0/24", 0),
        Route.of("198.19.4.128/25", 1, "02:00:00:00:00:aa"),
        Route.of("198.19.4.129/32", 0, "02:00:00:00:00:bb"),
        Route.of("10.0.0.0/8", 1, "02:00:00:00:00:aa"),
    )
)
WITH_DEFAULT = RouteTable((*TABLE.routes, Route.of("0.0.0.0/0", 1)))
RULES = RuleSet(
    (
        Rule("drop", source="10.1.0.0/16"),  # type: ignore[arg-type]  # texts are taken, as the docstring says
        Rule("allow", protocol=17, destination_ports=(7, 9)),
        Rule("allow", source_ports=(1024, 2047), destination_ports=(80, 80)),
        Rule("drop", protocol=6),
        Rule("allow", destination="198.18.0.0/15", protocol=1),  # type: ignore[arg-type]  # as above
        Rule("drop", protocol=17, source_ports=(0, 99)),
        Rule("allow", source="198.18.0.0/15", destination="198.18.0.0/15"),  # type: ignore[arg-type]  # as above
    )
)
OPEN = RuleSet((Rule("drop", protocol=17, destination_ports=(9, 9)),), default="allow")


class Bench:
    """A VNF's namespace, the station at its far ends, and what comes of frames."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.gen, self.vnf = lab.namespace("gen"), lab.namespace("vnf")
        for nic, name in enumerate(NICS):
            lab.veth(
                VethEnd(self.gen, f"g{nic}", NEIGHBOURS[nic], {"tso": False, "gso": False, "gro": True}),
                VethEnd(self.vnf, name, ADDRESSES[nic]),
                MTU,
            )
        argv = [sys.executable, "-I", "-S", "-c", STATION, "g0", "g1"]
        self._station = self.gen.start(argv, cores=[min(os.sched_getaffinity(0))])
        self._lines = JsonLines(self._station)
        self._lines.answer(DEADLINE_S)

    def exchange(self, function: Function, frames: Sequence[tuple[int, bytes]]) -> list[list[tuple[int, bytes]]]:
        """Return what came out for each frame, and of which vNIC."""
        marks = [self._marks(function, nic) for nic in range(2)]
        self._lines.tell({"frames": [(nic, frame.hex()) for nic, frame in frames], "marks": marks})
        came = self._lines.answer(DEADLINE_S)["came"]
        answers: list[list[tuple[int, bytes]]] = [[]]
        for one in came:
            if one is None:
                answers.append([])
            else:
                answers[-1].append((one[0], bytes.fromhex(one[1])))
        return answers[:-1]

    def _marks(self, function: Function, nic: int) -> list[tuple[str, str, int]]:
        """Return frames that pass: octets in, octets out, and where."""
        found = []
        for number, destination in enumerate(("198.18.255.254", "198.19.255.254")):
            mark = packet(nic, "198.18.255.253", destination, protocol=1, payload=b"this is the mark" + bytes([number]))
            sent = process(function, nic, mark)
            assert isinstance(sent, Sent)
            found.append((mark.hex(), sent.frame.hex(), sent.nic))
        return found


def packet(
    nic: int,
    source: str,
    destination: str,
    *,
    protocol: int = 17,
    ttl: int = 64,
    options: bytes = b"",
    payload: bytes = b"",
    padding: bytes = b"",
    fragment: int = 0,
    version: int = 4,
    words: int = 0,
    total: int = 0,
    wrong: int = 0,
) -> bytes:
    """Return an IPv4 frame to a vNIC; `version` to `wrong` make an unsound one."""
    header_octets = 20 + len(options)
    head = bytes([version << 4 | (words or header_octets // 4), 0])
    head += struct.pack(">HHHBB", total or header_octets + len(payload), 1, fragment, ttl, protocol)
    ends = IPv4Address(source).packed + IPv4Address(destination).packed + options
    check = (checksum(head + b"\0\0" + ends) ^ wrong).to_bytes(2)
    ethernet = bytes.fromhex((ADDRESSES[nic] + NEIGHBOURS[nic]).replace(":", "")) + b"\x08\x00"
    return ethernet + head + check + ends + payload + padding


def addresses(first: Sequence[str]) -> st.SearchStrategy[str]:
    near = st.sampled_from(first)
    anywhere = st.integers(0x01000000, 0xDFFFFFFF).map(lambda number: str(IPv4Address(number)))
    return st.one_of(near, near, anywhere.filter(lambda text: not text.startswith("127.")))


PLACES = ("198.18.0.1", "198.19.0.1", "198.19.4.1", "198.19.4.128", "198.19.4.129", "10.1.2.3", "10.2.0.1")
PORTS = st.sampled_from((0, 7, 8, 9, 10, 80, 99, 100, 1023, 1024, 2047, 2048, 65535))


@st.composite
def packets(draw: st.DrawFn, *, sound: bool = False, padded: bool = True) -> tuple[int, bytes]:
    """Draw a vNIC, and an IPv4 frame for it."""
    nic = draw(st.integers(0, 1))
    unsound = {} if sound else draw(
        st.sampled_from(
            ({}, {}, {}, {"version": 6}, {"words": 4}, {"words": 15}, {"total": 19}, {"total": 1400}, {"wrong": 1})
        )
    )
    ports = draw(st.tuples(PORTS, PORTS))
    return nic, packet(
        nic,
        draw(addresses(PLACES)),
        draw(addresses(PLACES)),
        protocol=draw(st.sampled_from((1, 6, 17, 17, 47))),
        ttl=draw(st.sampled_from((0, 1, 2, 64, 255))),
        options=b"\1" * 4 * draw(st.sampled_from((0, 0, 0, 1, 10))),
        payload=(struct.pack(">HH", *ports) + draw(st.binary(max_size=40)))[draw(st.sampled_from((0, 0, 0, 1, 4))) :],
        padding=draw(st.binary(max_size=8)) if padded else b"",
        fragment=draw(st.sampled_from((0, 0, 0, 0x2000, 0x2001, 0x0007))),
        **unsound,
    )


@st.composite
def others(draw: st.DrawFn) -> tuple[int, bytes]:
    """Draw a vNIC, and a frame from a station, to anybody, with anything in it but a VLAN tag."""
    to = draw(st.one_of(st.binary(min_size=6, max_size=6), st.sampled_from([octets(one) for one in ADDRESSES])))
    to = b"\3" + to[1:] if to[:5] == octets("01:80:c2:00:00:00")[:5] else to
    kind = draw(st.sampled_from((b"\x08\x06", b"\x86\xdd", b"\x88\xb5", b"\x00\x10")))
    return draw(st.integers(0, 1)), to + octets(NEIGHBOURS[0]) + kind + draw(st.binary(max_size=100))


def octets(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))


def expected(function: Function, nic: int, frame: bytes) -> list[tuple[int, bytes]]:
    answer = process(function, nic, frame)
    return [(answer.nic, answer.frame)] if isinstance(answer, Sent) else []


def without_padding(out: tuple[int, bytes]) -> tuple[int, bytes]:
    return out[0], out[1][: 14 + int.from_bytes(out[1][16:18])]


def agrees(bench: Bench, function: Function, frames: list[tuple[int, bytes]], *, padding: bool = True) -> None:
    """Compare all that comes out with the oracle."""
    for (nic, frame), came in zip(frames, bench.exchange(function, frames), strict=True):
        wanted = expected(function, nic, frame)
        if not padding:
            wanted, came = list(map(without_padding, wanted)), list(map(without_padding, came))
        assert came == wanted, (str(function), nic, frame.hex())


@pytest.fixture
def bench(tmp_path: Path, lacks: Callable[[CapabilityMissing], None]) -> Iterator[Bench]:
    run_id = new_run_id()
    try:
        lab = Lab(LocalHost(run_id), run_id, False, tmp_path)
    except CapabilityMissing as missing:
        lacks(missing)
        raise
    try:
        yield Bench(lab)
    finally:
        lab.close()
    assert list(tmp_path.iterdir()) == []


Start: TypeAlias = Callable[[type[Engine], Function], Engine]


@pytest.fixture
def start(bench: Bench, lacks: Callable[[CapabilityMissing], None]) -> Iterator[Start]:
    """Return a function that starts an engine on the bench."""
    started: list[Engine] = []

    def go(kind: type[Engine], function: Function) -> Engine:
        engine = kind(bench.lab, bench.vnf, function)
        try:
            engine.start()
        except CapabilityMissing as missing:
            lacks(missing)
        started.append(engine)
        return engine

    yield go
    for engine in started:
        engine.stop()


@pytest.mark.parametrize("kind", [KernelEngine, XdpEngine])
def test_l2fwd_moves_every_frame(bench: Bench, start: Start, kind: type[Engine]) -> None:
    start(kind, L2Fwd())

    @FEW
    @given(st.lists(st.one_of(packets(), others()), min_size=10, max_size=30))
    def check(frames: list[tuple[int, bytes]]) -> None:
        agrees(bench, L2Fwd(), frames)

    check()


@pytest.mark.parametrize("table", [TABLE, WITH_DEFAULT, RouteTable.generated(10, 1)], ids=["few", "default", "ten"])
@pytest.mark.parametrize("kind", [KernelEngine, XdpEngine])
def test_l3fwd_routes_as_the_oracle(bench: Bench, start: Start, kind: type[Engine], table: RouteTable) -> None:
    function = L3Fwd(table)
    start(kind, function)
    drawn = packets() if kind is KernelEngine else st.one_of(packets(), packets(), others())

    @FEW
    @given(st.lists(drawn, min_size=10, max_size=30))
    def check(frames: list[tuple[int, bytes]]) -> None:
        agrees(bench, function, frames, padding=kind is XdpEngine)

    check()


@pytest.mark.parametrize(
    "rules", [RULES, OPEN, RuleSet.generated(10, 1)], ids=["default drop", "default allow", "ten"]
)
def test_firewall_decides_as_the_oracle(bench: Bench, start: Start, rules: RuleSet) -> None:
    function = Firewall(rules)
    start(KernelEngine, function)

    @FEW
    @given(st.lists(st.one_of(packets(), packets(), others()), min_size=10, max_size=30))
    def check(frames: list[tuple[int, bytes]]) -> None:
        agrees(bench, function, frames)

    check()


def test_all_large_frames_pass(bench: Bench, start: Start) -> None:
    start(XdpEngine, L3Fwd(TABLE))
    full = packet(0, "198.18.0.1", "198.19.0.1", payload=b"n" * (MTU - 20))
    agrees(bench, L3Fwd(TABLE), [(0, full)] * 5)


def test_the_firewall_says_how_many_it_dropped_and_why(bench: Bench, start: Start) -> None:
    engine = start(KernelEngine, Firewall(RULES))
    tcp = (0, packet(0, "198.18.0.1", "198.19.0.1", protocol=6))
    broken = (1, packet(1, "198.18.0.1", "198.19.0.1", version=6))
    agrees(bench, Firewall(RULES), [tcp, tcp, broken])
    drops = engine.counters().drops
    assert (drops["policy"], drops["malformed"]) == (2, 1)


def test_xdp_says_how_many_it_dropped_and_why(bench: Bench, start: Start) -> None:
    engine = start(XdpEngine, L3Fwd(TABLE))
    assert engine.notes == (), "veth has XDP in its driver"  # type: ignore[union-attr]  # an XdpEngine
    before = engine.counters()
    good = (0, packet(0, "198.18.0.1", "198.19.0.1"))
    late = (0, packet(0, "198.18.0.1", "198.19.0.1", ttl=1))
    lost = (1, packet(1, "198.18.0.1", "192.0.2.1"))
    wrong = (1, packet(1, "198.18.0.1", "198.19.0.1", wrong=4))
    agrees(bench, L3Fwd(TABLE), [good, late, lost, lost, wrong])
    after = engine.counters()
    assert {why: after.drops[why] - before.drops[why] for why in ("ttl", "no_route", "malformed")} == {
        "ttl": 1,
        "no_route": 2,
        "malformed": 1,
    }
    marks = 5 * 2
    assert sum(after.rx_frames) - sum(before.rx_frames) == 5 + marks
    assert sum(after.tx_frames) - sum(before.tx_frames) == 1 + marks


def test_the_kernels_router_counts_what_it_drops(bench: Bench, start: Start) -> None:
    engine = start(KernelEngine, L3Fwd(TABLE))
    late = (0, packet(0, "198.18.0.1", "198.19.0.1", ttl=1))
    lost = (1, packet(1, "198.18.0.1", "192.0.2.1"))
    agrees(bench, L3Fwd(TABLE), [late, lost, lost], padding=False)
    drops = engine.counters().drops
    assert (drops["malformed or ttl"], drops["no_route"]) == (1, 2)


def test_an_xdp_process_that_is_killed_is_told_with_its_status(bench: Bench, start: Start) -> None:
    engine = start(XdpEngine, L2Fwd())
    engine.check()
    told = engine._ask(op="start", function={"kind": "l2fwd"}, nics=list(NICS))  # type: ignore[union-attr]  # XDP
    os.kill(told["pid"], signal.SIGKILL)
    with pytest.raises(DeploymentError, match="engine xdp: its process: it"):
        engine.check()
    assert xdp_programs(bench.vnf) == 0, "the kernel detaches it with the process"


def xdp_programs(namespace: NamespaceHost) -> int:
    """Return how many interfaces have an XDP program."""
    code = """
from pyroute2 import IPRoute
with IPRoute() as routes:
    print(sum(bool((link.get("xdp") or {}).get("attached")) for link in routes.get_links()))
"""
    return int(namespace.run([sys.executable, "-c", code]).stdout)


def test_stopped_xdp_forwards_no_more(bench: Bench, start: Start) -> None:
    engine = start(XdpEngine, L2Fwd())
    assert xdp_programs(bench.vnf) == 2
    engine.stop()
    assert xdp_programs(bench.vnf) == 0
    with pytest.raises(DeploymentError, match="engine xdp is not started"):
        engine.counters()


@pytest.mark.parametrize(
    ("kind", "function", "known"),
    [(KernelEngine, Signature(), "L2Fwd, L3Fwd, Firewall"), (XdpEngine, Firewall(), "L2Fwd, L3Fwd")],
)
def test_a_function_that_an_engine_has_not(bench: Bench, kind: type[Engine], function: Function, known: str) -> None:
    with pytest.raises(ConfigurationError, match=f"engine {kind.name}: function .*: accepted: {known}$"):
        kind(bench.lab, bench.vnf, function)


@pytest.mark.parametrize("kind", [KernelEngine, XdpEngine])
def test_an_interface_that_is_not_there(bench: Bench, kind: type[Engine]) -> None:
    with pytest.raises(DeploymentError, match=r"no interface nic7 in nfv-.*; there: lo, nic0, nic1"):
        kind(bench.lab, bench.vnf, L2Fwd(), ("nic0", "nic7")).start()


def test_l3fwd_between_other_addresses_is_refused(bench: Bench) -> None:
    function = L3Fwd(TABLE, addresses=NEIGHBOURS)
    with pytest.raises(ConfigurationError, match="accepted: those of the vNICs, .*02:6e:66:00:00:00"):
        KernelEngine(bench.lab, bench.vnf, function).start()


def test_nft_that_is_missing_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CapabilityMissing, match="nft is not installed; apt-get install nftables"):
        KernelEngine.probe(Firewall())
    assert KernelEngine.probe(L2Fwd()) == "the kernel alone"


def test_a_port_taken_out_of_the_bridge_is_seen(bench: Bench, start: Start) -> None:
    engine = start(KernelEngine, L2Fwd())
    engine.check()
    code = """
from pyroute2 import IPRoute
with IPRoute() as routes:
    routes.link("set", index=routes.link_lookup(ifname="nic0")[0], master=0)
    routes.link("set", index=routes.link_lookup(ifname="nic1")[0], state="down")
"""
    bench.vnf.run([sys.executable, "-c", code])
    with pytest.raises(DeploymentError, match="nic1 is down; interface nic0 is no longer a port of br0"):
        engine.check()
