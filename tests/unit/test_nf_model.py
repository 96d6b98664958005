"""Network functions, route tables and rule sets as values: what is accepted, and what is said of the rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.nf import Firewall, Function, L2Fwd, L3Fwd, Own, Signature, from_json, to_json
from pytest_nfv.model.routes import Route, RouteTable
from pytest_nfv.model.rules import ANY_PORT, Rule, RuleSet
from tests.unit.nf_frames import ADDRESSES, route_tables

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.mark.parametrize("function", [L2Fwd(), L3Fwd(), Firewall(), Signature(), Own("a.b:c", "/x")])
def test_a_function_goes_over_json_lines_unchanged(function: Function) -> None:
    assert from_json(json.loads(json.dumps(to_json(function)))) == function


def test_equal_functions_share_a_deployment() -> None:
    assert len({L3Fwd(10, seed=3), L3Fwd(10, seed=3), L3Fwd(RouteTable.generated(10, 3))}) == 1
    assert L3Fwd(10, seed=3) != L3Fwd(10, seed=4)
    assert Firewall(10, seed=3) == Firewall(RuleSet.generated(10, 3))


def test_a_router_is_placed_between_stations() -> None:
    placed = L3Fwd().at(("02:00:00:00:00:0A", "02:00:00:00:00:0b"), ("02:00:00:00:00:0c", "02:00:00:00:00:0d"))
    assert placed.addresses == ("02:00:00:00:00:0a", "02:00:00:00:00:0b")
    assert placed.routes == L3Fwd().routes
    assert placed != L3Fwd()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [2, 3, 10, 500])
def test_generated_routes_carry_the_test_traffic(count: int, seed: int) -> None:
    table = RouteTable.generated(count, seed)
    assert len(table.routes) == count
    for number in range(0, 50_000, 997):  # as trafgen/tuples.py counts them
        for nic, network in enumerate(("198.18.0.1", "198.19.0.1")):
            route = table.lookup(IPv4Address(network) + number)
            assert route is not None
            assert route.nic == nic


@pytest.mark.parametrize("count", [1, 2, 10, 200])
def test_generated_rules_allow_the_test_traffic_by_the_last(count: int) -> None:
    rules = RuleSet.generated(count, 1)
    fitting = [
        number
        for number, rule in enumerate(rules.rules)
        if rule.matches(IPv4Address("198.18.0.1"), IPv4Address("198.19.0.1"), 17, (0xC020, 7))
    ]
    assert fitting == [count - 1]
    assert rules.rules[-1].action == "allow"


@settings(max_examples=100, deadline=None)
@given(route_tables(), ADDRESSES)
def test_the_longest_prefix_decides(table: RouteTable, number: int) -> None:
    route, held = table.lookup(IPv4Address(number)), [one for one in table.routes if _holds(one, number)]
    assert (route is None) == (not held)
    if route is not None:
        assert _holds(route, number)
        assert all(one.prefix.supernet_of(route.prefix) for one in held)


def _holds(route: Route, number: int) -> bool:
    return int(route.prefix.network_address) <= number <= int(route.prefix.broadcast_address)


def test_the_fixtures_can_be_read() -> None:
    routes = RouteTable.load(FIXTURES / "routes" / "ten.toml")
    rules = RuleSet.load(FIXTURES / "rules" / "ten.toml")
    assert (len(routes.routes), len(rules.rules)) == (10, 10)
    assert rules.rules[6] == Rule("drop", protocol=6, destination_ports=(135, 139))
    found = routes.lookup(IPv4Address("192.168.7.200"))
    assert found is not None
    assert found.prefix == IPv4Network("192.168.7.128/25")


ROUTE_FILES = [
    ("[[route]]\nprefix = '10.0.0.1/8'\nnic = 0\n", ["line 2", "10.0.0.1/8", "198.18.0.0/16"]),
    ("[[route]]\nprefix = '10.0.0.0/8'\nnic = 2\n", ["line 3", "2", "vNIC 0 or 1"]),
    ("[[route]]\nnic = 0\n", ["line 1", "prefix is missing"]),
    ("[[route]]\nprefix = 7\nnic = 0\n", ["line 2", "7 is not a text"]),
    ("[[route]]\nprefix = '::/0'\nnic = 0\n", ["line 2", "::/0"]),
    ("[[route]]\nprefix = '10.0.0.0/8'\nnic = 0\nnext_hop = 'ff:ff:ff:ff:ff:ff'\n", ["line 4", "station"]),
    ("[[route]]\nprefix = '10.0.0.0/8'\nnic = 0\nhop = ''\n", ["line 4", "'hop'", "next_hop, nic, prefix"]),
    (
        "# two\n[[route]]\nprefix = '10.0.0.0/8'\nnic = 0\n\n[[route]]\nprefix = '10.0.0.0/8'\nnic = 1\n",
        ["line 6", "overlap", "10.0.0.0/8", "line 2"],
    ),
    ("", ["at least one table [[route]]"]),
    ("route = 7", ["at least one table [[route]]"]),
    ("[[route", ["not TOML"]),
]
RULE_FILES = [
    (
        "[[rule]]\naction = 'allow'\nprotocol = 'tcp'\ndestination_ports = 70000\n",
        ["line 4", "70000", "0 to 65535"],
    ),
    ("[[rule]]\naction = 'allow'\nsource_ports = '9-7'\n", ["line 3", "9-7", "the lower first"]),
    ("[[rule]]\naction = 'allow'\nsource_ports = 'web'\n", ["line 3", "web"]),
    ("[[rule]]\naction = 'allow'\nprotocol = 'icmp'\nsource_ports = 7\n", ["line 1", "protocol 1", "tcp, udp"]),
    ("[[rule]]\naction = 'reject'\n", ["line 2", "reject", "allow, drop"]),
    ("default = 'maybe'\n[[rule]]\naction = 'drop'\n", ["line 1", "maybe", "allow, drop"]),
    ("[[rule]]\naction = 'drop'\nprotocol = 256\n", ["line 3", "256", "0 to 255"]),
    ("[[rule]]\nsource = '10.0.0.0/8'\n", ["line 1", "action is missing"]),
]


@pytest.mark.parametrize(("text", "parts"), ROUTE_FILES)
def test_what_is_wrong_in_a_route_file_is_named(tmp_path: Path, text: str, parts: list[str]) -> None:
    _check_refused(tmp_path / "routes.toml", text, parts, RouteTable.load)


@pytest.mark.parametrize(("text", "parts"), RULE_FILES)
def test_what_is_wrong_in_a_rule_file_is_named(tmp_path: Path, text: str, parts: list[str]) -> None:
    _check_refused(tmp_path / "rules.toml", text, parts, RuleSet.load)


def _check_refused(path: Path, text: str, parts: list[str], load: Callable[[Path], object]) -> None:
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    for part in [str(path), *parts]:
        assert part in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        RouteTable.load(tmp_path / "none.toml")


def test_what_is_wrong_in_a_value_is_named() -> None:
    with pytest.raises(ConfigurationError, match="routes=1: accepted: 2 to 10,000"):
        L3Fwd(1)
    with pytest.raises(ConfigurationError, match="rules=0: accepted: 1 to 1,024"):
        Firewall(0)
    with pytest.raises(ConfigurationError, match=r"overlap.*10\.0\.0\.0/8.*vNIC 0.*vNIC 1"):
        RouteTable((Route.of("10.0.0.0/8", 0), Route.of("10.0.0.0/8", 1)))
    with pytest.raises(ConfigurationError, match="0 routes"):
        RouteTable(())
    with pytest.raises(ConfigurationError, match=r"port \(0, 65536\)"):
        Rule("allow", destination_ports=(0, 65536))
    with pytest.raises(ConfigurationError, match="station's MAC"):
        L3Fwd(addresses=("02:00:00:00:00:01", "router"))
    with pytest.raises(ConfigurationError, match="module:name"):
        Own("module")
    with pytest.raises(ConfigurationError, match="network function 'l4fwd': accepted: l2fwd"):
        from_json({"kind": "l4fwd"})
    with pytest.raises(ConfigurationError, match="cannot be read"):
        from_json({"kind": "l3fwd", "routes": 7})


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_ports_are_read_in_any_form(one: int, other: int) -> None:
    first, last = sorted((one, other))
    forms: list[object] = [f"{first}-{last}", (first, last), [first, last]]
    assert {Rule.to("drop", destination_ports=form).destination_ports for form in forms} == {(first, last)}
    assert Rule.to("drop", source_ports=first).source_ports == (first, first)
    assert Rule.to("drop", source_ports="any").source_ports == ANY_PORT
