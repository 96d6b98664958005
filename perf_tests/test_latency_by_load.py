"""How does latency through a VNF change with load? Paper: S17 S8 (figure 5)."""

from __future__ import annotations

from contextlib import suppress
from statistics import median

import pytest

from perf_tests import papers, shapes
from perf_tests.s16 import FLOOD, L3FWD, asked_again, needs_a_device, needs_loss
from pytest_nfv import PVP, VNF, Deploy, ForwardingRate, Latency, VSwitch, pps
from pytest_nfv.deployment.traffic import Traffic
from pytest_nfv.errors import InvalidMeasurement

IDLE = 100 * pps
SHARES = (0.05, 0.1, 0.25, 0.5, 0.75)
"""Of what is forwarded at most: the paper offers 1 to 8 Mpps, where its dataplane forwards about 7."""


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
    """The paper's finding: high where frames come one by one, falling with load, and rising again in overload.

    Steps:
        Offer as much as the generator can, then 100 frames a second, then 5 to 75 % of what was forwarded, at
        128 B; again where the shape is another.

    Verify:
        The medians at 100 frames a second and in overload are above the least of those between; in overload the
        times are those of the frames that were forwarded. A load between that stays INVALID is left out. What is
        forwarded at most stands beside the load at which the paper's latency begins to rise.
    """
    traffic = deploy(PVP(vswitch, VNF(L3FWD, host=vnf_host)))
    idle: list[float] = []
    overload: list[float] = []
    between: list[float] = []

    def question() -> str:
        most = traffic.forwarding_rate(FLOOD, frame_size=128)
        most.beside(papers.knee(most.rate.pps))
        overload.append(median(way.percentiles_ns[50.0] for way in ways(most)) / 1e9)
        idle.append(traffic.latency(IDLE, frame_size=128).median_us / 1e6)
        between.append(best_s(traffic, most))
        needs_a_device(most)
        needs_loss(most)
        return shapes.falls_then_rises(median(idle), median(between), median(overload))

    assert asked_again(question) == ""


def best_s(traffic: Traffic, most: ForwardingRate) -> float:
    """Return the least median of the loads between: the lowest, and those above that the machine did not spoil."""
    medians_us = [traffic.latency(SHARES[0] * most.rate, frame_size=128).median_us]
    for share in SHARES[1:]:
        with suppress(InvalidMeasurement):
            medians_us.append(traffic.latency(share * most.rate, frame_size=128).median_us)
    return min(medians_us) / 1e6


def ways(found: ForwardingRate) -> list[Latency]:
    """Return the latency of each valid trial's one direction."""
    return [trial.latency[0] for trial in found.trials if trial.valid]
