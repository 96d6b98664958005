from __future__ import annotations

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
        ({"rules": "port"}, "rules"),
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


def test_pairs_of_texts_are_taken() -> None:
    assert VSwitch("ovs-dpdk", (("slots", "128"), ("emc", "off"))).settings[0] == ("slots", "128")
