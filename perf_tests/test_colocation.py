"""What do VNFs beside each other forward together? Paper: S16 S7 (figure 8)."""

from __future__ import annotations

from statistics import median

import pytest

from perf_tests import papers, shapes
from perf_tests.s16 import FLOOD, L3FWD, asked_again, needs_cores, needs_loss
from pytest_nfv import PVP, VNF, Colocated, Deploy, ForwardingRate, VSwitch

PAIRS = (1, 2, 3)


@pytest.mark.throughput
@pytest.mark.parametrize("frame_size", [64, 1500])
@pytest.mark.parametrize("pairs", PAIRS)
def test_colocation(deploy: Deploy, vswitch: VSwitch, vnf_host: str, pairs: int, frame_size: int) -> None:
    """One, two and three pairs of generator ports, each with an L3Fwd of its own.

    Steps:
        Put them on one switch; offer each as much as the generator can.

    Verify:
        Frames arrive at each pair, none of another's; where pairs share cores evenly, or none, none forwards less
        than half of what another does. The rate is each pair's (the worst one's).
    """
    traffic = deploy(Colocated(PVP(vswitch, VNF(L3FWD, host=vnf_host)), pairs))
    found = traffic.forwarding_rate(FLOOD, frame_size=frame_size)
    for trial in found.trials:
        assert len(trial.flows) == pairs
        assert all(flow.received > 0 for flow in trial.flows)
        assert all((flow.corrupted, flow.duplicated, flow.foreign) == (0, 0, 0) for flow in trial.flows)
    if shared_evenly(found, pairs):
        assert shapes.alike(of_pairs_pps(found)) == ""


@pytest.mark.throughput
@pytest.mark.parametrize("placement", [None, "spread"], ids=["as placed", "cores of their own"])
def test_scaling(deploy: Deploy, vswitch: VSwitch, vnf_host: str, placement: str | None) -> None:
    """The paper's finding: throughput in all is linear in the number of pairs, each on cores of its own.

    Steps:
        Measure one, two and three pairs at 64 B, one after the other; again where the shape is another.

    Verify:
        Pairs forward in all no more than as many alone would, and where all share one core, than one. With cores
        of their own, which the testbed must have, also no less than three quarters of it, unless the generator is
        the limit.
    """
    in_all: dict[int, list[float]] = {pairs: [] for pairs in PAIRS}

    def question() -> str:
        for pairs, rates in in_all.items():
            topology = Colocated(PVP(vswitch, VNF(L3FWD, host=vnf_host), placement=placement), pairs)
            found = deploy(topology).forwarding_rate(FLOOD, frame_size=64)
            rates.append(sum(of_pairs_pps(found)))
            found.beside(papers.scaling(pairs, median(rates) / median(in_all[1])))
        one, *rest = (median(rates) for rates in in_all.values())
        together = dict(zip(PAIRS[1:], rest, strict=True))
        answer = shapes.no_more_than_its_parts(one, together, one_core=len(device_cores(found)) == 1)
        if answer or not placement:
            return answer
        needs_cores(found)
        answer = shapes.linear(one, together)
        if answer:
            needs_loss(found)
        return answer

    assert asked_again(question) == ""


def shared_evenly(found: ForwardingRate, pairs: int) -> bool:
    """Return whether the VNFs share no core, or all of them the same."""
    shared = [note for note in found.subject.notes if " is shared by " in note]
    return all(f"vnf{number}" in note for note in shared for number in range(pairs))


def device_cores(found: ForwardingRate) -> list[int]:
    """Return the cores that switch and VNFs had."""
    return [core.core for core in found.trials[-1].cores if core.role == "device"]


def of_pairs_pps(found: ForwardingRate) -> list[float]:
    """Return what each pair forwarded, the median of the valid trials."""
    valid = [trial for trial in found.trials if trial.valid]
    rates = [[flow.received / trial.offered_for_s for flow in trial.flows] for trial in valid]
    return [median(one) for one in zip(*rates, strict=True)]
