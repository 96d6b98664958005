"""Runs that want the same machine at once: one waits, and nobody measures while another does."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_nfv.hosts.host_lock import HostLock
from tests.functional.conftest import Suite, wait_for

# Notes when it has the machine; the deployment is the lock's.
SUITE = """
import os
import time
from pathlib import Path
import pytest
from pytest_nfv import P2P, kpps

def noted(what):
    with Path("times").open("a") as file:
        file.write(f"{os.getpid()} {what} {time.time()}\\n")

@pytest.mark.parametrize("number", range(2))
def test_rate(deploy, vswitch, number):
    traffic = deploy(P2P(vswitch, bidirectional=bool(number)))
    noted("begin")
    assert traffic.sustains(5 * kpps, frame_size=64)
    noted("end")
"""
INNER = """
import os
import subprocess
import sys
from pytest_nfv import P2P, kpps

def test_outer(deploy, vswitch):
    traffic = deploy(P2P(vswitch))
    cores = "0-%d" % (os.cpu_count() - 1)  # the outer run keeps what it starts off the device's
    argv = ["taskset", "-c", cores, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    options = ["--nfv-link=10MbE", "--nfv-duration=300ms", "--nfv-lock-timeout=0s", "--nfv-retry-invalid=20"]
    inner = subprocess.run([*argv, *options, "test_inner.py"], capture_output=True, text=True)
    assert inner.returncode == 0, inner.stdout + inner.stderr
    assert "1 passed" in inner.stdout
"""
QUICK = """
from pytest_nfv import P2P, kpps

def test_inner(deploy, vswitch):
    assert deploy(P2P(vswitch)).sustains(5 * kpps, frame_size=64)
"""

pytestmark = pytest.mark.usefixtures("nothing_left", "_machine")


@pytest.fixture
def _machine(needs: Callable[[str], None]) -> None:
    for name in ("netns", "two-cores", "linux-bridge"):
        needs(name)


@pytest.fixture
def first(suite: Suite) -> Iterator[subprocess.Popen[str]]:
    """A run that measures, and holds this machine."""
    suite.write(SUITE)
    process = suite.start("--nfv-duration=5s")
    wait_for((suite.folder / "times").exists, "the first run to measure")
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def times(suite: Suite) -> list[tuple[int, str, float]]:
    lines = [line.split() for line in (suite.folder / "times").read_text().splitlines()]
    return [(int(pid), what, float(at)) for pid, what, at in lines]


def said_until_it_waits(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = ""
    while "is held by" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


def test_a_second_run_waits_and_then_measures(suite: Suite, first: subprocess.Popen[str]) -> None:
    status, text = suite.run()
    assert status == 0, text
    out, _ = first.communicate(timeout=60)
    assert first.returncode == 0, out
    waiting = [line for line in text.splitlines() if "is held by" in line]
    assert len(waiting) == 1, text
    assert re.search(rf"host local is held by \S+@\S+ since \d\d:\d\d \(run \w+, pid {first.pid}: pytest ", text)
    assert "waiting, for 600 s at most (--nfv-lock-timeout)" in text
    assert "held by" not in out
    ended = max(at for pid, _, at in times(suite) if pid == first.pid)
    began = min(at for pid, _, at in times(suite) if pid != first.pid)
    assert ended < began, times(suite)


def test_a_run_that_may_not_wait_fails_naming_the_holder(suite: Suite, first: subprocess.Popen[str]) -> None:
    status, text = suite.run("--nfv-lock-timeout=0s")
    assert status == 1, text
    assert "2 errors" in text
    assert re.search(rf"host local is held by .*pid {first.pid}: pytest .*; waited 0 s \(--nfv-lock-time", text)
    assert "testbed local broke earlier: host local is held by" in text  # the second test asks no more
    assert first.poll() is None


@pytest.mark.parametrize("agent_too", [False, True])
def test_a_killed_holder_gives_it_up_at_once(suite: Suite, first: subprocess.Popen[str], agent_too: bool) -> None:
    second = suite.start("--nfv-lock-timeout=60s")
    said = said_until_it_waits(second)
    agents = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdecimal() and f"--parent\0{first.pid}\0".encode() in (entry / "cmdline").read_bytes()
    ]
    assert len(agents) == 1
    killed = time.time()
    os.kill(first.pid, signal.SIGKILL)
    if agent_too:
        os.kill(agents[0], signal.SIGKILL)
    out, _ = second.communicate(timeout=90)
    assert second.returncode == 0, said + out
    began = min(at for pid, _, at in times(suite) if pid == second.pid)
    assert began - killed < 10.0


def test_ctrl_c_ends_the_waiting(suite: Suite, first: subprocess.Popen[str]) -> None:
    second = suite.start()
    said = said_until_it_waits(second)
    os.kill(second.pid, signal.SIGINT)
    out, _ = second.communicate(timeout=20)
    assert second.returncode == pytest.ExitCode.INTERRUPTED, said + out
    assert {pid for pid, _, _ in times(suite)} == {first.pid}
    assert first.poll() is None


def test_a_run_within_the_holders_does_not_wait_for_it(suite: Suite) -> None:
    suite.write(INNER)
    (suite.folder / "test_inner.py").write_text(QUICK)
    status, text = suite.run()
    assert status == 0, text


def test_a_worker_of_xdist_holds_the_machine_too(suite: Suite, first: subprocess.Popen[str]) -> None:
    status, text = suite.run("-n", "1", "--nfv-lock-timeout=0s")
    assert status == 1, text
    assert "is held by" in text
    first.communicate(timeout=60)
    status, text = suite.run("-n", "1", "--nfv-report=out", "-W", "error")
    assert status == 0, text
    record = json.loads((suite.folder / "out" / "record.json").read_text())
    assert [one["outcome"] for one in record["results"]] == ["passed"] * 2
    assert set(record["environment"]["host"]) == {"local"}


def test_a_waiting_worker_of_xdist_says_so(suite: Suite, first: subprocess.Popen[str]) -> None:
    status, text = suite.run("-n", "1")
    assert status == 0, text
    assert f"pid {first.pid}: pytest" in text


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be two users")
def test_users_see_one_anothers_locks() -> None:
    folder = Path(tempfile.mkdtemp(prefix="nfv-lock-"))  # whose parents every user may enter
    folder.chmod(0o1777)
    lock = HostLock([folder])
    try:
        assert lock.take("root@here", "", "root01", 1, "") is None
        assert as_nobody(folder) == "root@here"
        lock.release()
        lock.path.write_text("left by root")  # as after kill -9: nobody can write it, and not remove it
        lock.path.chmod(0o666)
        assert as_nobody(folder) == ""
        assert lock.path.exists()
        lock.path.unlink()
        assert as_nobody(folder) == ""
        assert list(folder.iterdir()) == []
    finally:
        lock.release()
        for left in folder.iterdir():
            left.unlink()
        folder.rmdir()


def as_nobody(folder: Path) -> str:
    """Take the lock as a user without rights; return who holds it, empty where it was free."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            lock = HostLock([folder])
            held = lock.take("nobody@here", "", "nobod1", 1, "")
            lock.release()
            os.write(writer, str((held or {}).get("who", "")).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with open(reader) as pipe:
        said = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return said


def test_a_run_without_rights_holds_the_machine_as_others_do(suite: Suite, first: subprocess.Popen[str]) -> None:
    suite.write(SUITE)
    rootless = (
        "from pathlib import Path; from pytest_nfv.hosts.hold import Claim, hold;"
        "from pytest_nfv.hosts.lab import Lab; from pytest_nfv.hosts.local import LocalHost;"
        "from pytest_nfv.hosts.run_id import new_run_id as new;"
        "run = new(); lab = Lab(LocalHost(run), run, True);"
        "claim = Claim.of_this_process(run, []); print((lab.hold(claim) or {}).get('pid')); lab.close()"
    )
    argv = [sys.executable, "-c", rootless]
    held = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    if "cannot" in held.stderr or "is refused" in held.stderr:
        pytest.skip(f"no user namespaces here: {held.stderr.splitlines()[-1]}")
    assert held.stdout == f"{first.pid}\n", held.stderr
    first.communicate(timeout=60)
    assert subprocess.run(argv, capture_output=True, text=True, timeout=60).stdout == "None\n"
