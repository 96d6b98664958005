"""What limits a VNF, and what does it cost? Papers: S16 S3 (figures 3 and 4) and S4 (table 2)."""

from __future__ import annotations

import pytest

from perf_tests.s16 import FLOOD, L3FWD, SIZES
from pytest_nfv import PVP, VNF, Deploy, VSwitch, bottleneck, component_of_thread

SMALL = (64, 96, 128)
MORE = {
    "1 vCPU, 2 vNICs": VNF(L3FWD),
    "2 vCPUs, 4 vNICs": VNF(L3FWD, vnics=4),
    "more memory": VNF(L3FWD, memory_mib=4096),
}


@pytest.mark.throughput
@pytest.mark.parametrize("frame_size", SMALL)
@pytest.mark.parametrize("vnf", MORE.values(), ids=MORE.keys())
def test_bottleneck(deploy: Deploy, vswitch: VSwitch, vnf: VNF, frame_size: int) -> None:
    """Small frames, and one resource more at a time; with four vNICs frames take turns with the pairs.

    Steps:
        Put the VNF between two ports; offer as much as the generator can.

    Verify:
        Frames arrive; where some are lost, a place is named, and the counters there tell. The paper's finding:
        about 5 Mpps are lost between pNIC 0 and vNIC 0 at 64 B, more vCPUs or memory alone change nothing, two
        vCPUs with four vNICs reach line rate. Here the pairs have cores of their own only where the testbed has
        them.
    """
    traffic = deploy(PVP(vswitch, vnf))
    found = traffic.forwarding_rate(FLOOD, frame_size=frame_size)
    for trial in found.trials:
        assert trial.received > 0
        if trial.valid and trial.lost > trial.sent // 100:
            place = bottleneck([trial])
            assert place is not None
            assert place.lost > 0


@pytest.mark.throughput
@pytest.mark.parametrize("frame_size", SIZES)
def test_cpu_use_of_the_vnf(deploy: Deploy, vswitch: VSwitch, vnf_host: str, frame_size: int) -> None:
    """The processor time of the VNF by frame size, at as much as it forwards.

    Steps:
        As above; read what the VNF's threads used.

    Verify:
        They are accounted. The paper's finding: ClickOS uses a whole core at 64 and 128 B and less and less of it
        above, while BESS's cores poll, and are always full.
    """
    found = deploy(PVP(vswitch, VNF(L3FWD, host=vnf_host))).forwarding_rate(FLOOD, frame_size=frame_size)
    for trial in found.trials:
        used_s = sum(one.cpu_s for one in trial.threads if component_of_thread(one) == "vnf0")
        assert used_s > 0
