"""How long does a frame take through a virtual switch? Paper: T20 T5 (figure 5)."""

from __future__ import annotations

import pytest

from perf_tests.t20 import SIZES, Case, cases
from pytest_nfv import P2P, Deploy, VSwitch, pps

BURSTS = (4, 8, 16, 32, 64, 128)
CASES = cases(Case("latency", "linux-bridge", 64, 1000 * pps, 4), sizes=SIZES, bursts=BURSTS)
SHARES = (0.1, 0.5, 0.9)


@pytest.mark.latency
@pytest.mark.parametrize(("vswitch", "case"), [pytest.param(one.vswitch, one, id=str(one)) for one in CASES])
def test_vswitch_latency(deploy: Deploy, vswitch: VSwitch, case: Case) -> None:
    """1000 frames a second, in bursts of 4 to 128.

    Steps:
        Put the switch between two generator ports; send, and take every frame's time from one port to the other.

    Verify:
        Frames come back, in the order of their percentiles; the generator's own floor stands beside. Every frame
        of a burst is a sample, from the time at which its burst was begun: those at its end wait for those before
        them. The paper measures there and back between two applications, here it is one way on one clock.
    """
    found = deploy(P2P(vswitch)).latency(case.rate, frame_size=case.frame_size, burst=case.burst, rewrite=True)
    (way,) = found.latency
    assert 0 < way.min_ns <= way.percentiles_ns[50.0] <= way.max_ns


@pytest.mark.latency
@pytest.mark.parametrize("share", SHARES)
def test_vswitch_latency_by_load(deploy: Deploy, vswitch: VSwitch, frame_size: int, share: float) -> None:
    """Latency at 10, 50 and 90 % of the throughput (RFC 2544 section 26.2 measures at the throughput itself).

    Steps:
        Search the throughput; offer that share of it.

    Verify:
        Frames come back; percentiles are in order.
    """
    traffic = deploy(P2P(vswitch))
    rate = traffic.throughput(frame_size=frame_size).rate
    (way,) = traffic.latency(share * rate, frame_size=frame_size).latency
    assert 0 < way.min_ns <= way.percentiles_ns[50.0] <= way.max_ns
