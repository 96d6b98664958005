"""What do VNFs beside each other forward together? Paper: S16 S7 (figure 8)."""

from __future__ import annotations

import pytest

from perf_tests.s16 import FLOOD, L3FWD
from pytest_nfv import PVP, VNF, Colocated, Deploy, VSwitch


@pytest.mark.throughput
@pytest.mark.parametrize("frame_size", [64, 1500])
@pytest.mark.parametrize("pairs", [1, 2, 3])
def test_colocation(deploy: Deploy, vswitch: VSwitch, vnf_host: str, pairs: int, frame_size: int) -> None:
    """One, two and three pairs of generator ports, each with an L3Fwd of its own.

    Steps:
        Put them on one switch; offer each as much as the generator can.

    Verify:
        Frames arrive at each pair, none of another's. The rate is each pair's (the worst one's); the paper finds
        that the sum is linear in the number of pairs, with cores of their own.
    """
    traffic = deploy(Colocated(PVP(vswitch, VNF(L3FWD, host=vnf_host)), pairs))
    found = traffic.forwarding_rate(FLOOD, frame_size=frame_size)
    for trial in found.trials:
        assert len(trial.flows) == pairs
        assert all(flow.received > 0 for flow in trial.flows)
        assert all((flow.corrupted, flow.duplicated, flow.foreign) == (0, 0, 0) for flow in trial.flows)
