"""What does a chain of VNFs forward? Paper: S16 S5 (figure 5)."""

from __future__ import annotations

import pytest

from perf_tests import shapes
from perf_tests.s16 import CHAINS, FLOOD, SIZES, asked_again, chain, rates_pps
from pytest_nfv import Chain, Deploy, VSwitch


@pytest.mark.throughput
@pytest.mark.parametrize("frame_size", SIZES)
@pytest.mark.parametrize("name", CHAINS)
def test_chain(deploy: Deploy, vswitch: VSwitch, vnf_host: str, name: str, frame_size: int) -> None:
    """Chains of one, two and three VNFs, frames of 64 to 1500 B.

    Steps:
        Put the chain between two ports of the switch, each VNF behind the other; offer as much as the generator
        can.

    Verify:
        Frames arrive as the chain makes them, none changed otherwise and none twice; the rate is recorded.
    """
    found = deploy(Chain(vswitch, chain(name, vnf_host))).forwarding_rate(FLOOD, frame_size=frame_size)
    for trial in found.trials:
        assert trial.received > 0
        assert all((flow.corrupted, flow.duplicated) == (0, 0) for flow in trial.flows)


@pytest.mark.throughput
def test_a_longer_chain_is_no_faster(deploy: Deploy, vswitch: VSwitch, vnf_host: str) -> None:
    """The paper's finding: throughput falls with the length of the chain.

    Steps:
        Measure the shortest and the longest at 64 B, one after the other; again where the longest was the faster.

    Verify:
        The median of all trials of three VNFs is not above that of one.
    """
    shortest, *_, longest = CHAINS
    rates: dict[str, list[float]] = {shortest: [], longest: []}

    def question() -> str:
        for name, measured in rates.items():
            traffic = deploy(Chain(vswitch, chain(name, vnf_host)))
            measured += rates_pps(traffic.forwarding_rate(FLOOD, frame_size=64))
        return shapes.no_faster(rates[shortest], rates[longest])

    assert asked_again(question) == ""
