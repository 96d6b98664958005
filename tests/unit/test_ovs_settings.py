"""Settings of the OVS drivers, and the rules that come of them."""

from __future__ import annotations

import pytest

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.vswitches.ovs_rules import flow_rules, segment_tag
from pytest_nfv.vswitches.ovs_settings import DatapathSettings, VhostSettings
from pytest_nfv.vswitches.protocol import ALONE, Wiring


def test_what_is_not_set_is_as_ovs_has_it() -> None:
    assert DatapathSettings.of("ovs", {}).config() == {"emc-insert-inv-prob": "100", "smc-enable": "false"}


def test_caches_and_limits_become_other_config() -> None:
    read = DatapathSettings.of("ovs", {"emc": "always", "smc": "on", "megaflows": "5000"})
    assert read.config() == {"emc-insert-inv-prob": "1", "smc-enable": "true", "flow-limit": "5000"}
    assert DatapathSettings.of("ovs", {"emc": "off"}).config()["emc-insert-inv-prob"] == "0"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rules": "flood"}, r"ovs: rules 'flood': accepted: 5tuple, normal, port"),
        ({"emc": "yes"}, r"ovs: emc 'yes': accepted: always, off, on"),
        ({"smc": "1"}, r"ovs: smc '1': accepted: off, on"),
        ({"megaflows": "12"}, r"ovs: megaflows '12': accepted: a whole number from 1000 to 10000000"),
        ({"megaflows": "1e6"}, r"ovs: megaflows '1e6'"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_accepted(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        DatapathSettings.of("ovs", settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vhost": "both"}, r"ovs-dpdk: vhost 'both': accepted: client, server"),
        ({"queues": "0"}, r"ovs-dpdk: queues '0': accepted: a whole number from 1 to 16"),
        ({"slots": "1000"}, r"ovs-dpdk: slots 1000: accepted: a power of two"),
        ({"slots": "65536"}, r"ovs-dpdk: slots '65536': accepted: a whole number from 64 to 32768"),
    ],
)
def test_a_wrong_value_of_a_vhost_port_is_named(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        VhostSettings.of("ovs-dpdk", settings)


def test_the_generator_takes_the_other_role() -> None:
    assert VhostSettings.of("x", {}).parameters("/v0") == {"socket": "/v0", "role": "server", "queues": "1"}
    told = VhostSettings.of("x", {"vhost": "server", "queues": "2", "slots": "256"}).parameters("/v0")
    assert told == {"socket": "/v0", "role": "client", "queues": "2", "rx_slots": "256", "tx_slots": "256"}


STATIONS = [f"02:00:00:00:00:{port:02x}" for port in range(4)]


def test_rules_join_the_ports_of_a_pair_both_ways() -> None:
    assert flow_rules("port", ALONE, STATIONS) == (
        "priority=1,in_port=1,actions=output:2",
        "priority=1,in_port=2,actions=output:1",
        "priority=1,in_port=3,actions=output:4",
        "priority=1,in_port=4,actions=output:3",
    )
    assert flow_rules("normal", ALONE, STATIONS[:1]) == ("in_port=1,actions=NORMAL",)
    with pytest.raises(
        ConfigurationError, match=r"rules 'port': segments .* of 3 ports: accepted: each of two ports"
    ):
        flow_rules("port", ALONE, STATIONS[:3])


def test_rules_join_segments() -> None:
    assert flow_rules("port", Wiring(segments=((0, 2), (3, 1))), STATIONS) == (
        "priority=1,in_port=1,actions=output:3",
        "priority=1,in_port=2,actions=output:4",
        "priority=1,in_port=3,actions=output:1",
        "priority=1,in_port=4,actions=output:2",
    )


def test_in_a_larger_segment_the_address_decides() -> None:
    rules = flow_rules("port", Wiring(segments=((0, 2, 3),)), STATIONS)
    assert "priority=1,in_port=1,dl_dst=02:00:00:00:00:02,actions=output:3" in rules
    assert "priority=1,in_port=4,dl_dst=02:00:00:00:00:00,actions=output:1" in rules
    assert len(rules) == 6


def test_segments_of_a_learning_switch_are_vlans() -> None:
    wiring = Wiring(segments=((0, 2), (3, 1)))
    assert [segment_tag("normal", wiring, port) for port in range(4)] == [
        ["tag=1"],
        ["tag=2"],
        ["tag=1"],
        ["tag=2"],
    ]
    assert segment_tag("port", wiring, 1) == segment_tag("normal", ALONE, 1) == []


def test_5tuple_rules_read_every_field_and_fall_back_to_the_port() -> None:
    rules = flow_rules("5tuple", ALONE, STATIONS[:2])
    udp = next(rule for rule in rules if "in_port=1,udp" in rule)
    for field in ("IP_SRC", "IP_DST", "UDP_SRC", "UDP_DST"):
        assert f"NXM_OF_{field}[]" in udp
    assert udp.endswith("output:2")
    assert "priority=1,in_port=1,actions=output:2" in rules
