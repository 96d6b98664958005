"""What do several pairs of applications get out of one virtual switch? Paper: T20 T4 (figures 4e to 4h)."""

from __future__ import annotations

import pytest

from perf_tests.t20 import Case, cases
from pytest_nfv import P2P, Deploy, Mpps, VSwitch

PAIRS = (1, 2, 4)
CASES = cases(Case("throughput", "linux-bridge", 64, 20 * Mpps, 32), sizes=(64, 1500), pairs=PAIRS)


@pytest.mark.throughput
@pytest.mark.parametrize(("vswitch", "case"), [pytest.param(one.vswitch, one, id=str(one)) for one in CASES])
def test_vswitch_scalability(deploy: Deploy, vswitch: VSwitch, case: Case) -> None:
    """1, 2 and 4 pairs beside each other, each offered as much as the generator can.

    Steps:
        Put the switch between 2, 4 and 8 generator ports, each first of a pair sending to its second.

    Verify:
        Every pair gets frames through, none changed and none twice. The rate is each pair's (the worst one's); how
        it falls with the number of pairs is recorded, the paper's per-frame drop beside it in its docs.
    """
    traffic = deploy(P2P(vswitch, pairs=case.pairs))
    found = traffic.forwarding_rate(case.rate, frame_size=case.frame_size, burst=case.burst, rewrite=True)
    for trial in found.trials:
        assert len(trial.flows) == case.pairs
        assert all(flow.received > 0 for flow in trial.flows)
        assert all((flow.corrupted, flow.duplicated) == (0, 0) for flow in trial.flows)
