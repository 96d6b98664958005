"""What does a VNF forward of a data centre's frames? Paper: S16 S2 (section 4.1)."""

from __future__ import annotations

import pytest

from perf_tests import papers
from perf_tests.s16 import FLOOD, L3FWD
from pytest_nfv import PVP, VNF, Deploy, Link, Mix, VSwitch, line_rate

UTILISATION = 0.1
"""Of the link, the lower of the two medians that the paper takes from Facebook."""


@pytest.mark.throughput
def test_data_centre_mix(deploy: Deploy, vswitch: VSwitch, vnf_host: str) -> None:
    """Frame sizes as a data centre has them: median about 120 B, most below 256 B.

    Steps:
        Put an L3Fwd of 10 routes between two ports; offer as much of the mix as the generator can.

    Verify:
        Frames of all sizes arrive, none changed otherwise and none twice. The rate is recorded beside the paper's,
        which is of a whole 10GbE link.
    """
    traffic = deploy(PVP(vswitch, VNF(L3FWD, host=vnf_host)))
    found = traffic.forwarding_rate(FLOOD, frame_size="datacentre").beside(papers.mix())
    for trial in found.trials:
        assert trial.received > 0
        assert all((flow.corrupted, flow.duplicated) == (0, 0) for flow in trial.flows)


@pytest.mark.throughput
def test_a_production_load_of_it_is_sustained(deploy: Deploy, vswitch: VSwitch, vnf_host: str, link: Link) -> None:
    """The paper's finding: what a production network asks, 10 % of its link, every dataplane provides.

    Steps:
        As above; offer 10 % of the testbed's line rate at the mix's mean size.

    Verify:
        It is sustained.
    """
    mix = Mix.of("datacentre")
    traffic = deploy(PVP(vswitch, VNF(L3FWD, host=vnf_host)))
    assert traffic.sustains(UTILISATION * line_rate(link, mix), frame_size=mix)
