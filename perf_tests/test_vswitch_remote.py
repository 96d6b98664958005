"""What does a virtual switch forward between hosts? Paper: T20 T3 (figure 4d) and T4 remote (figures 4g, 4h)."""

from __future__ import annotations

import pytest

from perf_tests.t20 import SIZES, Case, cases
from pytest_nfv import P2P, Deploy, Mpps, VSwitch
from pytest_nfv.model.testbed import Testbed

SWITCHES = ("ovs-dpdk", "ovs", "linux-bridge")
"""Of the paper's those that there are drivers for; its `ovs` is `ovs-dpdk` here. Its `sriov` is any of them at
virtual functions (`vf = 0` in the testbed file)."""
FIRST = Case("throughput", "ovs-dpdk", 64, 20 * Mpps, 32, location="remote")
CASES = [
    *cases(FIRST, switches=SWITCHES, sizes=SIZES),
    *cases(FIRST, switches=SWITCHES, sizes=(64, 1500), pairs=(2, 4, 8)),
]


@pytest.mark.throughput
@pytest.mark.parametrize(("vswitch", "case"), [pytest.param(one.vswitch, one, id=str(one)) for one in CASES])
def test_vswitch_remote(deploy: Deploy, testbed: Testbed, vswitch: VSwitch, case: Case) -> None:
    """A sender and a receiver on another host than the switch, joined to it by network cards; up to 8 pairs.

    Steps:
        On a testbed of kind lab, put the switch between cards of the device under test, as many as the pairs take;
        send as much as the generator's host can. The paper has a switch beside the sender and one beside the
        receiver: a testbed of two devices (`device = ["dut1", "dut2"]`) has as many on the way, for one pair. A
        testbed of this machine alone skips, and so does one with fewer cables than the pairs take.

    Verify:
        Frames arrive, none changed and none twice. The rate is recorded; the paper's finding: software switches
        are bounded by the processor up to 256 B, by the link's rate from there on. Its curves are not in its text.
    """
    if testbed.rig is None:
        pytest.skip(f"testbed {testbed.name} has no cables; declare one of kind lab (docs/testbeds.md)")
    found = deploy(P2P(vswitch, pairs=case.pairs)).forwarding_rate(
        case.rate, frame_size=case.frame_size, burst=case.burst, rewrite=True
    )
    for trial in found.trials:
        assert len(trial.flows) == case.pairs
        assert all(flow.received > 0 for flow in trial.flows)
        assert all((flow.corrupted, flow.duplicated) == (0, 0) for flow in trial.flows)
