"""How does latency through a VNF change with load? Paper: S17 S8 (figure 5)."""

from __future__ import annotations

from statistics import median

import pytest

from perf_tests import papers, shapes
from perf_tests.s16 import FLOOD, L3FWD, asked_again, needs_a_device
from pytest_nfv import PVP, VNF, Deploy, VSwitch, pps

IDLE = 100 * pps
SHARES = (0.02, 0.1, 0.25, 0.5)
"""Of what is forwarded at most, for the shape: loads that are certainly borne, where latency is at its best."""
OF_THROUGHPUT = (0.1, 0.25, 0.5, 0.75, 0.9)
"""The paper offers 1 to 8 Mpps, up to 90 % of what its dataplane forwards."""


@pytest.mark.latency
def test_latency_at_100_pps(deploy: Deploy, vswitch: VSwitch, vnf_host: str) -> None:
    """The paper's lowest load, at 128 B, where it finds the highest latency of all but overload: 529.3 us.

    Steps:
        Put an L3Fwd between two ports; offer 100 frames a second and take every frame's time.

    Verify:
        Frames come back; the mean stands beside the paper's.
    """
    found = deploy(PVP(vswitch, VNF(L3FWD, host=vnf_host))).latency(IDLE, frame_size=128)
    (way,) = found.beside(papers.idle_latency(found.mean_us / 1e6)).latency
    assert 0 < way.min_ns <= way.mean_ns <= way.max_ns


@pytest.mark.latency
def test_latency_by_load(deploy: Deploy, vswitch: VSwitch, vnf_host: str) -> None:
    """One-way latency from a tenth to nine tenths of the throughput, at 128 B.

    Steps:
        Search the throughput; offer shares of it, one after the other.

    Verify:
        Frames come back at each; the latencies are recorded, and the throughput beside the load at which the
        paper's latency begins to rise.
    """
    traffic = deploy(PVP(vswitch, VNF(L3FWD, host=vnf_host)))
    found = traffic.throughput(frame_size=128)
    found.beside(papers.knee(found.rate.pps))
    for share in OF_THROUGHPUT:
        (way,) = traffic.latency(share * found.rate, frame_size=128).latency
        assert 0 < way.min_ns <= way.mean_ns <= way.max_ns


@pytest.mark.latency
def test_latency_falls_then_rises(deploy: Deploy, vswitch: VSwitch, vnf_host: str) -> None:
    """The paper's finding: high where frames come one by one, falling with load, and high again in overload.

    Steps:
        Offer as much as the generator can, then 100 frames a second, then 2 to 50 % of what was forwarded, at
        128 B; again where the shape is another.

    Verify:
        The medians at 100 frames a second and in overload are above the least of those between. In overload the
        frames' times are those of the ones that were forwarded.
    """
    traffic = deploy(PVP(vswitch, VNF(L3FWD, host=vnf_host)))
    idle: list[float] = []
    overload: list[float] = []
    between: dict[float, list[float]] = {share: [] for share in SHARES}

    def question() -> str:
        most = traffic.forwarding_rate(FLOOD, frame_size=128)
        valid = [trial.latency[0] for trial in most.trials if trial.valid]
        overload.append(median(way.percentiles_ns[50.0] for way in valid) / 1e9)
        idle.append(traffic.latency(IDLE, frame_size=128).median_us / 1e6)
        for share, medians in between.items():
            medians.append(traffic.latency(share * most.rate, frame_size=128).median_us / 1e6)
        needs_a_device(most)
        if most.loss_ratio < 0.01:
            pytest.skip(
                f"next to nothing of {most.offered_pps:,.0f} pps was lost: no overload; take a faster port"
            )
        return shapes.falls_then_rises(median(idle), [median(one) for one in between.values()], median(overload))

    assert asked_again(question) == ""
