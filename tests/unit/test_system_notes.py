from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_nfv.deployment.deploy import Deployment
from pytest_nfv.deployment.plan import place
from pytest_nfv.deployment.system import DeployedSystem
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.testbed import built_in
from pytest_nfv.model.topology import P2P, VSwitch
from pytest_nfv.units import Frequency, GHz


def notes(parameters: Mapping[str, str], frequency: Frequency | None = None) -> tuple[str, ...]:
    ports = [PortSpec("vhost_user", f"02::{port}", parameters=parameters) for port in (0, 1)]
    placement = place(P2P(VSwitch("ovs-dpdk")), built_in()["local"], [0, 1])
    made: Any = SimpleNamespace(
        placement=placement,
        version="1",
        notes=("no huge pages",),
        ports=ports,
        proven=True,
        frequency=frequency,
    )
    return DeployedSystem(cast(Deployment, made)).notes


@pytest.mark.parametrize("parameters", [{}, {"queues": "1"}])
def test_a_port_of_one_queue_keeps_the_order_and_needs_no_note(parameters: dict[str, str]) -> None:
    assert notes(parameters) == ("no huge pages",)


def test_several_queues_are_named_as_what_makes_frames_overtake_each_other() -> None:
    said = "frames of different 5-tuples may overtake each other, and are told as reordered"
    assert notes({"queues": "4"})[1:] == (f"4 queues a port: {said}",)


def test_a_clock_that_is_held_is_named() -> None:
    assert notes({}, 1.2 * GHz)[-1] == "device cores held at 1.2 GHz"
