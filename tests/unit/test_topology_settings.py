from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import pytest

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.topology import VSwitch


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ((("slots", 128),), "128"),
        ((("emc",),), "emc"),
        ("rules=port", "rules=port"),
        ({"slots": 128}, "128"),
        ({1: "port"}, "1"),
        (["rules", "port"], "rules"),
        ([("rules", "port")], "rules"),
        ((("rules", "port"), ("rules", "normal")), "each key once"),
    ],
)
def test_settings_that_are_no_pairs_of_texts_are_refused_when_the_switch_is_declared(
    settings: Any, named: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"VSwitch\('ovs-dpdk'\) settings .*accepted") as caught:
        VSwitch("ovs-dpdk", settings)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [(("slots", "128"), ("emc", "off")), {"slots": "128", "emc": "off"}, {"emc": "off", "slots": "128"}],
)
def test_a_mapping_and_pairs_in_any_order_are_the_same_switch(settings: Any) -> None:
    switch = VSwitch("ovs-dpdk", settings)
    assert switch.settings == (("emc", "off"), ("slots", "128"))
    assert {switch} == {VSwitch("ovs-dpdk", (("emc", "off"), ("slots", "128")))}
    assert repr(switch) == "VSwitch('ovs-dpdk', {'emc': 'off', 'slots': '128'})"


def test_a_switch_may_be_copied_and_sent_elsewhere() -> None:
    switch = VSwitch("ovs-dpdk", {"emc": "off"})
    assert replace(switch, name="ovs") == VSwitch("ovs", (("emc", "off"),))
    assert pickle.loads(pickle.dumps(switch)) == switch


def test_a_switch_has_a_name() -> None:
    with pytest.raises(ConfigurationError, match="a vSwitch needs a name"):
        VSwitch("", {})
