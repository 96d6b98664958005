"""What does forwarding cost in processor time? Paper: T20 T6 (figure 6)."""

from __future__ import annotations

import pytest

from perf_tests.t20 import Case, cases
from pytest_nfv import P2P, Deploy, Mpps, VSwitch

CASES = cases(Case("throughput", "linux-bridge", 64, 20 * Mpps, 32), sizes=(64, 1500), pairs=(1, 2, 4))


@pytest.mark.throughput
@pytest.mark.parametrize(("vswitch", "case"), [pytest.param(one.vswitch, one, id=str(one)) for one in CASES])
def test_cpu_cost(deploy: Deploy, vswitch: VSwitch, case: Case) -> None:
    """The processor time of all cores at as much as the switch forwards, 1vs1 to 4vs4.

    Steps:
        Put the switch between the pairs of generator ports; offer as much as the generator can; read the cores.

    Verify:
        Time was used, and accounted, on the device's cores and on the generator's. The paper's finding:
        applications that poll use a whole core each (100 %), whatever the switch; a switch of the kernel's saves
        its own.
    """
    found = deploy(P2P(vswitch, pairs=case.pairs)).forwarding_rate(
        case.rate, frame_size=case.frame_size, burst=case.burst, rewrite=True
    )
    for trial in found.trials:
        busy = {
            role: sum(core.busy for core in trial.cores if core.role == role) for role in ("device", "generator")
        }
        assert all(0 < share <= len(trial.cores) for share in busy.values()), busy
