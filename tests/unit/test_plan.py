"""Placement: device and generator never share a core, and what cannot be placed is said at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_nfv.deployment.plan import place
from pytest_nfv.errors import CapabilityMissing, ConfigurationError
from pytest_nfv.model.chain import PVP
from pytest_nfv.model.nf import L2Fwd
from pytest_nfv.model.testbed import built_in
from pytest_nfv.model.topology import P2P, VSwitch
from pytest_nfv.model.vnf import VNF

LOCAL = built_in()["local"]
TOPOLOGY = P2P(VSwitch("linux-bridge"))


@pytest.mark.parametrize("cores", [(0, 1), (2, 5), (0, 1, 2, 3)])
def test_device_and_generator_get_cores_of_their_own(cores: tuple[int, ...]) -> None:
    placement = place(TOPOLOGY, LOCAL, cores)
    assert placement.generator_core in cores
    assert set(placement.device_cores) <= set(cores) - {placement.generator_core}


def test_one_core_is_too_few() -> None:
    with pytest.raises(CapabilityMissing, match="must not share") as raised:
        place(TOPOLOGY, LOCAL, [3])
    assert raised.value.capability == "two-cores"
    assert "second core" in raised.value.remedy


def test_the_testbeds_cores_are_taken() -> None:
    placement = place(TOPOLOGY, replace(LOCAL, device_cores=(1,), generator_cores=(0,)), [0, 1])
    assert (placement.device_cores, placement.generator_core) == ((1,), 0)


def test_device_cores_alone_leave_the_generator_another() -> None:
    assert place(TOPOLOGY, replace(LOCAL, device_cores=(1,)), [0, 1]).generator_core == 0


def test_a_core_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"names core 9; accepted: 0, 1"):
        place(TOPOLOGY, replace(LOCAL, generator_cores=(9,)), [0, 1])


def test_the_plan_says_what_goes_where() -> None:
    text = "\n".join(place(TOPOLOGY, LOCAL, [0, 1]).lines())
    assert "P2P(linux-bridge) on testbed local" in text
    assert "generator on core 1" in text


def test_both_cores_of_the_generator_are_left_to_it() -> None:
    testbed = replace(built_in()["local"], generator_cores=(2, 3))
    found = place(PVP("linux-bridge", VNF(L2Fwd())), testbed, [0, 1, 2, 3], dict.fromkeys(range(4), 0))
    assert not {2, 3} & set(found.device_cores)
