"""How does latency through a VNF change with load? Paper: S17 S8 (figure 5)."""

from __future__ import annotations

import pytest

from perf_tests.s16 import L3FWD
from pytest_nfv import PVP, VNF, Deploy, VSwitch, pps

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Of the throughput: the paper offers 1 to 8 Mpps, up to 90 % of what its dataplane forwards."""


@pytest.mark.latency
def test_latency_at_100_pps(deploy: Deploy, vswitch: VSwitch, vnf_host: str) -> None:
    """The paper's lowest load, at 128 B, where it finds the highest latency of all but overload: 529.3 us.

    Steps:
        Put an L3Fwd between two ports; offer 100 frames a second and take every frame's time.

    Verify:
        Frames come back; the mean is recorded.
    """
    (way,) = deploy(PVP(vswitch, VNF(L3FWD, host=vnf_host))).latency(100 * pps, frame_size=128).latency
    assert 0 < way.min_ns <= way.mean_ns <= way.max_ns


@pytest.mark.latency
def test_latency_by_load(deploy: Deploy, vswitch: VSwitch, vnf_host: str) -> None:
    """Mean one-way latency from a tenth to nine tenths of the throughput, at 128 B.

    Steps:
        Search the throughput; offer shares of it, one after the other.

    Verify:
        Frames come back at each; the means are recorded. The paper finds that latency falls from the lowest load
        on and rises steeply near throughput; where that is, is the machine's.
    """
    traffic = deploy(PVP(vswitch, VNF(L3FWD, host=vnf_host)))
    most = traffic.throughput(frame_size=128).rate
    for share in SHARES:
        (way,) = traffic.latency(share * most, frame_size=128).latency
        assert 0 < way.min_ns <= way.mean_ns <= way.max_ns
