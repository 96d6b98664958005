"""What does a virtual switch forward at an offered load? Paper: T20 T2 (figures 4a to 4c)."""

from __future__ import annotations

import pytest

from perf_tests.t20 import SIZES, Case, cases
from pytest_nfv import P2P, Deploy, Mpps, VSwitch

RATES = [rate * Mpps for rate in (1, 5, 10, 20)]
CASES = cases(Case("throughput", "linux-bridge", 64, 1 * Mpps, 32), sizes=SIZES, rates=RATES)


@pytest.mark.throughput
@pytest.mark.parametrize(("vswitch", "case"), [pytest.param(one.vswitch, one, id=str(one)) for one in CASES])
def test_vswitch_throughput(deploy: Deploy, vswitch: VSwitch, case: Case) -> None:
    """One sender and one receiver, 1 to 20 Mpps offered in bursts of 32.

    Steps:
        Put the switch between two generator ports; offer the load, or as much of it as the generator can; the
        payload of every frame is written whole and read whole, as the paper's applications do.

    Verify:
        Frames arrive, none changed and none twice; what is forwarded is recorded and not judged, as it is the
        machine's. The curves of the paper's figures are not in its text, so nothing stands beside it.
    """
    traffic = deploy(P2P(vswitch))
    found = traffic.forwarding_rate(case.rate, frame_size=case.frame_size, burst=case.burst, rewrite=True)
    for trial in found.trials:
        assert trial.received > 0
        assert all((flow.corrupted, flow.duplicated) == (0, 0) for flow in trial.flows)
