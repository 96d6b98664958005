"""Where VNFs run: namespaces of their own and LXC containers; what they see, their limits, and that they go."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_nfv.errors import CapabilityMissing, CommandError, ConfigurationError, DeploymentError
from pytest_nfv.hosts import cgroups, remains, userns
from pytest_nfv.hosts.lab import Lab, VethEnd
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.reap import reap
from pytest_nfv.hosts.run_id import RUN_VARIABLE, new_run_id
from pytest_nfv.vnfs.lxc import LxcVnf
from pytest_nfv.vnfs.lxc_config import Mount
from pytest_nfv.vnfs.namespace import NamespaceVnf

DEADLINE_S = 20.0
GREEDY = "x = bytearray(64 << 20); print(len(x))"
pytestmark = pytest.mark.skipif(not userns.privileged(), reason="mounts and control groups take root")

HOLDER = """
import json, sys
from pathlib import Path
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.vnfs.lxc import LxcVnf
from pytest_nfv.vnfs.namespace import NamespaceVnf
kind, run, marks = sys.argv[1:]
lab = Lab(LocalHost(run), run, False, Path(marks))
space = lab.namespace("vnf")
if kind == "lxc":
    vnf = LxcVnf(lab, space, memory_mib=64)
    vnf.start_container()
    child = vnf.start(["sleep", "600"])
else:
    vnf = NamespaceVnf(lab, space, memory_mib=64)
    child = vnf.start(["sleep", "600"])
print(json.dumps({"agent": lab._link.pid}), flush=True)
sys.stdin.read()
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    run_id = new_run_id()
    the_lab = Lab(LocalHost(run_id), run_id, False, tmp_path)
    yield the_lab
    the_lab.close()
    assert left_of(run_id, tmp_path) == []


def left_of(run_id: str, directory: Path) -> list[str]:
    """Return everything on the machine that is of the run."""
    return [
        *map(str, remains.namespaces_of(run_id)),
        *(f"process {pid}" for pid in remains.processes_of(run_id)),
        *map(str, cgroups.groups_of(run_id)),
        *(str(path) for path in directory.iterdir() if run_id in path.name),
        *(line for line in Path("/proc/mounts").read_text().splitlines() if run_id in line),
    ]


@pytest.fixture
def space(lab: Lab) -> NamespaceHost:
    gen, vnf = lab.namespace("gen"), lab.namespace("vnf")
    lab.veth(VethEnd(gen, "g0", "02:6e:66:00:01:00"), VethEnd(vnf, "nic0", "02:6e:66:00:00:00"), 1500)
    return vnf


@pytest.fixture
def container(
    lab: Lab, space: NamespaceHost, lacks: Callable[[CapabilityMissing], None], request: pytest.FixtureRequest
) -> Iterator[LxcVnf]:
    settings = getattr(request, "param", {})
    (lab.directory / "sockets").mkdir()
    vnf = LxcVnf(lab, space, mounts=[Mount(lab.directory / "sockets", writable=True)], **settings)
    try:
        vnf.start_container()
    except CapabilityMissing as missing:
        lacks(missing)
    yield vnf
    vnf.stop()
    vnf.stop()


def limited(
    lab: Lab, space: NamespaceHost, lacks: Callable[[CapabilityMissing], None], mebibytes: int
) -> NamespaceVnf:
    try:
        return NamespaceVnf(lab, space, memory_mib=mebibytes)
    except CapabilityMissing as missing:
        lacks(missing)
        raise


def test_enclosed_it_sees_itself_and_its_interfaces(lab: Lab, space: NamespaceHost) -> None:
    vnf = NamespaceVnf(lab, space, cores=[min(os.sched_getaffinity(0))])
    code = """
import os
numbers = sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())
print(os.getpid(), numbers, sorted(os.listdir("/sys/class/net")), sorted(os.sched_getaffinity(0)))
"""
    told = vnf.run(python(code)).stdout
    assert told == f"2 [1, 2] ['lo', 'nic0'] [{min(os.sched_getaffinity(0))}]\n"
    assert vnf.read_text("/sys/class/net/nic0/address").strip() == "02:6e:66:00:00:00"


def test_mounts_of_the_enclosed_are_nobody_elses(lab: Lab, space: NamespaceHost, tmp_path: Path) -> None:
    vnf = NamespaceVnf(lab, space)
    target = tmp_path / "there"
    target.mkdir()
    script = f"mount -t tmpfs none {target} && touch {target}/inside && ls {target}"
    assert vnf.run(["sh", "-c", script]).stdout == "inside\n"
    assert list(target.iterdir()) == []


def test_the_enclosed_end_as_any_command_does(lab: Lab, space: NamespaceHost) -> None:
    vnf = NamespaceVnf(lab, space)
    assert vnf.run(python("import sys; sys.exit(3)"), check=False).status == 3
    assert vnf.run(python("import os; os.kill(os.getpid(), 9)"), check=False).status == -signal.SIGKILL
    with pytest.raises(CommandError, match="No such file or directory"):
        vnf.run(["/nonexistent/vnf"])
    sleeper = vnf.start(["sleep", "600"])
    assert sleeper.stop(0.3) == -signal.SIGTERM
    stubborn = vnf.start(
        python("import signal, time; signal.signal(15, lambda *_: print(1))\nwhile 1: time.sleep(9)")
    )
    assert stubborn.stop(0.3) == -signal.SIGKILL


def test_last_words_of_the_enclosed_are_kept(lab: Lab, space: NamespaceHost) -> None:
    vnf = NamespaceVnf(lab, space)
    process = vnf.start(python("import sys; sys.exit('no huge pages')"))
    until(lambda: process.poll() is not None)
    assert process.stderr_tail() == "no huge pages\n"
    assert process.stop() == 1


def test_what_the_enclosed_leave_running_ends_with_them(lab: Lab, space: NamespaceHost) -> None:
    vnf = NamespaceVnf(lab, space)
    code = """
import os
if os.fork() == 0:
    os.setsid()
    for number in (0, 1, 2):
        os.close(number)
    os.execvp("sleep", ["sleep", "600"])
"""
    vnf.run(python(code))
    until(lambda: not sleepers(lab.run_id))


def sleepers(run_id: str) -> list[int]:
    return [pid for pid in remains.processes_of(run_id) if b"sleep" in command_of(pid)]


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""  # ended meanwhile


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_memory_of_the_enclosed_is_limited(
    lab: Lab, space: NamespaceHost, lacks: Callable[[CapabilityMissing], None]
) -> None:
    vnf = limited(lab, space, lacks, 32)
    assert vnf.run(python(GREEDY), check=False).status == -signal.SIGKILL
    assert limited(lab, space, lacks, 512).run(python(GREEDY)).stdout == f"{64 << 20}\n"


def test_a_limit_too_small_to_start_in(lab: Lab, space: NamespaceHost) -> None:
    with pytest.raises(ConfigurationError, match="memory_mib=1: accepted: 0 for no limit, or 16 MiB and more"):
        NamespaceVnf(lab, space, memory_mib=1)
    with pytest.raises(ConfigurationError, match="memory_mib=1: accepted: 0 for no limit, or 4 MiB and more"):
        LxcVnf(lab, space, memory_mib=1)


def test_without_a_memory_controller_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(CapabilityMissing, match="memory-limit: no memory controller is mounted below"):
        cgroups.memory_hierarchy(tmp_path)
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    (tmp_path / "cgroup.subtree_control").write_text("cpu\n")
    assert cgroups.memory_hierarchy(tmp_path).version == 2
    with pytest.raises(CapabilityMissing, match="hands no memory controller down"):
        cgroups.limit_memory("nfv-abcde-vnf", 64, tmp_path)


@pytest.mark.parametrize("container", [{"cores": [min(os.sched_getaffinity(0))], "memory_mib": 64}], indirect=True)
def test_a_container_is_busybox_with_the_interfaces_of_its_namespace(container: LxcVnf) -> None:
    container.check()
    assert container.run(["readlink", "/bin/ls"]).stdout == "busybox\n"
    assert container.run(["ls", "/"]).stdout.split() == ["bin", "dev", "etc", "proc", "run", "sys", "tmp", "usr"]
    assert container.run(["hostname"]).stdout == "vnf\n"
    interfaces = container.run(["cat", "/proc/net/dev"]).stdout
    assert "nic0:" in interfaces
    assert "g0:" not in interfaces
    allowed = container.run(["grep", "Cpus_allowed_list", "/proc/1/status"]).stdout
    assert allowed.split()[1] == str(min(os.sched_getaffinity(0)))
    assert f"{RUN_VARIABLE}=" in container.run(["cat", "/proc/1/environ"]).stdout
    assert container.run(["cat", "/proc/1/comm"]).stdout == "sh\n"
    limits = [path for path in cgroups.groups_of(run_of(container)) if limit_of(path) == 64 << 20]
    assert limits, "no control group of the run has the limit"


def run_of(container: LxcVnf) -> str:
    return container._namespace.run_id


def limit_of(group: Path) -> int:
    for name in ("memory.max", "memory.limit_in_bytes"):
        if (group / name).is_file():
            text = (group / name).read_text().strip()
            return int(text) if text.isdecimal() else 0
    return 0


def test_a_directory_of_sockets_is_seen_in_a_container(lab: Lab, container: LxcVnf) -> None:
    sockets = lab.directory / "sockets"
    container.run(["touch", f"{sockets}/from-inside"])
    assert (sockets / "from-inside").exists()


def test_commands_in_a_container_talk_fail_and_stop(container: LxcVnf) -> None:
    process = container.start(["cat"])
    process.stdin.write("words\n")
    process.stdin.flush()
    assert process.stdout.readline() == "words\n"
    assert process.stop() == 0
    with pytest.raises(CommandError, match="exit status 127"):
        container.run(["/nonexistent/vnf"])
    sleeper = container.start(["sleep", "601"])
    assert sleeper.stop(0.3) == 128 + signal.SIGTERM
    stubborn = container.start(["sh", "-c", "trap '' TERM; echo stubborn; while :; do sleep 9; done"])
    assert stubborn.stdout.readline() == "stubborn\n"
    assert stubborn.stop(0.3) == 128 + signal.SIGKILL
    assert "stubborn" not in container.run(["ps"]).stdout


def test_a_container_that_exits_is_told_with_its_console(container: LxcVnf) -> None:
    container.run(["sh", "-c", "echo out of routes > /proc/1/fd/2"])
    init = container._container
    assert init is not None
    init.stdin.close()
    until(lambda: init.poll() is not None)
    with pytest.raises(DeploymentError, match=r"the container ended with status .*\n(?s:.*)out of routes"):
        container.check()
    with pytest.raises(DeploymentError, match="the container ended"):
        container.run(["ls"])


def test_a_container_that_cannot_start_says_why(lab: Lab, space: NamespaceHost, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    vnf = LxcVnf(lab, space, mounts=[Mount(gone)])
    gone.rmdir()
    with pytest.raises(DeploymentError, match=rf"ended with status \d+ before it was up\n(?s:.*){gone}"):
        vnf.start_container()
    assert not (lab.directory / "lxc" / space.namespace).exists()


def test_lxc_that_is_missing_names_the_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CapabilityMissing, match="lxc-start, lxc-attach not installed; apt-get install lxc"):
        LxcVnf.probe()
    for name in ("lxc-start", "lxc-attach"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(CapabilityMissing, match="busybox is not installed; apt-get install busybox-static"):
        LxcVnf.probe()
    os.symlink("/bin/ls", tmp_path / "busybox")
    with pytest.raises(CapabilityMissing, match=r"linked to libraries .*; apt-get install busybox-static"):
        LxcVnf.probe()


@pytest.mark.parametrize("path", ["sockets", "/nonexistent", "/tmp/with space"])
def test_a_mount_that_cannot_be(path: str) -> None:
    with pytest.raises(ConfigurationError, match=f"mount '{path}': accepted: the absolute path"):
        Mount(Path(path))


@pytest.mark.parametrize("kind", ["namespace", "lxc"])
@pytest.mark.parametrize("agent_too", [False, True], ids=["run killed", "agent killed too"])
def test_nothing_is_left_after_kill_9(
    tmp_path: Path, kind: str, agent_too: bool, lacks: Callable[[CapabilityMissing], None]
) -> None:
    try:
        cgroups.memory_hierarchy()
        if kind == "lxc":
            LxcVnf.probe()
    except CapabilityMissing as missing:
        lacks(missing)
    run_id = new_run_id()
    argv = [sys.executable, "-c", HOLDER, kind, run_id, str(tmp_path)]
    holder = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert select.select([holder.stdout], [], [], DEADLINE_S)[0]
    agent = json.loads(holder.stdout.readline())["agent"]
    until(lambda: bool(sleepers(run_id)))  # for a moment a command that begins shows no environment
    assert cgroups.groups_of(run_id)
    if agent_too:
        os.kill(agent, signal.SIGKILL)
    holder.kill()
    holder.communicate()
    if agent_too:
        removed: list[str] = []

        def reaped() -> bool:
            removed.extend(reap(directory=tmp_path))
            return bool(removed)

        until(reaped)
        assert any(one.startswith("control group ") for one in removed), removed
    until(lambda: left_of(run_id, tmp_path) == [])
