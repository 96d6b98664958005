"""Device and generator on two hosts, each reached by SSH alone, with cables between them."""

from __future__ import annotations

import json
import os
import pwd
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.vnfs import vm_kernel
from tests.functional.conftest import EASY
from tests.functional.ssh_lab import LabHost, SshLab, ssh_lab

pytestmark = [
    pytest.mark.usefixtures("nothing_left"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may make hosts of namespaces: run as root"),
]

SWITCHES = ["linux-bridge", "ovs", "ovs-dpdk", "testpmd"]
Run = Callable[..., pytest.RunResult]


def lab_file(
    hosts: dict[str, int], cables: Sequence[tuple[str, str]], may_change: Sequence[str] = ("huge-pages",)
) -> str:
    """Return a testbed file: hosts with the core that each has, `gen` generating, and the cables between them.

    Devices let a run change what `may_change` says.
    """
    text = ""
    for name, core in hosts.items():
        role = "generator" if name == "gen" else "device"
        ports = sorted({end.partition(".")[2] for cable in cables for end in cable if end.startswith(f"{name}.")})
        text += f'[host.{name}]\nssh = "{name}"\npython = "{sys.executable}"\n{role}_cores = [{core}]\n'
        text += f"may_change = {list(may_change)}\n" if role == "device" else ""
        text += "".join(f'ports.{port} = {{ interface = "{port}" }}\n' for port in ports)
    for one, other in cables:
        text += f'[[link]]\nends = ["{one}", "{other}"]\nspeed = "10MbE"\n'
    devices = [name for name in hosts if name != "gen"]
    return text + f'[testbed.dut1]\nkind = "lab"\ndevice = {devices}\ngenerator = "gen"\nvswitches = {SWITCHES}\n'


BACK_TO_BACK = [("gen.eth1", "dut.eth1"), ("gen.eth2", "dut.eth2")]
IN_A_ROW = [("gen.eth1", "a.eth1"), ("a.eth2", "b.eth1"), ("b.eth2", "gen.eth2")]
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


TRIAL_S = 120.0
LONG = """
import json, os, subprocess, threading
from pytest_nfv import P2P, kpps

def test_long(deploy, vswitch):
    traffic = deploy(P2P(vswitch))
    then = threading.Timer(2.0, subprocess.run, [json.loads(os.environ["NFV_TEST_MEANWHILE"])])
    then.start()
    traffic.latency(5 * kpps, frame_size=64, duration="120s")
"""

AFTERWARDS = """
def test_afterwards(deploy, vswitch):
    assert deploy(P2P(vswitch)).sustains(1 * kpps, frame_size=64)
"""


@pytest.fixture
def lab(tmp_path: Path, needs: Callable[[str], None]) -> Iterator[SshLab]:
    needs("sshd")
    with ssh_lab(tmp_path) as made:
        (tmp_path / "lab.toml").write_text(lab_file({"dut": 0, "gen": 1}, BACK_TO_BACK))
        yield made


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a suite in a pytest of its own, on the testbed of a lab."""

    def run(lab: SshLab, suite: str, *arguments: str) -> pytest.RunResult:
        for name, value in lab.environment.items():
            monkeypatch.setenv(name, value)
        pytester.makepyfile(test_rig=suite)
        where = [f"--nfv-testbed={lab.folder / 'lab.toml'}", "--nfv-host=dut1", *EASY[1:]]
        return pytester.runpytest_subprocess(*where, "-p", "no:cacheprovider", *arguments)

    return run


def meanwhile(monkeypatch: pytest.MonkeyPatch, *argv: str) -> None:
    """Have a command run in the middle of `LONG`'s trial."""
    monkeypatch.setenv("NFV_TEST_MEANWHILE", json.dumps(argv))


def as_they_were(lab: SshLab) -> bool:
    """Whether the hosts have their ports, and nothing of a run."""
    for host in lab.hosts.values():
        there = {entry["ifname"] for entry in json.loads(host.inside("ip", "-j", "link"))}
        if {"lo", "mgmt", *host.ports} != there or host.inside("ip", "netns"):
            return False
        commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in host.processes() if alive(pid)]
        if any(b"pytest_nfv" in command or b"ovs" in command for command in commands):
            return False
    return True


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def wait_for(condition: Callable[[], bool], within_s: float) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, f"not so after {within_s:g} s"
        time.sleep(0.1)


@pytest.mark.parametrize("switch", SWITCHES)
def test_frames_cross_a_device_on_another_host(
    lab: SshLab, run: Run, needs: Callable[[str], None], switch: str
) -> None:
    needs(switch)
    needs("lxc")
    run(lab, SUITE, f"--nfv-vswitch={switch}").assert_outcomes(passed=2)
    assert as_they_were(lab)


def suite_of_ours(
    lab: SshLab, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str, *arguments: str
) -> pytest.RunResult:
    """Run one of `perf_tests` on the lab."""
    for variable, value in lab.environment.items():
        monkeypatch.setenv(variable, value)
    where = [
        f"--nfv-testbed={lab.folder / 'lab.toml'}",
        "--nfv-host=dut1",
        "--nfv-vswitch=linux-bridge",
        *EASY[1:],
    ]
    path = Path(__file__).parents[2] / "perf_tests" / name
    return pytester.runpytest_subprocess(path, *where, "-p", "no:cacheprovider", *arguments)


def test_the_main_job_on_a_lab(lab: SshLab, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pytest perf_tests -m line_rate --nfv-host=dut1`, as README has it."""
    found = suite_of_ours(lab, pytester, monkeypatch, "", "-m", "line_rate", "--nfv-frame-size=64,1518")
    assert found.parseoutcomes()["passed"] == 4
    assert found.ret == 0


def test_the_papers_remote_experiment(
    lab: SshLab, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T20's T3, at one size; what takes more cables than there are skips, and says so."""
    chosen = ["-k", "1500 and (1vs1 or 8vs8)", "-rs"]
    found = suite_of_ours(lab, pytester, monkeypatch, "test_vswitch_remote.py", *chosen)
    outcomes = found.parseoutcomes()
    assert (outcomes["passed"], outcomes["skipped"], found.ret) == (1, 1, 0)
    found.stdout.fnmatch_lines(["*16 cables from gen to dut are needed, the testbed file has 2*"])


def test_a_virtual_machine_on_another_host(lab: SshLab, run: Run, needs: Callable[[str], None]) -> None:
    needs("vm")
    ours = Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".cache" / "pytest-nfv" / "vm"
    vm_kernel.fetch(LocalHost(), ours)
    cache = lab.folder / "dut-home" / ".cache" / "pytest-nfv"  # it reaches no archive: it has the kernel already
    cache.mkdir(parents=True)
    (cache / "vm").symlink_to(ours)
    suite = """
from pytest_nfv import PVP, VNF, L3Fwd, PacketRate

def test_guest(deploy, vswitch):
    traffic = deploy(PVP(vswitch, VNF(L3Fwd(10), host="vm")))
    gate = traffic.sustains(PacketRate(500.0), frame_size=64)
    assert gate
    assert [guest.name for guest in gate.trials[-1].guests] == ["vnf0"]
"""
    run(lab, suite, "--nfv-vswitch=linux-bridge", "-rs").assert_outcomes(passed=1)


def test_a_plan_asks_no_host(tmp_path: Path, pytester: pytest.Pytester) -> None:
    (tmp_path / "lab.toml").write_text(lab_file({"a": 0, "b": 0, "gen": 1}, IN_A_ROW))
    pytester.makepyfile(test_rig=SUITE)
    where = [f"--nfv-testbed={tmp_path / 'lab.toml'}", "--nfv-host=dut1", "--nfv-vswitch=linux-bridge"]
    found = pytester.runpytest_subprocess(*where, "--nfv-plan")
    assert found.ret == 0
    found.stdout.fnmatch_lines(
        [
            "*device P2P(linux-bridge, both ways) on a, core 0, ports eth1 (eth1), eth2 (eth2)",
            "*generator on gen, core 1, ports eth1 (eth1), eth2 (eth2)",
            "*vnf2 L2Fwd by kernel in namespace on core 0",
        ]
    )


def test_a_chain_goes_on_from_host_to_host(tmp_path: Path, run: Run, needs: Callable[[str], None]) -> None:
    needs("sshd")
    suite = """
from pytest_nfv import Chain, VNF, Firewall, L2Fwd, L3Fwd, kpps

def test_chain(deploy, vswitch):
    chain = Chain(vswitch, [VNF(Firewall(10)), VNF(L3Fwd(10)), VNF(L3Fwd(10))], bidirectional=True)
    traffic = deploy(chain)
    gate = traffic.sustains(2 * kpps, frame_size=128)
    assert gate
    way = [hop.place for hop in gate.trials[-1].hops if hop.direction.tx == 0]
    print("WAY", [place.split()[0] for place in way])
"""
    with ssh_lab(tmp_path, hosts=("gen", "a", "b"), wires=IN_A_ROW) as lab:
        (tmp_path / "lab.toml").write_text(lab_file({"a": 0, "b": 0, "gen": 1}, IN_A_ROW))
        result = run(lab, suite, "--nfv-vswitch=linux-bridge", "-s")
        result.assert_outcomes(passed=1)
        (line,) = [one for one in result.outlines if "WAY" in one]
        places = ["a"] * 2 + ["vnf0"] * 2 + ["a"] * 2 + ["vnf1"] * 2 + ["a"] * 2
        places += ["b"] * 2 + ["vnf2"] * 2 + ["b"] * 2 + ["generator"]
        assert line.endswith(f"WAY {places}")
        assert as_they_were(lab)


def inside(host: LabHost, *argv: str) -> list[str]:
    """Return a command that runs on a host, not by SSH."""
    return ["nsenter", "-t", str(host.pid), "-m", "-n", "-u", *argv]


@pytest.mark.parametrize("name", ["dut", "gen"])
def test_a_cable_of_ssh_that_is_cut_in_a_trial(
    lab: SshLab, run: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It is an error at once that names the host; the host puts itself back, though nobody can reach it."""
    host = lab.hosts[name]
    meanwhile(monkeypatch, *inside(host, "ip", "link", "set", "mgmt", "down"))
    result = run(lab, LONG, "--nfv-vswitch=linux-bridge", "-rE")
    assert result.duration < TRIAL_S  # told at once, not at the trial's end
    assert result.ret == 1
    assert result.parseoutcomes()["errors"] >= 1
    result.stdout.fnmatch_lines([f"*{name}*", "*connection was lost*"])
    wait_for(lambda: as_they_were(lab), 60)
    host.mend()
    run(lab, SUITE, "--nfv-vswitch=linux-bridge", "-k", "switch").assert_outcomes(passed=1, deselected=1)


def test_an_sshd_that_ends_in_a_trial(lab: SshLab, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connections end with it: whoever used them is told at once, and everything is put back.

    A later test stops at once, saying why: nobody holds the host for it any more.
    """
    kill = f"for p in $(pgrep sshd); do [ /proc/$p/ns/net -ef /proc/{lab.dut.pid}/ns/net ] && kill -9 $p; done"
    meanwhile(monkeypatch, "sh", "-c", kill)
    result = run(lab, LONG + AFTERWARDS, "--nfv-vswitch=linux-bridge", "-rE")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*on dut:*", "*the connection was lost*", "*testbed * broke earlier: *agent on dut*"]
    )
    wait_for(lambda: as_they_were(lab), 60)


def test_a_pytest_that_is_killed_leaves_nothing_on_the_hosts(
    lab: SshLab, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, "sh", "-c", "kill -9 $PPID")
    result = run(lab, LONG, "--nfv-vswitch=ovs")
    assert result.ret == -signal.SIGKILL
    wait_for(lambda: as_they_were(lab), 60)
    run(lab, SUITE, "--nfv-vswitch=linux-bridge", "-k", "switch").assert_outcomes(passed=1, deselected=1)
