"""Device and generator on two hosts, each reached by SSH alone, with cables between them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.functional.conftest import EASY
from tests.functional.ssh_lab import SshLab, ssh_lab

pytestmark = [
    pytest.mark.usefixtures("nothing_left"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may make hosts of namespaces: run as root"),
]

TESTBED = f"""
[host.dut]
ssh = "dut"
python = "{sys.executable}"
ports.p0 = {{ interface = "eth1" }}
ports.p1 = {{ interface = "eth2" }}
device_cores = [0]

[host.gen]
ssh = "gen"
python = "{sys.executable}"
ports.p0 = {{ interface = "eth1" }}
ports.p1 = {{ interface = "eth2" }}
generator_cores = [1]

[[link]]
ends = ["gen.p0", "dut.p0"]
speed = "10MbE"

[[link]]
ends = ["gen.p1", "dut.p1"]
speed = "10MbE"

[testbed.dut1]
kind = "lab"
device = "dut"
generator = "gen"
vswitches = ["linux-bridge", "ovs", "ovs-dpdk", "testpmd"]
"""
SUITE = """
import pytest
from pytest_nfv import P2P, Chain, VNF, Firewall, L2Fwd, L3Fwd, kpps, line_rate

@pytest.mark.line_rate
def test_switch(deploy, vswitch, link):
    assert deploy(P2P(vswitch, bidirectional=True)).sustains(line_rate(link, 64), frame_size=64)

def test_chain(deploy, vswitch):
    chain = Chain(vswitch, [VNF(Firewall(10)), VNF(L3Fwd(10), host="lxc"), VNF(L2Fwd())])
    assert deploy(chain).sustains(5 * kpps, frame_size=128)
"""


@pytest.fixture
def lab(tmp_path: Path, needs: Callable[[str], None]) -> Iterator[SshLab]:
    needs("sshd")
    with ssh_lab(tmp_path) as made:
        (tmp_path / "lab.toml").write_text(TESTBED)
        yield made


@pytest.fixture
def run(
    lab: SshLab, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., pytest.RunResult]:
    """Run the suite in a pytest of its own, on the two hosts."""
    for name, value in lab.environment.items():
        monkeypatch.setenv(name, value)
    pytester.makepyfile(test_rig=SUITE)

    def run(*arguments: str) -> pytest.RunResult:
        where = [f"--nfv-testbed={lab.folder / 'lab.toml'}", "--nfv-host=dut1", *EASY[1:]]
        return pytester.runpytest_subprocess(*where, "-p", "no:cacheprovider", *arguments)

    return run


@pytest.mark.parametrize("switch", ["linux-bridge", "ovs", "ovs-dpdk", "testpmd"])
def test_frames_cross_a_device_on_another_host(
    run: Callable[..., pytest.RunResult], needs: Callable[[str], None], switch: str
) -> None:
    needs(switch)
    needs("lxc")
    result = run(f"--nfv-vswitch={switch}")
    result.assert_outcomes(passed=2)
