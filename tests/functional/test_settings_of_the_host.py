"""Settings of a host, changed by real agents and put back whoever is killed, on a tree made for the test.

The tree stands in for /sys/devices/system/cpu inside a mount namespace, so that pytest, its agent and the reaper
run as they do anywhere; where the machine has cpufreq, its own is exercised, too.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_nfv.errors import CapabilityMissing
from pytest_nfv.hosts import userns
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.marks import Mark
from pytest_nfv.hosts.reap import reap
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.hosts.tuning.cpufreq import frequencies, policy
from pytest_nfv.hosts.tuning.protocol import Scope
from tests.functional.conftest import Suite, wait_for
from tests.unit.cpu_tree import CPU, make_tree, read

CPUS = Path("/") / CPU
FILE = """
[testbed.bench]
kind = "local"
device_cores = [{device}]
generator_cores = [{generator}]
may_change = ["cpu-frequency"]
"""
SUITE = """
    from pytest_nfv import P2P, PacketRate

    def test_clocked(deploy, cpu_freq):
        assert deploy(P2P("linux-bridge")).sustains(PacketRate(1000.0), frame_size=64)
"""

needs_mounts = pytest.mark.skipif(
    not userns.privileged(), reason="a /sys made for the test is mounted over this machine's: run as root"
)


class Agent:
    """A real agent on a made tree, with a parent of its own to be killed."""

    def __init__(self, tree: Path, marks: Path, run: str) -> None:
        self.mark = Mark.make(run, marks)
        self.mark.make_directory()
        argv = [sys.executable, "-P", "-m", "pytest_nfv.hosts.agent", "--run", run, "--parent", str(os.getpid())]
        argv += ["--mark", str(self.mark.path), "--root", str(tree)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            argv, stdin=pipe, stdout=pipe, text=True, pass_fds=[self.mark.descriptor], start_new_session=True
        )
        self.answer()

    def ask(self, line: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self, number: signal.Signals | None = None) -> None:
        if number is not None:
            self.process.send_signal(number)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()
        self.mark.release()


GOVERNOR = '{"op": "tune", "setting": "governor", "value": "performance", "cores": [0, 1], "interfaces": []}'


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    marks = tmp_path / "marks"
    marks.mkdir()
    one = Agent(make_tree(tmp_path / "root"), marks, new_run_id())
    yield one
    if one.process.poll() is None:
        one.end(signal.SIGKILL)


@pytest.mark.parametrize(
    "number", [None, signal.SIGTERM, signal.SIGKILL], ids=["stdin ends", "SIGTERM", "SIGKILL"]
)
def test_what_an_agent_set_is_put_back_however_it_ends(
    agent: Agent, tmp_path: Path, number: signal.Signals | None
) -> None:
    tree = tmp_path / "root"
    before = read(tree)
    assert agent.ask(GOVERNOR) == '{"ok": []}\n'
    assert read(tree)[f"{CPU}/cpu1/cpufreq/scaling_governor"] == "performance"
    agent.end(number)
    found = reap(directory=tmp_path / "marks", named=tmp_path / "none")
    assert any("scaling_governor" in one for one in found) is (number is signal.SIGKILL)
    assert read(tree) == before


def in_a_sys_of_its_own(tree: Path) -> tuple[str, ...]:
    """Return what starts a command with the tree's cores in place of the machine's."""
    mount = f'mount --bind {tree / CPU} {CPUS} && exec "$@"'
    return ("unshare", "--mount", "sh", "-c", mount, "sh")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with as many cores as we may use, and their sockets."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        pytest.skip("device and generator take a core each: give this process two")
    return make_tree(tmp_path / "root", cores=allowed)


@pytest.fixture
def bench(suite: Suite, tree: Path) -> Suite:
    """A suite on a testbed that lets the clock be changed."""
    device, *_, generator = sorted(os.sched_getaffinity(0))
    (suite.folder / "lab.toml").write_text(FILE.format(device=device, generator=generator))
    suite.write("\n".join(line.removeprefix("    ") for line in SUITE.splitlines()))
    return suite


OPTIONS = ("--nfv-testbed=lab.toml", "--nfv-host=bench")


@needs_mounts
@pytest.mark.usefixtures("nothing_left")
def test_a_run_clocks_the_device_proves_it_and_puts_it_back(bench: Suite, tree: Path) -> None:
    before = read(tree)
    status, out = bench.run(
        *OPTIONS, "--nfv-cpu-freq=1.6GHz,1.2GHz", "--nfv-report=report", "-v", prefix=in_a_sys_of_its_own(tree)
    )
    assert status == 0, out
    assert "2 passed" in out
    record = (bench.folder / "report" / "record.json").read_text()
    for hz in ("1600000000.0", "1200000000.0"):
        assert f'"frequency_hz": {hz}' in record
    assert "device cores held at 1.2 GHz" in record
    assert read(tree) == before


@needs_mounts
@pytest.mark.usefixtures("nothing_left")
def test_a_clock_that_is_not_what_was_asked_makes_the_trial_invalid(bench: Suite, tree: Path) -> None:
    for core in os.sched_getaffinity(0):
        current = tree / CPU / f"cpu{core}/cpufreq/scaling_cur_freq"
        current.unlink()
        current.write_text("1700000\n")
    before = read(tree)
    options = (*OPTIONS, "--nfv-cpu-freq=1.6GHz", "--nfv-retry-invalid=1")
    status, out = bench.run(*options, prefix=in_a_sys_of_its_own(tree))
    assert status == 1, out
    assert "was clocked at 1.7 GHz, not at the 1.6 GHz that were asked" in " ".join(out.split())
    assert "1 invalid" in out
    assert read(tree) == before


@needs_mounts
@pytest.mark.usefixtures("nothing_left")
def test_an_unavailable_clock_lists_the_available(bench: Suite, tree: Path) -> None:
    before = read(tree)
    status, out = bench.run(*OPTIONS, "--nfv-cpu-freq=1.7GHz", prefix=in_a_sys_of_its_own(tree))
    assert status == 1, out
    assert "has 1.2 GHz, 1.6 GHz, 2.4 GHz (acpi-cpufreq" in " ".join(out.split())
    assert read(tree) == before


@needs_mounts
@pytest.mark.usefixtures("nothing_left")
def test_a_host_without_cpufreq_skips(bench: Suite, tree: Path) -> None:
    for core in os.sched_getaffinity(0):
        shutil.rmtree(tree / CPU / f"cpu{core}/cpufreq")
    status, out = bench.run(*OPTIONS, "--nfv-cpu-freq=1.6GHz", "-rs", prefix=in_a_sys_of_its_own(tree))
    assert status == 0, out
    assert "1 skipped" in out
    assert "no cpufreq driver, as in most virtual machines; run on the machine itself" in " ".join(out.split())


@needs_mounts
@pytest.mark.usefixtures("nothing_left")
def test_a_host_is_prepared_as_far_as_it_lets(bench: Suite, tree: Path) -> None:
    """Governor, turbo and C-states are set while the run lasts, and what its record says of readiness is after."""
    file = bench.folder / "lab.toml"
    file.write_text(file.read_text().replace('["cpu-frequency"]', '["governor", "turbo", "c-states", "offloads"]'))
    before = read(tree)
    device = min(os.sched_getaffinity(0))
    seen = f"{CPUS}/cpu{device}/cpufreq/scaling_governor"
    bench.write(
        f"""
from pathlib import Path
from pytest_nfv import P2P, PacketRate

def test_prepared(deploy):
    traffic = deploy(P2P("linux-bridge"))
    assert Path("{seen}").read_text() == "performance\\n"
    assert Path("{CPUS}/intel_pstate/no_turbo").read_text() == "1\\n"
    assert traffic.sustains(PacketRate(1000.0), frame_size=64)
"""
    )
    status, out = bench.run(*OPTIONS, "--nfv-report=report", prefix=in_a_sys_of_its_own(tree))
    assert status == 0, out
    record = json.loads((bench.folder / "report" / "record.json").read_text())
    host = record["environment"]["host"]["bench"]
    assert host["cores"][str(device)]["governor"] == "performance"
    told = " ".join(one["text"] for one in host["readiness"])
    assert "governor" not in told
    assert "turbo" not in told
    assert f"device linux-bridge on core {device}" in record["plan"][0]
    assert read(tree) == before


@needs_mounts
@pytest.mark.usefixtures("nothing_left")
def test_killed_with_its_agent_it_leaves_a_clock_that_reap_puts_back(bench: Suite, tree: Path) -> None:
    before = read(tree)
    inside = in_a_sys_of_its_own(tree)
    process = bench.start(*OPTIONS, "--nfv-cpu-freq=1.2GHz", "--nfv-duration=60s", prefix=inside)
    device = min(os.sched_getaffinity(0))
    clock = tree / CPU / f"cpu{device}/cpufreq/scaling_min_freq"
    low = tree / CPU / f"cpu{device}/cpufreq/scaling_max_freq"
    try:
        wait_for(lambda: low.read_text() == "1200000\n", "the clock was not set", 60.0)
        agents = [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdecimal() and is_agent_of(entry, process.pid)
        ]
        assert len(agents) == 1
        for pid in (agents[0], process.pid):  # the agent first: it would put all back when pytest ends
            os.kill(pid, signal.SIGSTOP)
        for pid in (agents[0], process.pid):
            os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=30)
        assert (clock.read_text(), low.read_text()) == ("1200000\n", "1200000\n")
        assert read(tree) != before
        # As in a later run, in the same /sys.
        argv = [*inside, sys.executable, "-m", "pytest_nfv", "reap"]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout
        assert f"removed change of file:{CPUS}/cpu{device}/cpufreq/scaling_max_freq" in said
        assert read(tree) == before
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def is_agent_of(entry: Path, parent: int) -> bool:
    try:
        words = (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"pytest_nfv.hosts.agent" in words and str(parent).encode() in words


@pytest.mark.usefixtures("nothing_left")
def test_the_clock_of_this_machine(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    try:
        folder = policy(core, Scope())
    except CapabilityMissing as missing:
        pytest.skip(str(missing))
    names = ("scaling_min_freq", "scaling_max_freq", "scaling_governor")
    before = [(folder / name).read_text() for name in names]
    lowest = (frequencies(folder) or [f"{(folder / 'cpuinfo_min_freq').read_text().strip()}kHz"])[0]
    lab = Lab(LocalHost(), new_run_id(), directory=tmp_path)
    try:
        lab.tune("cpu-frequency", str(lowest), cores=[core])
        assert [(folder / name).read_text() for name in names] != before
    except CapabilityMissing as missing:
        pytest.skip(str(missing))
    finally:
        lab.close()
    assert [(folder / name).read_text() for name in names] == before


STAND_IN = """
import os, signal, sys
from pathlib import Path
from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
lab = Lab(LocalHost(sys.argv[1]), sys.argv[1])
lab.tune("governor", "performance", cores=[int(sys.argv[2])])
print(Path(sys.argv[3]).read_text(), end="")
os.kill(lab._link.pid, signal.SIGKILL)
try:
    lab.tune("governor", "powersave", cores=[int(sys.argv[2])])
except DeploymentError as error:
    print("agent is broken" in str(error))
lab.close()
"""


@needs_mounts
@pytest.mark.usefixtures("nothing_left")
def test_an_agent_that_died_is_stood_in_for(tree: Path) -> None:
    """The lab plays the journal back itself where the agent cannot any more."""
    before, core = read(tree), min(os.sched_getaffinity(0))
    governor = f"{CPUS}/cpu{core}/cpufreq/scaling_governor"
    argv = [*in_a_sys_of_its_own(tree), sys.executable, "-c", STAND_IN, new_run_id(), str(core), governor]
    out = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout
    assert out == "performance\nTrue\n"
    assert read(tree) == before
