"""What does a chain of VNFs forward? Paper: S16 S5 (figure 5)."""

from __future__ import annotations

import pytest

from perf_tests.s16 import CHAINS, FLOOD, SIZES, chain
from pytest_nfv import Chain, Deploy, VSwitch

ROUNDS = 3
"""A round that something else on the machine spoilt may say anything: so many must agree before it is believed."""


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
        Not every round has all trials of three VNFs above all of those of one.
    """

    def rates(name: str) -> list[float]:
        found = deploy(Chain(vswitch, chain(name, vnf_host))).forwarding_rate(FLOOD, frame_size=64)
        return [trial.forwarded_pps for trial in found.trials if trial.valid]

    shortest, *_, longest = CHAINS
    rounds: list[tuple[float, float]] = []
    while len(rounds) < ROUNDS and all(three > one for one, three in rounds):
        rounds.append((max(rates(shortest)), min(rates(longest))))
    one, three = rounds[-1]
    assert three <= one, f"fastest with one VNF, slowest with three, pps: {rounds}"
