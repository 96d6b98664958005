"""Network functions of kernel, XDP and testpmd over real frames: all that comes out is what the oracle says."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_nfv.errors import CapabilityMissing, ConfigurationError, DeploymentError
from pytest_nfv.hosts import userns
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.nf import ADDRESSES, NEIGHBOURS, Firewall, Function, L2Fwd, L3Fwd, Signature
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.routes import Route, RouteTable
from pytest_nfv.model.rules import Rule, RuleSet
from pytest_nfv.vnfs.kernel import KernelEngine
from pytest_nfv.vnfs.testpmd import TestpmdEngine
from pytest_nfv.vnfs.xdp import XdpEngine
from tests.functional.vnf_bench import MTU, NICS, Bench, agrees
from tests.functional.vnf_frames import others, packet, packets

Engine: TypeAlias = KernelEngine | XdpEngine
FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

pytestmark = pytest.mark.skipif(
    not userns.privileged(), reason="XDP and names of namespaces take root: run as root"
)

FIXTURES = Path(__file__).parents[2] / "fixtures"
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


@pytest.fixture
def bench(
    request: pytest.FixtureRequest, tmp_path: Path, lacks: Callable[[CapabilityMissing], None]
) -> Iterator[Bench]:
    """A bench of root's, or in a user namespace where the parameter says so."""
    run_id = new_run_id()
    try:
        lab = Lab(LocalHost(run_id), run_id, getattr(request, "param", False), tmp_path)
    except CapabilityMissing as missing:
        lacks(missing)
        raise
    try:
        the_bench = Bench(lab)
        try:
            yield the_bench
        finally:
            the_bench.close()
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


def is_fragment(frame: bytes) -> bool:
    """Whether an IPv4 frame is one: the kernel puts those together before DPDK's net_af_packet gets them."""
    return bool(int.from_bytes(frame[20:22]) & 0x3FFF)


def test_testpmd_moves_every_frame_but_fragments(bench: Bench, lacks: Callable[[CapabilityMissing], None]) -> None:
    engine = TestpmdEngine(bench.lab, bench.vnf, L2Fwd(), "vnf0")
    nics = [
        PortSpec("af_packet", address, MTU, {"interface": name})
        for name, address in zip(NICS, ADDRESSES, strict=True)
    ]
    try:
        engine.start(nics, [min(os.sched_getaffinity(0))])
    except CapabilityMissing as missing:
        lacks(missing)

    whole = packets().filter(lambda sent: not is_fragment(sent[1]))

    @FEW
    @given(st.lists(st.one_of(whole, others()), min_size=10, max_size=30))
    def check(frames: list[tuple[int, bytes]]) -> None:
        agrees(bench, L2Fwd(), frames)

    try:
        check()
        assert all(nic.tx_frames > 0 for nic in engine.counters())
    finally:
        engine.stop()


@pytest.mark.parametrize(
    "table",
    [TABLE, WITH_DEFAULT, RouteTable.generated(10, 1), RouteTable.load(FIXTURES / "routes" / "ten.toml")],
    ids=["few", "default", "ten", "file"],
)
@pytest.mark.parametrize("kind", [KernelEngine, XdpEngine])
def test_l3fwd_routes_as_the_oracle(bench: Bench, start: Start, kind: type[Engine], table: RouteTable) -> None:
    function = L3Fwd(table)
    start(kind, function)

    @FEW
    @given(st.lists(st.one_of(packets(), packets(), others()), min_size=10, max_size=30))
    def check(frames: list[tuple[int, bytes]]) -> None:
        agrees(bench, function, frames, padding=kind is XdpEngine)

    check()


@pytest.mark.parametrize(
    "rules",
    [RULES, OPEN, RuleSet.generated(10, 1), RuleSet.load(FIXTURES / "rules" / "ten.toml")],
    ids=["default drop", "default allow", "ten", "file"],
)
def test_firewall_decides_as_the_oracle(bench: Bench, start: Start, rules: RuleSet) -> None:
    function = Firewall(rules)
    start(KernelEngine, function)

    @FEW
    @given(st.lists(st.one_of(packets(), packets(), others()), min_size=10, max_size=30))
    def check(frames: list[tuple[int, bytes]]) -> None:
        agrees(bench, function, frames)

    check()


@pytest.mark.parametrize("bench", [True], ids=["rootless"], indirect=True)
@pytest.mark.parametrize("function", [L2Fwd(), L3Fwd(TABLE), Firewall(RULES)], ids=lambda function: function.kind)
def test_without_root_the_kernel_does_the_same(bench: Bench, start: Start, function: Function) -> None:
    engine = start(KernelEngine, function)

    @FEW
    @given(st.lists(packets(), min_size=10, max_size=30))
    def check(frames: list[tuple[int, bytes]]) -> None:
        agrees(bench, function, frames, padding=not isinstance(function, L3Fwd))

    check()
    engine.check()
    assert sum(nic.tx_frames for nic in engine.counters().nics) > 0


@pytest.mark.parametrize("bench", [True], ids=["rootless"], indirect=True)
def test_without_root_xdp_is_missing(bench: Bench) -> None:
    with pytest.raises(CapabilityMissing, match=r"^xdp: bpf\(2\) is refused .*; run as root of the machine"):
        XdpEngine(bench.lab, bench.vnf, L2Fwd()).start()


def test_all_large_frames_pass(bench: Bench, start: Start) -> None:
    start(XdpEngine, L3Fwd(TABLE))
    full = packet(0, "198.18.0.1", "198.19.0.1", b"n" * (MTU - 20))
    agrees(bench, L3Fwd(TABLE), [(0, full)] * 5)


def test_the_firewall_says_how_many_it_dropped_and_why(bench: Bench, start: Start) -> None:
    engine = start(KernelEngine, Firewall(RULES))
    tcp = (0, packet(0, "198.18.0.1", "198.19.0.1", proto=6))
    back = (1, packet(1, "198.18.0.1", "198.19.0.1", proto=6))
    broken = (1, packet(1, "198.18.0.1", "198.19.0.1", version=6))
    agrees(bench, Firewall(RULES), [tcp, tcp, back, back, back, broken])
    told = [(nic.dropped["policy"], nic.dropped["malformed"]) for nic in engine.counters().nics]
    assert told == [(2, 0), (3, 1)]
    assert engine.counters().drops == {}


def test_xdp_says_how_many_it_dropped_and_why(bench: Bench, start: Start) -> None:
    engine = start(XdpEngine, L3Fwd(TABLE))
    assert engine.notes == (), "veth has XDP in its driver"  # type: ignore[union-attr]  # an XdpEngine
    before = engine.counters()
    good = (0, packet(0, "198.18.0.1", "198.19.0.1"))
    late = (0, packet(0, "198.18.0.1", "198.19.0.1", ttl=1))
    lost = (1, packet(1, "198.18.0.1", "192.0.2.1"))
    wrong = (1, packet(1, "198.18.0.1", "198.19.0.1", chksum=1))
    agrees(bench, L3Fwd(TABLE), [good, late, lost, lost, wrong])
    after = engine.counters()
    assert {why: after.drops[why] - before.drops[why] for why in ("ttl", "no_route", "malformed")} == {
        "ttl": 1,
        "no_route": 2,
        "malformed": 1,
    }
    marks = 5 * 2
    passed = [
        (now.rx_frames - then.rx_frames, now.tx_frames - then.tx_frames)
        for then, now in zip(before.nics, after.nics, strict=True)
    ]
    assert (sum(rx for rx, _ in passed), sum(tx for _, tx in passed)) == (5 + marks, 1 + marks)


def test_the_kernels_router_counts_what_it_drops(bench: Bench, start: Start) -> None:
    engine = start(KernelEngine, L3Fwd(TABLE))
    late = (0, packet(0, "198.18.0.1", "198.19.0.1", ttl=1))
    lost = (1, packet(1, "198.18.0.1", "192.0.2.1"))
    broken = (1, packet(1, "198.18.0.1", "198.19.0.1", chksum=1))
    cut = (1, packet(1, "198.18.0.1", "198.19.0.1", len=1400))
    agrees(bench, L3Fwd(TABLE), [late, lost, lost, broken, cut], padding=False)
    drops = engine.counters().drops
    assert (drops["malformed or ttl"], drops["no_route"], drops["other"]) == (3, 2, 0)


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
    print(sum(link.get_nested("IFLA_XDP", "IFLA_XDP_ATTACHED") is not None for link in routes.get_links()))
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
def test_a_function_that_an_engine_has_not(
    bench: Bench, kind: type[Engine], function: Function, known: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"engine {kind.name}: function .*: accepted: {known}$"):
        kind(bench.lab, bench.vnf, function)


@pytest.mark.parametrize("kind", [KernelEngine, XdpEngine])
def test_an_interface_that_is_not_there(bench: Bench, kind: type[Engine]) -> None:
    with pytest.raises(DeploymentError, match=r"no interface nic7 in nfv-.*; there: lo, nic0, nic1"):
        kind(bench.lab, bench.vnf, L2Fwd(), ("nic0", "nic7")).start()


def test_l3fwd_between_other_addresses_is_refused(bench: Bench, needs: Callable[[str], None]) -> None:
    needs("nftables")
    function = L3Fwd(TABLE, addresses=NEIGHBOURS)
    with pytest.raises(ConfigurationError, match=r"accepted: those of the vNICs, .*02:6e:66:00:00:00"):
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
