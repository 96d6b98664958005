"""What a guest's kernel is told for each network function."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from pytest_nfv.errors import ConfigurationError, DeploymentError
from pytest_nfv.model.nf import Firewall, L2Fwd, L3Fwd, Signature
from pytest_nfv.model.routes import Route, RouteTable
from pytest_nfv.model.rules import Rule, RuleSet
from pytest_nfv.vnfs.kernel_rules import COUNTERS, FIRST_COUNTERS, firewall
from pytest_nfv.vnfs.vm_drops import asked, drops, firewall_drops
from pytest_nfv.vnfs.vm_napi import listed, pinned
from pytest_nfv.vnfs.vm_steps import not_ready, parted, space, steps

HOP = "02:00:00:00:00:09"


def test_forwarding_is_a_bridge_that_learns_nothing() -> None:
    (step,) = steps(L2Fwd(), 1400)
    assert step.argv == ("ip", "-batch", "-")
    lines = step.stdin.splitlines()
    assert lines[0].startswith("link add br0 type bridge stp_state 0")
    for nic in ("nic0", "nic1"):
        assert f"link set {nic} mtu 1400 master br0" in lines
        assert f"link set {nic} type bridge_slave learning off flood on mcast_flood on bcast_flood on" in lines


def test_a_router_has_its_routes_and_stations_and_says_nothing_of_its_own() -> None:
    table = RouteTable(
        (Route.of("198.18.0.0/16", 0), Route.of("198.19.0.0/16", 1, HOP), Route.of("0.0.0.0/0", 1, HOP))
    )
    function = L3Fwd(table)
    *settings, nft, ip = steps(function, 1500)
    assert ("sysctl", "-w", "net.ipv4.ip_forward=1") in [step.argv for step in settings]
    assert "type filter hook output priority 0; policy drop" in nft.stdin
    assert "hook ingress devices = { nic0, nic1 } priority 0" in nft.stdin
    lines = ip.stdin.splitlines()
    assert f"link set nic0 mtu 1500 address {function.addresses[0]} promisc on" in lines
    assert [line for line in lines if line.startswith(("neighbour", "route"))] == [
        f"neighbour replace 100.64.0.0 lladdr {function.neighbours[0]} nud permanent dev nic0",
        f"neighbour replace 100.64.0.1 lladdr {HOP} nud permanent dev nic1",
        "route replace 198.18.0.0/16 via 100.64.0.0 dev nic0 onlink",
        "route replace 198.19.0.0/16 via 100.64.0.1 dev nic1 onlink",
        "route replace 0.0.0.0/0 via 100.64.0.1 dev nic1 onlink",
    ]


def test_every_next_hop_has_an_address_of_its_own() -> None:
    routes = tuple(
        Route.of(f"10.{n >> 8}.{n & 255}.0/24", n % 2, f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}")
        for n in range(600)
    )
    lines = steps(L3Fwd(RouteTable(routes)), 1500)[-1].stdin.splitlines()
    hops = [line.split()[2] for line in lines if line.startswith("neighbour")]
    assert len(set(hops)) == 600
    assert hops[-1] == "100.64.2.87"


def test_the_rules_are_there_before_the_way_through() -> None:
    function = Firewall(3)
    nft, ip = steps(function, 1500)
    assert nft.stdin == firewall(function.rules)
    assert nft.argv == ("nft", "-f", "-")
    assert "link add br0" in ip.stdin


def test_what_the_kernel_cannot_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'signature' by the kernel: accepted: l2fwd, l3fwd, firewall"):
        steps(Signature(), 1500)


def test_drops_are_read_as_nft_prints_them() -> None:
    function = Firewall(RuleSet((Rule("allow"),)))
    names = [{"counter": {"name": name, "packets": 12, "bytes": 720}} for name in COUNTERS.values()]
    assert drops(function, json.dumps({"nftables": [{"metainfo": {}}, *names]})) == {"policy": 12, "malformed": 12}
    step = asked(function)
    assert step is not None
    assert step.argv[-2:] == ("bridge", "nfv")
    for nonsense in ("", "[]", '{"nftables": [{"counter": {}}]}'):
        with pytest.raises(DeploymentError, match="drops cannot be read"):
            drops(function, nonsense)


def test_a_firewalls_drops_are_told_by_the_vnic_that_frames_came_in_by() -> None:
    counted = dict(zip((*COUNTERS.values(), *FIRST_COUNTERS.values()), (12, 5, 8, 5), strict=True))
    said = json.dumps({"nftables": [{"counter": {"name": name, "packets": n}} for name, n in counted.items()]})
    assert firewall_drops(said) == ({"policy": 8, "malformed": 5}, {"policy": 4, "malformed": 0})
    with pytest.raises(DeploymentError, match="drops cannot be read"):
        firewall_drops("[]")


def test_a_routers_drops_are_read_from_its_snmp_counters() -> None:
    names = "InHdrErrors InAddrErrors InDiscards OutNoRoutes"
    said = f"Ip: {names}\nIp: 1 2 4 8\nTcp: a\nTcp: 1\nIpExt: InNoRoutes InTruncatedPkts\nIpExt: 16 32\n"
    function = L3Fwd(RouteTable((Route.of("198.18.0.0/16", 0),)))
    assert drops(function, said) == {"malformed or ttl": 33, "no_route": 16, "other": 14}
    assert asked(L2Fwd()) is None
    with pytest.raises(DeploymentError, match="drops cannot be read"):
        drops(function, "Ip: a\n")


def test_a_vnic_is_waited_for_until_its_bridge_forwards() -> None:
    def said(*links: tuple[str, str]) -> str:
        return json.dumps(
            [
                {"ifname": f"nic{n}", "operstate": state, "linkinfo": {"info_slave_data": {"state": port}}}
                for n, (state, port) in enumerate(links)
            ]
        )

    assert not_ready(said(("UP", "forwarding"), ("UP", "forwarding"))) == []
    waiting = not_ready(said(("DOWN", "disabled"), ("UP", "disabled")))
    assert waiting == ["nic0 is down", "nic1 is disabled in its bridge"]
    assert not_ready(json.dumps([{"ifname": f"nic{n}", "operstate": "UP"} for n in (0, 1)])) == []
    for nonsense in ("", "[]", "[1]", '[{"ifname": "nic0"}]'):
        with pytest.raises(DeploymentError, match="links cannot be read"):
            not_ready(nonsense)


def test_each_pair_of_vnics_has_a_namespace_and_two_vnics_in_it() -> None:
    assert parted(2).splitlines() == [
        "netns add pair0",
        "link set nic0 netns pair0 name nic0",
        "link set nic1 netns pair0 name nic1",
        "netns add pair1",
        "link set nic2 netns pair1 name nic0",
        "link set nic3 netns pair1 name nic1",
    ]
    assert space(1) == ("ip", "netns", "exec", "pair1")


def said(*queues: int) -> str:
    """Return the threads of vNICs with so many queues each, as a guest says them: the last comes first."""
    lines = []
    for nic, number in enumerate(queues):
        for queue in range(number):
            process = 100 * (nic + 1) + 2 * queue
            lines.append(f"napi/nic{nic}-{9999 + process + queue} /proc/{process}/comm")
            lines.append(f"napi/nic{nic}-0 /proc/{process + 1}/comm")
    return "".join(f"{line}\n" for line in reversed(lines))


@pytest.mark.parametrize(
    ("queues", "vcpus", "masks"),
    [
        ((1, 1, 1, 1, 1, 1), 2, {100: 1, 200: 1, 300: 2, 400: 2, 500: 1, 600: 1}),  # pairs take turns
        ((2, 2), 2, {100: 1, 102: 2, 200: 1, 202: 2}),  # queues do
        ((2, 2, 2, 2), 4, {100: 1, 102: 2, 200: 1, 202: 2, 300: 4, 302: 8, 400: 4, 402: 8}),
        ((2, 2, 2, 2), 2, {100: 1, 102: 2, 200: 1, 202: 2, 300: 1, 302: 2, 400: 1, 402: 2}),
    ],
)
def test_pairs_and_queues_take_virtual_processors_round_robin(
    queues: tuple[int, ...], vcpus: int, masks: dict[int, int]
) -> None:
    found = re.findall(r"taskset -p (\w+) (\d+) ", pinned(said(*queues), queues, vcpus))
    placed = {int(process): int(mask, 16) for mask, process in found}
    assert {process: mask for process, mask in placed.items() if process % 2 == 0} == masks
    assert len(placed) == 2 * sum(queues)
    assert placed[101] == 1  # what only tidies up is with the first


def test_threads_that_are_not_there_are_an_error() -> None:
    with pytest.raises(DeploymentError, match="nic1 has 1 receiving threads of 2"):
        pinned(said(2, 1), (2, 2), 2)
    for nonsense in ("napi/nicX-1 /proc/1/comm", "napi/nic0-1", "napi/nic7-1 /proc/1/comm"):
        with pytest.raises(DeploymentError, match="threads cannot be read"):
            pinned(nonsense, (1, 1), 2)


def test_threads_are_made_and_named_by_a_shell() -> None:
    assert subprocess.run(["sh", "-n"], input=listed(2), text=True, check=False).returncode == 0
    assert [line for line in listed(2).splitlines() if "threaded" in line] == [
        f"echo 1 >/sys/class/net/nic{nic}/threaded || exit 1" for nic in (0, 1)
    ]
