"""What does a dataplane forward with one VNF on it? Paper: S16 S1 (figure 2, table 1)."""

from __future__ import annotations

import pytest

from perf_tests import papers
from perf_tests.s16 import FIREWALL, FLOOD, L3FWD, SIZES
from pytest_nfv import PVP, VNF, Deploy, Firewall, Frequency, L3Fwd, Link, VSwitch, line_rate


@pytest.mark.throughput
@pytest.mark.parametrize("frame_size", SIZES)
@pytest.mark.parametrize("function", [L3FWD, FIREWALL], ids=["L3Fwd", "Firewall"])
def test_baseline(
    deploy: Deploy,
    vswitch: VSwitch,
    vnf_host: str,
    cpu_freq: Frequency | None,
    function: L3Fwd | Firewall,
    frame_size: int,
) -> None:
    """One VNF of 10 routes or 10 rules, frames of 64 to 1500 B, at each clock of `--nfv-cpu-freq`.

    Steps:
        Hold the device's cores at the clock, where one is asked for. Put the VNF between two ports of the switch,
        in and out; offer as much as the generator can.

    Verify:
        Frames arrive as the function makes them, none changed otherwise and none twice. The rate is recorded, at
        64 B beside the paper's; it is the machine's and not judged. The paper's finding: 64 B do not reach 10GbE
        line rate, BESS does from 128 B on at 2.4 GHz, ClickOS from 256 B on at 2.6 GHz.
    """
    traffic = deploy(PVP(vswitch, VNF(function, host=vnf_host)))
    found = traffic.forwarding_rate(FLOOD, frame_size=frame_size)
    found.beside(papers.baseline(function.kind, frame_size))
    for trial in found.trials:
        assert trial.received > 0
        assert all((flow.corrupted, flow.duplicated) == (0, 0) for flow in trial.flows)


@pytest.mark.throughput
@pytest.mark.parametrize("function", [L3FWD, FIREWALL], ids=["L3Fwd", "Firewall"])
def test_a_vnf_sustains_a_tenth_of_line_rate(
    deploy: Deploy, vswitch: VSwitch, vnf_host: str, link: Link, function: L3Fwd | Firewall
) -> None:
    """The load that S16 section 4.1 calls a production network's: 10 to 20 % of the link.

    Steps:
        As above; offer 10 % of the testbed's line rate at 128 B.

    Verify:
        It is sustained.
    """
    traffic = deploy(PVP(vswitch, VNF(function, host=vnf_host)))
    assert traffic.sustains(0.1 * line_rate(link, 128), frame_size=128)
