"""Which engine carries a VNF out, by what the switch's ports are."""

from __future__ import annotations

import pytest

from pytest_nfv.deployment.engines import ACCEPTED, chosen
from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.nf import L2Fwd
from pytest_nfv.model.vnf import ENGINES, HOSTS, VNF

# What a switch's ports are, where the VNF runs, what is asked for: what carries it out, or None where nothing can.
CHOICES = [
    ("veth", "namespace", "auto", "kernel"),
    ("veth", "lxc", "auto", "kernel"),
    ("veth", "namespace", "xdp", "xdp"),
    ("veth", "lxc", "testpmd", "testpmd"),
    ("veth", "vm", "auto", "kernel"),
    ("veth", "vm", "kernel", "kernel"),
    ("vhost_user", "namespace", "auto", "numpy"),
    ("vhost_user", "lxc", "testpmd", "testpmd"),
    ("vhost_user", "vm", "auto", "kernel"),
    ("vhost_user", "namespace", "kernel", None),
    ("vhost_user", "lxc", "xdp", None),
    ("memif", "namespace", "auto", "numpy"),
    ("memif", "namespace", "testpmd", None),
    ("memif", "vm", "auto", None),
    ("memif", "vm", "kernel", None),
]


@pytest.mark.parametrize(("joins", "host", "asked", "engine"), CHOICES)
def test_the_engine_is_chosen_for_what_the_ports_are(
    joins: str, host: str, asked: str, engine: str | None
) -> None:
    vnf = VNF(L2Fwd(), engine=asked, host=host)
    if engine is None:
        with pytest.raises(ConfigurationError) as raised:
            chosen(vnf, joins, "the switch")
        assert f"VNF(engine={asked!r}, host={host!r}) on the switch: accepted: " in str(raised.value)
        return
    assert chosen(vnf, joins, "the switch") == VNF(L2Fwd(), engine=engine, host=host)


@pytest.mark.parametrize("joins", ACCEPTED)
@pytest.mark.parametrize("engine", [one for one in ENGINES if one != "auto"])
@pytest.mark.parametrize("host", [one for one in HOSTS if one != "vm"])
def test_what_the_message_accepts_is_accepted_and_nothing_else(joins: str, engine: str, host: str) -> None:
    vnf = VNF(L2Fwd(), engine=engine, host=host)
    if engine in ACCEPTED[joins]:
        assert chosen(vnf, joins, "s") == vnf
        return
    with pytest.raises(ConfigurationError, match=f"accepted: {', '.join(ACCEPTED[joins])}$"):
        chosen(vnf, joins, "s")


def test_every_kind_of_port_has_an_engine_by_default() -> None:
    assert all(set(engines) <= set(ENGINES) for engines in ACCEPTED.values())
    assert {joins: chosen(VNF(L2Fwd()), joins, "s").engine for joins in ACCEPTED} == {
        "veth": "kernel",
        "vhost_user": "numpy",
        "memif": "numpy",
    }
