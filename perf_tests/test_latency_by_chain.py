"""How does latency grow with a chain of VNFs? Paper: S17 S9 (figure 6)."""

from __future__ import annotations

import pytest

from perf_tests.s16 import CHAINS, FIREWALL, chain
from pytest_nfv import PVP, VNF, Chain, Deploy, VSwitch, kpps

LOAD = 5 * kpps
"""The paper offers 2 Mpps, a fifth of what its dataplane forwards; this is a load that any machine bears."""
ROUNDS = 3


@pytest.mark.latency
@pytest.mark.parametrize("name", ["L3Fwd", "Firewall", "Firewall>L3Fwd", "Firewall>L3Fwd>L2Fwd"])
def test_latency_by_chain(deploy: Deploy, vswitch: VSwitch, vnf_host: str, name: str) -> None:
    """One-way latency of single VNFs and of chains at 128 B.

    Steps:
        Put the chain between two ports; offer 5 kpps.

    Verify:
        Frames come back; the mean is recorded. The paper finds a chain of two faster (34.3 us) than its VNFs
        measured alone and added up (46.0 us).
    """
    vnfs = chain(name, vnf_host) if name in CHAINS else [VNF(FIREWALL, host=vnf_host)]
    (way,) = deploy(Chain(vswitch, vnfs)).latency(LOAD, frame_size=128).latency
    assert 0 < way.min_ns <= way.mean_ns <= way.max_ns


@pytest.mark.latency
def test_a_longer_chain_takes_no_less_time(deploy: Deploy, vswitch: VSwitch, vnf_host: str) -> None:
    """The finding that holds on any machine: another VNF takes another VNF's time.

    Steps:
        Measure one VNF and three, one after the other; again where three were the faster.

    Verify:
        Not every round has the median of three VNFs below the least of one.
    """
    rounds: list[tuple[float, float]] = []
    while len(rounds) < ROUNDS and all(three < one for one, three in rounds):
        (one,) = deploy(PVP(vswitch, *chain("L3Fwd", vnf_host))).latency(LOAD, frame_size=128).latency
        (three,) = (
            deploy(Chain(vswitch, chain("Firewall>L3Fwd>L2Fwd", vnf_host))).latency(LOAD, frame_size=128).latency
        )
        rounds.append((one.min_ns, three.percentiles_ns[50.0]))
    least, median = rounds[-1]
    assert median >= least, f"least of one VNF, median of three, ns: {rounds}"
