"""How does latency grow with a chain of VNFs? Paper: S17 S9 (figure 6)."""

from __future__ import annotations

from statistics import median

import pytest

from perf_tests import papers, shapes
from perf_tests.s16 import CHAINS, FIREWALL, asked_again, chain, needs_a_device
from perf_tests.usage import polls
from pytest_nfv import VNF, Chain, Deploy, LatencyResult, VSwitch, kpps

LOAD = 5 * kpps
"""The paper offers 2 Mpps, a fifth of what its dataplane forwards; this is a load that any machine bears."""
NAMES = ("L3Fwd", "Firewall", "Firewall>L3Fwd", "Firewall>L3Fwd>L2Fwd")


def measured(deploy: Deploy, vswitch: VSwitch, host: str, name: str) -> LatencyResult:
    """Return the latency of one of `NAMES`."""
    vnfs = chain(name, host) if name in CHAINS else [VNF(FIREWALL, host=host)]
    return deploy(Chain(vswitch, vnfs)).latency(LOAD, frame_size=128)


@pytest.mark.latency
@pytest.mark.parametrize("name", NAMES)
def test_latency_by_chain(deploy: Deploy, vswitch: VSwitch, vnf_host: str, name: str) -> None:
    """One-way latency of single VNFs and of chains at 128 B.

    Steps:
        Put the chain between two ports; offer 5 kpps.

    Verify:
        Frames come back; the mean is recorded, that of a firewall and an L3Fwd beside the paper's.
    """
    found = measured(deploy, vswitch, vnf_host, name)
    if name == "Firewall>L3Fwd":
        found.beside(papers.chain_latency(found.mean_us / 1e6))
    (way,) = found.latency
    assert 0 < way.min_ns <= way.mean_ns <= way.max_ns


@pytest.mark.latency
def test_a_longer_chain_takes_longer(deploy: Deploy, vswitch: VSwitch, vnf_host: str) -> None:
    """The paper's finding: latency increases as the chain gets longer.

    Steps:
        Measure one VNF and three, one after the other; again where three took no longer.

    Verify:
        In most rounds the median of three is above that of one; in a half of them, the least time of a frame is.
    """
    one: list[shapes.Took] = []
    three: list[shapes.Took] = []

    def question() -> str:
        for name, rounds in (("L3Fwd", one), ("Firewall>L3Fwd>L2Fwd", three)):
            found = measured(deploy, vswitch, vnf_host, name)
            rounds.append(shapes.Took(found.median_us / 1e6, found.latency[0].min_ns / 1e9))
        needs_a_device(found)
        return shapes.takes_longer(one, three)

    assert asked_again(question) == ""


@pytest.mark.latency
def test_a_chain_takes_less_than_its_vnfs_alone(deploy: Deploy, vswitch: VSwitch, vnf_host: str) -> None:
    """The paper's finding: two in a chain take less than the two alone, added up.

    Steps:
        Measure an L3Fwd, a firewall, and both in a chain, one after the other; again where the chain took longer.

    Verify:
        The chain's median is below the sum of the others': a frame's way from the generator to the first and from
        the last to the generator is gone once. VNFs that poll and share a core wait for each other's turns in a
        chain only, so that they cannot be asked.
    """
    took: dict[str, list[float]] = {name: [] for name in NAMES[:3]}
    means: dict[str, list[float]] = {name: [] for name in NAMES[:3]}

    def question() -> str:
        for name, medians in took.items():
            found = measured(deploy, vswitch, vnf_host, name)
            medians.append(found.median_us / 1e6)
            means[name].append(found.mean_us / 1e6)
        found.beside(papers.latency_alone(median(means["L3Fwd"]) + median(means["Firewall"])))
        shared = [note for note in found.subject.notes if "vnf0, vnf1" in note]
        if shared and polls(found.trials[-1], "vnf0"):
            pytest.skip(f"{shared[0]}, and VNFs poll; name more in the testbed's device_cores")
        one, other, chained = (median(medians) for medians in took.values())
        return shapes.less_than_alone(chained, [one, other])

    assert asked_again(question) == ""
