"""A rig on one machine: its interfaces are taken, measured between, and given back as they were."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.hosts import reap
from pytest_nfv.hosts.lab import Lab, VethEnd
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.run_id import new_run_id
from tests.functional.conftest import EASY

pytestmark = [
    pytest.mark.usefixtures("nothing_left"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may take a machine's interfaces: run as root"),
]
MACHINE = LocalHost()
CABLES = (("nfvt0", "nfvt2"), ("nfvt1", "nfvt3"))


def ip(*words: str) -> str:
    return MACHINE.run(["ip", *words]).stdout


def state(interface: str) -> tuple[str, str, str]:
    """Flags but for what the kernel says of the moment, MTU, and whether it segments for others."""
    words = ip("-o", "link", "show", interface).split()
    tso = MACHINE.run(["cat", f"/sys/class/net/{interface}/flags"]).stdout.strip()
    return words[words.index("mtu") + 1], tso, words[words.index("link/ether") + 1]


@pytest.fixture
def cables(lacks: Callable[[CapabilityMissing], None]) -> Iterator[None]:
    """Two pairs of interfaces of this machine, each a cable between two ports; nobody has an address on them."""
    try:
        for one, other in CABLES:
            ip("link", "add", one, "mtu", "1400", "type", "veth", "peer", "name", other, "mtu", "1400")
            for end in (one, other):
                ip("link", "set", end, "up")
    except DeploymentError:
        lacks(CapabilityMissing("linux-bridge", "no ip(8) to make interfaces with", "apt-get install iproute2"))
    try:
        yield
    finally:
        for one, _ in CABLES:
            MACHINE.run(["ip", "link", "delete", one], check=False)


@pytest.fixture
def lab() -> Iterator[Lab]:
    run_id = new_run_id()
    made = Lab(LocalHost(run_id), run_id)
    try:
        yield made
    finally:
        made.close()


def adopt(lab: Lab, interface: str) -> None:
    space = lab.namespace("dut")
    lab.adopt(space, interface, VethEnd(space, "s0-test", "", {"gro": True, "tso": False}), 1500)


@pytest.mark.usefixtures("cables")
def test_an_interface_goes_back_as_it_was(lab: Lab) -> None:
    before = state("nfvt0")
    space = lab.namespace("dut")
    lab.adopt(space, "nfvt0", VethEnd(space, "s0-test", "", {"gro": True, "tso": False}), 1500)
    assert lab.links(space)["s0-test"].mtu == 1500
    assert lab.links(space)["s0-test"].up
    assert "nfvt0" not in ip("-o", "link").split()
    lab.threaded(space, "s0-test")
    lab.remove(space)
    assert state("nfvt0") == before
    assert Path("/sys/class/net/nfvt0/threaded").read_text().strip() == "0"


@pytest.mark.usefixtures("cables")
def test_what_was_down_is_down_again(lab: Lab) -> None:
    ip("link", "set", "nfvt1", "down")
    before = state("nfvt1")
    adopt(lab, "nfvt1")
    lab.close()
    assert state("nfvt1") == before


@pytest.mark.usefixtures("cables")
def test_what_is_in_use_is_left_alone(lab: Lab) -> None:
    ip("address", "add", "192.0.2.1/30", "dev", "nfvt0")
    before = state("nfvt0")
    with pytest.raises(DeploymentError, match=r"nfvt0 has the address 192\.0\.2\.1: a port for measuring"):
        adopt(lab, "nfvt0")
    with pytest.raises(DeploymentError, match=r"there is no interface nfvt9; there are: .*nfvt0"):
        adopt(lab, "nfvt9")
    assert state("nfvt0") == before


@pytest.mark.usefixtures("cables")
def test_a_killed_run_gives_it_back_by_the_reaper() -> None:
    run_id = new_run_id()
    lab = Lab(LocalHost(run_id), run_id)
    before = state("nfvt0")
    adopt(lab, "nfvt0")
    agent = [int(entry.name) for entry in Path("/proc").iterdir() if _is_agent(entry, run_id)]
    assert len(agent) == 1
    os.kill(agent[0], signal.SIGKILL)
    with pytest.raises(DeploymentError):
        lab.namespace("other")
    lab.close()
    assert state("nfvt0") == before
    assert not [thing for thing in reap.reap(dry_run=True) if run_id in thing]


def _is_agent(entry: Path, run_id: str) -> bool:
    try:
        words = (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"pytest_nfv.hosts.agent" in words and run_id.encode() in words


TESTBED = """
[host.here]
ports.p0 = { interface = "nfvt0" }
ports.p1 = { interface = "nfvt1" }
ports.p2 = { interface = "nfvt2" }
ports.p3 = { interface = "nfvt3" }
device_cores = [0]
generator_cores = [1]

[[link]]
ends = ["here.p0", "here.p2"]
speed = "10MbE"

[[link]]
ends = ["here.p1", "here.p3"]
speed = "10MbE"

[testbed.one]
kind = "lab"
device = "here"
generator = "here"
vswitches = ["linux-bridge", "ovs", "ovs-dpdk", "testpmd"]
"""
SUITE = """
from pytest_nfv import P2P, PVP, VNF, L3Fwd, kpps, line_rate

def test_switch(deploy, vswitch, link):
    assert deploy(P2P(vswitch)).sustains(line_rate(link, 64), frame_size=64)

def test_router(deploy, vswitch):
    assert deploy(PVP(vswitch, VNF(L3Fwd(10)), bidirectional=True)).sustains(5 * kpps, frame_size=128)
"""


@pytest.mark.usefixtures("cables")
@pytest.mark.parametrize("switch", ["linux-bridge", "ovs", "testpmd", "ovs-dpdk"])
def test_one_server_with_cables_between_its_own_ports(
    pytester: pytest.Pytester, needs: Callable[..., None], switch: str
) -> None:
    needs(switch)
    before = [state(end) for pair in CABLES for end in pair]
    pytester.makepyfile(test_one=SUITE)
    pytester.makefile(".toml", lab=TESTBED)
    arguments = ["--nfv-testbed=lab.toml", "--nfv-host=one", f"--nfv-vswitch={switch}", *EASY[1:]]
    result = pytester.runpytest_subprocess(*arguments, "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2)
    assert [state(end) for pair in CABLES for end in pair] == before
