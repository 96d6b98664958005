"""Real namespaces: made, used, and gone again, however the run ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_nfv.errors import CapabilityMissing, ConfigurationError, DeploymentError
from pytest_nfv.hosts import netns, remains, userns
from pytest_nfv.hosts.lab import Lab, VethEnd
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.reap import reap
from pytest_nfv.hosts.run_id import new_run_id

DEADLINE_S = 30.0

needs_root = pytest.mark.skipif(
    not userns.privileged(), reason="named network namespaces take CAP_SYS_ADMIN and CAP_NET_ADMIN: run as root"
)


def made(rootless: bool | None, directory: Path, run_id: str = "") -> Lab:
    run = run_id or new_run_id()
    try:
        return Lab(LocalHost(run), run, rootless, directory)
    except CapabilityMissing as error:
        pytest.skip(str(error))


@pytest.fixture(params=[pytest.param(False, marks=needs_root, id="root"), pytest.param(True, id="rootless")])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    the_lab = made(request.param, tmp_path)
    yield the_lab
    the_lab.close()
    assert left_of(the_lab.run_id, tmp_path) == []


def left_of(run_id: str, directory: Path) -> list[str]:
    """Return everything on the machine that is of the run."""
    threads = [
        f"thread {name}"
        for path in Path("/proc").glob("[0-9]*/comm")
        if (name := text_of(path)).startswith("napi/") and run_id in name
    ]
    return [
        *map(str, remains.namespaces_of(run_id)),
        *(f"process {pid}" for pid in remains.processes_of(run_id)),
        *threads,
        *(str(path) for path in directory.iterdir() if run_id in path.name),
    ]


def text_of(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""  # ended meanwhile


def wait_until(reached: Callable[[], bool], what: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not reached():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


def wired(lab: Lab) -> tuple[NamespaceHost, NamespaceHost, str]:
    """Return two namespaces with a veth pair between them, and the second end's name."""
    gen, dut = lab.namespace("gen"), lab.namespace("dut")
    inner = f"s0-{lab.run_id}"
    lab.veth(
        VethEnd(gen, "g0", "02:6e:00:00:00:00", {"tso": False, "gso": False}),
        VethEnd(dut, inner, "02:6e:01:00:00:00", {"gro": True}),
        1400,
    )
    return gen, dut, inner


def test_veth_pair_is_as_asked(lab: Lab) -> None:
    gen, dut, inner = wired(lab)
    near, far = lab.links(gen)["g0"], lab.links(dut)[inner]
    assert (near.up, near.carrier, near.mtu, near.address) == (True, True, 1400, "02:6e:00:00:00:00")
    assert (far.up, far.carrier, far.mtu, far.address) == (True, True, 1400, "02:6e:01:00:00:00")
    assert gen.read_text("/sys/class/net/g0/address").strip() == near.address
    assert "g0" in gen.run(["cat", "/proc/net/dev"]).stdout
    assert "g0" not in lab.host.run(["cat", "/proc/net/dev"]).stdout


def test_kernel_puts_no_frames_of_its_own_on_links(lab: Lab) -> None:
    gen, dut, inner = wired(lab)
    for host, interface in ((gen, "g0"), (dut, inner)):
        assert host.notes == ()
        try:
            assert host.read_text(f"/proc/sys/net/ipv6/conf/{interface}/disable_ipv6").strip() == "1"
        except FileNotFoundError:
            assert not Path("/proc/sys/net/ipv6").exists()


def test_bridge_netfilter_is_off(lab: Lab) -> None:
    dut = lab.namespace("dut")
    lab.bridge(dut, "br0", "02:6e:02:00:00:00", [])
    for name in ("iptables", "ip6tables", "arptables"):
        assert dut.read_text(f"/sys/class/net/br0/bridge/nf_call_{name}").strip() == "0"
        try:
            assert dut.read_text(f"/proc/sys/net/bridge/bridge-nf-call-{name}").strip() == "0"
        except FileNotFoundError:
            assert not Path("/proc/sys/net/bridge").exists()
    assert dut.read_text("/sys/class/net/br0/bridge/stp_state").strip() == "0"


def test_napi_thread_of_an_interface_is_found_among_others(lab: Lab, tmp_path: Path) -> None:
    _, dut, inner = wired(lab)
    threads, note = lab.threaded(dut, inner)
    assert note == ""
    assert len(threads) == 1
    (tid, name) = next(iter(threads.items()))
    assert name.startswith(f"napi/{inner}-")
    assert text_of(Path(f"/proc/{tid}/comm")) == name
    core = max(os.sched_getaffinity(0))
    notes = lab.pin(threads, [core])
    assert bool(notes) != (os.sched_getaffinity(tid) == {core})


def test_same_role_twice_becomes_another_namespace(lab: Lab) -> None:
    one, two = lab.namespace("gen"), lab.namespace("gen")
    assert (one.role, two.role) == ("gen", "gen2")
    lab.remove(one)
    lab.remove(one)
    assert lab.namespace("gen").role == "gen"


def test_what_the_kernel_refuses_is_said(lab: Lab) -> None:
    gen, dut, _ = wired(lab)
    with pytest.raises(DeploymentError, match=r"cannot make veth pair g0 - s9: File exists"):
        lab.veth(VethEnd(gen, "g0", "02:6e:00:00:00:07"), VethEnd(dut, "s9", "02:6e:01:00:00:07"), 1500)
    with pytest.raises(DeploymentError, match="interface g7 is gone from"):
        lab.bridge(gen, "br0", "02:6e:02:00:00:00", ["g7"])
    with pytest.raises(ConfigurationError, match="'this-name-is-too-long': accepted: 1 to 15"):
        VethEnd(gen, "this-name-is-too-long", "02:6e:00:00:00:00")
    with pytest.raises(ConfigurationError, match="'Gen/1': accepted"):
        lab.namespace("Gen/1")


def test_processes_left_in_a_namespace_end_with_the_lab(lab: Lab) -> None:
    gen = lab.namespace("gen")
    process = gen.start([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"])
    lab.close()
    assert process.stop() == -signal.SIGKILL
    lab.close()
    with pytest.raises(DeploymentError, match="is closed"):
        lab.namespace("gen")


def test_dead_agent_is_told_and_still_put_back(lab: Lab) -> None:
    gen, _, _ = wired(lab)
    agent = agent_of(lab.run_id)
    os.kill(agent, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(DeploymentError, match="the run's agent is broken"):
            lab.links(gen)
    lab.close()


def agent_of(run_id: str) -> int:
    found = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if f"hosts.agent\0--run\0{run_id}\0" in text_of(path)
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_agent_that_is_asked_to_end_puts_back_first(lab: Lab, number: int, tmp_path: Path) -> None:
    wired(lab)
    os.kill(agent_of(lab.run_id), number)
    wait_until(lambda: left_of(lab.run_id, tmp_path) == [], lambda: left_of(lab.run_id, tmp_path))


@needs_root
def test_name_that_others_took_is_left_alone(tmp_path: Path) -> None:
    run_id = new_run_id()
    theirs = netns.make_named(f"nfv-{run_id}-gen")
    try:
        lab = made(False, tmp_path, run_id)
        try:
            with pytest.raises(
                DeploymentError, match=rf"namespace nfv-{run_id}-gen exists already and is not of this run"
            ):
                lab.namespace("gen")
        finally:
            lab.close()
        assert Path(theirs.path).exists()
    finally:
        theirs.remove()


def test_run_id_in_use_is_refused(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match=f"run {lab.run_id} is marked already"):
        Lab(LocalHost(), lab.run_id, directory=tmp_path)


PARENT = """
import os, sys, time
from pathlib import Path
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.vswitches.linux_bridge import LinuxBridge
run_id, directory, rootless = sys.argv[1:4]
print("begun", flush=True)
host = LocalHost(run_id)
lab = Lab(host, run_id, rootless == "True", Path(directory))
switch = LinuxBridge(lab, {})
switch.start(2, 1500, [0])
switch.generator_host.start([sys.executable, "-c", "import time; time.sleep(600)"])
host.start([sys.executable, "-c", "import time; time.sleep(600)"])
print("up", flush=True)
time.sleep(600)
"""


class Run:
    """A run in a process of its own, that can be killed."""

    def __init__(self, rootless: bool, directory: Path) -> None:
        self.run_id = new_run_id()
        argv = [sys.executable, "-c", PARENT, self.run_id, str(directory), str(rootless)]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def until(self, word: str) -> None:
        assert self.process.stdout is not None
        said = self.process.stdout.readline().strip()
        while said and said != word:
            said = self.process.stdout.readline().strip()
        assert said == word, self.process.communicate()[1]

    def kill(self) -> None:
        self.process.kill()
        # Not communicate: the agent, which outlives it for a while, holds no pipe of it, but a bug would hang us.
        self.process.wait(DEADLINE_S)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Callable[[bool], Run]]:
    begun: list[Run] = []

    def begin(rootless: bool) -> Run:
        made(rootless, tmp_path).close()  # or skip
        begun.append(Run(rootless, tmp_path))
        return begun[-1]

    yield begin
    for run in begun:
        run.kill()


ROOT_OR_NOT = pytest.mark.parametrize(
    "rootless", [pytest.param(False, marks=needs_root, id="root"), pytest.param(True, id="rootless")]
)


@ROOT_OR_NOT
@pytest.mark.parametrize("after_ms", range(0, 400, 40))
def test_killed_at_any_moment_it_leaves_nothing_after_the_next_start(
    rootless: bool, after_ms: int, runs: Callable[[bool], Run], tmp_path: Path
) -> None:
    run = runs(rootless)
    run.until("begun")
    time.sleep(after_ms / 1e3)  # the moment is what is tried here; nothing is waited for
    run.kill()

    def left() -> list[str]:
        reap(directory=tmp_path)
        return left_of(run.run_id, tmp_path)

    wait_until(lambda: left() == [], left)


@ROOT_OR_NOT
def test_agent_puts_back_by_itself_when_the_run_is_killed(
    rootless: bool, runs: Callable[[bool], Run], tmp_path: Path
) -> None:
    run = runs(rootless)
    run.until("up")
    assert left_of(run.run_id, tmp_path) != []
    run.kill()
    wait_until(lambda: left_of(run.run_id, tmp_path) == [], lambda: left_of(run.run_id, tmp_path))


@ROOT_OR_NOT
def test_reaper_takes_what_is_dead_and_leaves_what_lives(
    rootless: bool, runs: Callable[[bool], Run], tmp_path: Path
) -> None:
    alive = made(rootless, tmp_path)
    try:
        living = alive.namespace("gen")
        run = runs(rootless)
        run.until("up")
        assert reap(dry_run=True, directory=tmp_path) == []
        os.kill(agent_of(run.run_id), signal.SIGKILL)
        run.kill()
        mark = f"mark of run {run.run_id}"
        wait_until(
            lambda: mark in reap(dry_run=True, directory=tmp_path), lambda: "the lock of a dead run is held"
        )
        expected = reap(dry_run=True, directory=tmp_path)
        if not rootless:
            assert {f"network namespace nfv-{run.run_id}-{role}" for role in ("gen", "dut")} < set(expected)
        assert {thing for thing in expected if thing[:3] != "pro"} <= set(reap(directory=tmp_path))
        wait_until(lambda: left_of(run.run_id, tmp_path) == [], lambda: left_of(run.run_id, tmp_path))
        assert reap(directory=tmp_path) == []
        assert "lo" in living.run(["cat", "/proc/net/dev"]).stdout
    finally:
        alive.close()
