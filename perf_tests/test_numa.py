"""What does it cost a chain to cross sockets, or servers? Paper: S16 S6 (figure 7)."""

from __future__ import annotations

import pytest

from perf_tests.numa import Round, contradicts
from perf_tests.s16 import CHAINS, FLOOD, SIZES, chain
from pytest_nfv import Chain, Deploy, VSwitch
from pytest_nfv.model.testbed import Testbed

ROUNDS = 3
"""A round that something else on the machine spoilt may say anything: so many must agree before it is believed."""
MANY = [name for name, functions in CHAINS.items() if len(functions) > 1]


@pytest.mark.throughput
@pytest.mark.parametrize("frame_size", SIZES)
@pytest.mark.parametrize("where", ["same_socket", "cross_socket"])
@pytest.mark.parametrize("name", MANY)
def test_numa(deploy: Deploy, vswitch: VSwitch, vnf_host: str, name: str, where: str, frame_size: int) -> None:
    """Chains of two and three VNFs, on the switch's socket and on another ("*" in the figure), 64 to 1500 B.

    Steps:
        Give switch and VNFs cores of one socket, or the VNFs cores of another than the switch's; offer as much as
        the generator can. A testbed of one socket, or of too few cores, skips.

    Verify:
        Frames arrive as the chain makes them; the rate is recorded. The paper's finding: across sockets two VNFs
        forward about half at 64 B, and three reach line rate from 512 B on only. It has the last VNF alone on the
        other socket; here all are there, so that every frame crosses as often or more.
    """
    topology = Chain(vswitch, chain(name, vnf_host), placement=where)
    found = deploy(topology).forwarding_rate(FLOOD, frame_size=frame_size)
    for trial in found.trials:
        assert trial.received > 0
        assert all((flow.corrupted, flow.duplicated) == (0, 0) for flow in trial.flows)


@pytest.mark.throughput
def test_crossing_sockets_is_no_faster(deploy: Deploy, vswitch: VSwitch, vnf_host: str) -> None:
    """The paper's finding at the frame size where it shows most.

    Steps:
        Measure two VNFs at 64 B on one socket, then across; again where across was the faster.

    Verify:
        Not every round has all trials across sockets above all of those on one.
    """

    def rates(where: str) -> list[float]:
        found = deploy(Chain(vswitch, chain(MANY[0], vnf_host), placement=where))
        return [one.forwarded_pps for one in found.forwarding_rate(FLOOD, frame_size=64).trials if one.valid]

    rounds: list[Round] = []
    while len(rounds) < ROUNDS and (not rounds or contradicts(rounds)):
        across = rates("cross_socket")  # first: it is what a testbed lacks
        rounds.append(Round(rates("same_socket"), across))
    assert not contradicts(rounds), f"across sockets was the faster, ratios {[one.ratio for one in rounds]}"


@pytest.mark.throughput
@pytest.mark.parametrize("frame_size", SIZES)
@pytest.mark.parametrize("name", MANY)
def test_numa_across_servers(
    deploy: Deploy, testbed: Testbed, vswitch: VSwitch, vnf_host: str, name: str, frame_size: int
) -> None:
    """The same chains over two servers, joined by their network cards ("^" in the figure).

    Steps:
        On a testbed of two devices, put the first VNFs on one and the rest on the other; offer as much as the
        generator can. A testbed of one device skips.

    Verify:
        Frames arrive as the chain makes them; the rate is recorded, to be compared with `test_numa` on one of the
        two. The paper's finding: it is that of one socket, the effect of NUMA is gone.
    """
    devices = testbed.rig.devices if testbed.rig else ()
    if len(devices) < 2:
        pytest.skip(
            f'testbed {testbed.name} has one device: declare one of kind lab with device = ["dut1", "dut2"], '
            "and a [[link]] between them"
        )
    found = deploy(Chain(vswitch, chain(name, vnf_host))).forwarding_rate(FLOOD, frame_size=frame_size)
    for trial in found.trials:
        assert trial.received > 0
        assert all((flow.corrupted, flow.duplicated) == (0, 0) for flow in trial.flows)
