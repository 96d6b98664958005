"""Requests that cannot be carried out are named for what is wrong with them."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.offer import FlowOffer, Offer
from pytest_nfv.model.trial import Direction
from pytest_nfv.trafgen.messages import parse, read_offer, read_ports

GOOD = Offer((FlowOffer(0, Direction(0, 1), 1e5, 100, "00" * 60),))


def changed(**fields: Any) -> dict[str, Any]:
    data = copy.deepcopy(GOOD.to_json())
    for name, value in fields.items():
        if name in data:
            data[name] = value
        else:
            data["flows"][0][name] = value
    return {"offer": json.loads(json.dumps(data))}


def test_what_was_written_is_read() -> None:
    assert read_offer(changed(), 2) == GOOD


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "is not JSON"),
        ("nonsense", "request 'nonsense' is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("3", "accepted: a JSON object"),
        ("{}", "request op None: accepted: open, learn, floor, offer, finish, abort, close"),
        ('{"op": ["open"]}', r"request op ['open']: accepted: open"),
    ],
)
def test_lines_that_are_no_request(line: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(why)):
        parse(line)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"flows": []}, "it has no flow"),
        ({"flows": 3}, "offer cannot be read"),
        ({"flows": [{}]}, "offer cannot be read"),
        ({"flow": -1}, "flow -1: accepted: 0 to 65534"),
        ({"flow": 65535}, "flow 65535: accepted: 0 to 65534"),
        ({"direction": {"tx": 0, "rx": 2}}, "direction 0>2: 2 ports are open"),
        ({"direction": {"tx": -1, "rx": 1}}, "direction -1>1"),
        ({"rate_pps": 0}, "rate_pps 0: accepted: above 0"),
        ({"rate_pps": float("nan")}, "rate_pps nan"),
        ({"frames": 1.5}, "frames 1.5: accepted: a whole number from 1 on"),
        ({"frames": 0}, "frames 0"),
        ({"template": "00" * 59}, "template of 59 octets: accepted: 60 and more"),
        ({"template": "zz"}, "template is not hex"),
        ({"template": "00 " * 60}, "without FCS and blanks"),
        ({"burst": -1}, "burst -1"),
        ({"latency_every": 1.0}, "latency_every 1.0"),
        ({"settle_s": "2"}, "settle_s '2'"),
        ({"quiet_s": float("inf")}, "quiet_s inf"),
        ({"colour": "red"}, "offer cannot be read"),
    ],
)
def test_offers_that_cannot_be_used(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(why)):
        read_offer(changed(**fields), 2)


def test_flow_numbers_occur_once() -> None:
    twice = {"offer": {**GOOD.to_json(), "flows": GOOD.to_json()["flows"] * 2}}
    with pytest.raises(ConfigurationError, match=r"flow numbers \[0, 0\]: accepted: each once"):
        read_offer(twice, 2)


@pytest.mark.parametrize(
    ("ports", "why"),
    [
        (None, "accepted: a list of at least one port"),
        ([], "accepted: a list of at least one port"),
        (["g0"], "ports:"),
        ([{"kind": "af_packet"}], "ports:"),
        ([{"kind": 1, "address": ""}], "accepted: kind, address: texts"),
        ([{"kind": "a", "address": "b", "mtu": 0}], "port mtu 0: accepted: a whole number from 46 on"),
        ([{"kind": "a", "address": "b", "parameters": {"interface": 3}}], "accepted: texts"),
        ([{"kind": "a", "address": "b", "parameters": {"interface": "a\0"}}], "accepted: texts"),
    ],
)
def test_ports_that_cannot_be_opened(ports: Any, why: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(why)):
        read_ports({"ports": ports})
