"""How many flows does a switch bear? OVS keeps an exact-match cache of 8,192 flows and a flow table behind it."""

from __future__ import annotations

import pytest

from pytest_nfv import P2P, Deploy, Mpps, VSwitch

FLOWS = (1, 100, 10_000, 100_000, 1_000_000)


@pytest.mark.throughput
@pytest.mark.parametrize("flows", FLOWS)
def test_flow_count(deploy: Deploy, vswitch: VSwitch, flows: int) -> None:
    """The forwarding rate with 1 to 1,000,000 5-tuples, 64 B.

    Steps:
        Put the switch between two generator ports; offer 20 Mpps, or as much as the generator can, whose frames
        cycle through so many 5-tuples.

    Verify:
        Frames arrive, none changed and none twice. The rate is recorded: where it falls, a cache overflows.
    """
    found = deploy(P2P(vswitch)).forwarding_rate(20 * Mpps, frame_size=64, flows=flows)
    for trial in found.trials:
        assert trial.received > 0
        assert all((flow.corrupted, flow.duplicated) == (0, 0) for flow in trial.flows)


@pytest.mark.throughput
@pytest.mark.parametrize(
    "vswitch", [VSwitch(name, (("rules", "5tuple"),)) for name in ("ovs", "ovs-dpdk")], ids=str
)
def test_the_flow_cache_has_a_cliff(deploy: Deploy, vswitch: VSwitch) -> None:
    """OVS with rules that look at the whole 5-tuple: each tuple is a megaflow of its own.

    Steps:
        Measure as above, with one flow and with far more than OVS caches.

    Verify:
        With a million flows less is forwarded than with one.
    """
    traffic = deploy(P2P(vswitch))
    one = traffic.forwarding_rate(20 * Mpps, frame_size=64, flows=1)
    many = traffic.forwarding_rate(20 * Mpps, frame_size=64, flows=1_000_000)
    assert many.rate < one.rate
