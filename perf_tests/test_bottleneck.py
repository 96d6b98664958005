"""What limits a VNF, and what does it cost? Papers: S16 S3 (figures 3 and 4) and S4 (table 2)."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import pytest

from perf_tests import papers, shapes
from perf_tests.s16 import FLOOD, L3FWD, SIZES, asked_again, needs_a_device, needs_cores, needs_loss, rates_pps
from perf_tests.usage import fits, polls, used
from pytest_nfv import PVP, VNF, Deploy, Link, VSwitch, line_rate

SMALL = (64, 96, 128)
MORE = {
    "2 vNICs": VNF(L3FWD),
    "2 vNICs, 4 GiB": VNF(L3FWD, memory_mib=4096),
    "4 vNICs": VNF(L3FWD, vnics=4),
}
"""One resource more at a time. Four vNICs come with two cores, where the testbed has them."""


def vnf(host: str, more: str) -> VNF:
    """Return the L3Fwd with one resource more; a VM with more of anything has more vCPUs, too, as in the paper."""
    vcpus = 2 if host == "vm" and more != "2 vNICs" else 1
    return replace(MORE[more], host=host, vcpus=vcpus)


def needs_a_vm(host: str, more: str) -> None:
    """Skip where more memory is asked of what has no memory of its own: outside a VM, 0 MiB sets no limit."""
    if MORE[more].memory_mib and host != "vm":
        pytest.skip(
            f"memory: 1 GiB against 4 GiB is of a VM's; in its {host} a VNF has no limit: --nfv-vnf-host=vm"
        )


@pytest.mark.throughput
@pytest.mark.parametrize("frame_size", SMALL)
@pytest.mark.parametrize("more", MORE)
def test_bottleneck(deploy: Deploy, vswitch: VSwitch, vnf_host: str, more: str, frame_size: int) -> None:
    """Small frames, and one resource more at a time; with four vNICs frames take turns with the pairs.

    Steps:
        Put the VNF between two ports; offer as much as the generator can; count at every hop.

    Verify:
        Most of what is lost is lost before the VNF. The paper's finding: about 5 Mpps are lost between pNIC 0 and
        vNIC 0 at 64 B.
    """
    needs_a_vm(vnf_host, more)
    found = deploy(PVP(vswitch, vnf(vnf_host, more))).forwarding_rate(FLOOD, frame_size=frame_size)
    needs_a_device(found)
    valid = [trial for trial in found.trials if trial.valid]
    assert all(trial.received > 0 for trial in valid)
    before_pps = median(shapes.lost_before(trial) / trial.offered_for_s for trial in valid)
    found.beside(papers.lost_before_the_vnf(frame_size, before_pps))
    needs_loss(found)
    assert shapes.lost_before_the_vnf(valid) == ""


@pytest.mark.throughput
def test_more_memory_changes_little(deploy: Deploy, vswitch: VSwitch, vnf_host: str) -> None:
    """The paper's finding: more memory (and, in a VM, more vCPUs) alone result in little improvement.

    Steps:
        Measure a VM of 1 GiB and one of 4 GiB at 64 B, one after the other; again where they differ much.

    Verify:
        The medians of all trials are within a factor of 1.5 of each other.
    """
    needs_a_vm(vnf_host, "2 vNICs, 4 GiB")
    plain: list[float] = []
    more: list[float] = []

    def question() -> str:
        for name, rates in (("2 vNICs", plain), ("2 vNICs, 4 GiB", more)):
            traffic = deploy(PVP(vswitch, vnf(vnf_host, name)))
            rates += rates_pps(traffic.forwarding_rate(FLOOD, frame_size=64))
        return shapes.more_changes_little(plain, more)

    assert asked_again(question) == ""


@pytest.mark.throughput
def test_more_vnics_with_cores_of_their_own_help(deploy: Deploy, vswitch: VSwitch, vnf_host: str) -> None:
    """The paper's finding: two vCPUs with four vNICs reach line rate where two vNICs do not.

    Steps:
        As above, with four vNICs, every pair on a core of its own, which the testbed must have.

    Verify:
        The median is at least 1.2 times that of two vNICs, unless the generator is the limit.
    """
    plain: list[float] = []
    more: list[float] = []

    def question() -> str:
        for name, rates in (("2 vNICs", plain), ("4 vNICs", more)):
            traffic = deploy(PVP(vswitch, vnf(vnf_host, name), placement="spread"))
            found = traffic.forwarding_rate(FLOOD, frame_size=64)
            rates += rates_pps(found)
        needs_cores(found)
        answer = shapes.helps(plain, more)
        if answer:
            needs_loss(found)
        return answer

    assert asked_again(question) == ""


@pytest.mark.throughput
@pytest.mark.parametrize("frame_size", SIZES)
def test_cpu_use_of_the_vnf(deploy: Deploy, vswitch: VSwitch, vnf_host: str, link: Link, frame_size: int) -> None:
    """The processor time of the VNF by frame size, at line rate.

    Steps:
        Put the VNF between two ports; offer line rate of the testbed's link, or as much as the generator can; read
        what the VNF's threads used.

    Verify:
        They are accounted, and use no more than the device's cores have. The figure stands beside the paper's.
    """
    found = deploy(PVP(vswitch, VNF(L3FWD, host=vnf_host))).forwarding_rate(
        line_rate(link, frame_size), frame_size=frame_size
    )
    needs_a_device(found)
    valid = [trial for trial in found.trials if trial.valid]
    assert all(fits(trial, "vnf0") for trial in valid)
    found.beside(papers.cpu_use(frame_size, median(used(trial, "vnf0") for trial in valid)))


@pytest.mark.throughput
def test_cpu_use_falls_with_frame_size(deploy: Deploy, vswitch: VSwitch, vnf_host: str, link: Link) -> None:
    """The paper's finding: ClickOS uses a whole core at 64 and 128 B and less and less of it above.

    Steps:
        As above with 64, 256 and 1500 B, one after the other; again where it does not fall.

    Verify:
        The median of all trials falls with frame size. BESS's cores poll, and are always full: so it is with a VNF
        here that polls, of which this cannot be asked.
    """
    traffic = deploy(PVP(vswitch, VNF(L3FWD, host=vnf_host)))
    shares: dict[int, list[float]] = {64: [], 256: [], 1500: []}

    def question() -> str:
        for size, of_size in shares.items():
            found = traffic.forwarding_rate(line_rate(link, size), frame_size=size)
            of_size += [used(trial, "vnf0") for trial in found.trials if trial.valid]
        needs_a_device(found)
        if polls(found.trials[0], "vnf0"):
            pytest.skip("vnf0 polls: what it uses says nothing about its load; take a switch of the kernel's")
        return shapes.falls_with_size({size: median(of_size) for size, of_size in shares.items()})

    assert asked_again(question) == ""
