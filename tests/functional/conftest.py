"""What functional tests share: suites run in a pytest of their own, and what may not be left behind."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from pytest_nfv.hosts.hugepages import default_pool
from pytest_nfv.hosts.marks import runtime_directory
from pytest_nfv.hosts.run_id import RUN_VARIABLE
from pytest_nfv.vnfs import vm_kernel

# Ten Mb/s: a load that any machine offers and forwards, so that a noisy one is slower, not wrong.
EASY = ("--nfv-link=10MbE", "--nfv-duration=300ms", "--nfv-retry-invalid=20")


def processes_of_runs() -> set[int]:
    """Return every process that carries a run's mark, this one's ancestors left out."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if f"{RUN_VARIABLE}=".encode() in (entry / "environ").read_bytes():
                    found.add(int(entry.name))
            except OSError:
                continue
    return found


def namespaces() -> set[str]:
    """Return the names of all network namespaces of runs."""
    folder = Path("/run/netns")
    return {entry.name for entry in folder.glob("nfv-*")} if folder.is_dir() else set()


def files_of_runs() -> set[str]:
    """Return what runs of this user, and DPDK processes, keep files in."""
    folders = (runtime_directory(), Path("/var/run/dpdk"), Path("/dev/hugepages"))
    return {str(entry) for folder in folders if folder.is_dir() for entry in folder.iterdir()}


def huge_pages() -> tuple[int, int] | None:
    """Return how many huge pages there are, and how many of them are free."""
    pool = default_pool()
    return (pool.pages, pool.free) if pool else None


def control_groups() -> set[str]:
    """Return the control groups of runs, and those that LXC makes for a container of one."""
    root = Path("/sys/fs/cgroup")
    return {str(group) for pattern in ("*nfv-*", "*/*nfv-*", "*/*/*nfv-*") for group in root.glob(pattern)}


def interfaces() -> set[str]:
    """Return the interfaces of this machine's own network namespace: a tap that was made in the wrong place."""
    return {entry.name for entry in Path("/sys/class/net").iterdir()}


def bpf_programs() -> set[int]:
    """Return the ids of all programs that the kernel holds (bpf(2), BPF_PROG_GET_NEXT_ID), attached or not."""
    found: set[int] = set()
    if platform.machine() != "x86_64" or os.geteuid():
        return found
    libc, attributes = ctypes.CDLL(None), ctypes.create_string_buffer(12)
    while libc.syscall(321, 11, attributes, 12) == 0:
        number = struct.unpack("III", attributes.raw)[1]
        found.add(number)
        struct.pack_into("III", attributes, 0, number, 0, 0)
    return found


def programs_of_hosts() -> set[int]:
    """Return the processes of programs that only runs start here, whatever is in their environment."""
    names = {"qemu-system-x86", "lxc-start", "lxc-attach", "dpdk-testpmd", "ovs-vswitchd", "ovsdb-server"}
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if (entry / "comm").read_text().strip() in names:
                    found.add(int(entry.name))
            except OSError:
                continue
    return found


def mounts() -> set[str]:
    """Return where something of a run is mounted."""
    return {line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if "nfv" in line}


LEFT: dict[str, Callable[[], set[str] | set[int]]] = {
    "namespaces": namespaces,
    "processes": processes_of_runs,
    "programs": programs_of_hosts,
    "files": files_of_runs,
    "control groups": control_groups,
    "interfaces": interfaces,
    "BPF programs": bpf_programs,
    "mounts": mounts,
}


def wait_for(condition: Callable[[], bool], what: str | Callable[[], str], deadline_s: float = 20.0) -> None:
    """Wait until `condition` holds; fail with `what` after the deadline."""
    until = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() >= until:
            pytest.fail(f"after {deadline_s:g} s still not: {what if isinstance(what, str) else what()}")
        time.sleep(0.02)


def _no_more(found: Callable[[], set[str] | set[int]], had: set[object]) -> bool:
    return {*found()} <= had


def _more(name: str, found: Callable[[], set[str] | set[int]], had: set[object]) -> str:
    return f"{name} gone: { ({*found()} - had) }"


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Fail where a test leaves something of a run behind: what `LEFT` lists, or huge pages."""
    before, pages = {name: found() for name, found in LEFT.items()}, huge_pages()
    yield
    for name, found in LEFT.items():
        had: set[object] = {*before[name]}
        wait_for(partial(_no_more, found, had), partial(_more, name, found, had))
    wait_for(lambda: huge_pages() == pages, lambda: f"{pages} huge pages, of which free; now {huge_pages()}")


class Suite:
    """A user's test file, and a pytest that runs it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Hypothesis's plugin imports all of Hypothesis at the end of every run, which takes half a second.
        self._options = [*EASY, "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:hypothesispytest"]
        self.cache = folder / "cache"

    def _share_guest_kernels(self) -> None:
        """Let its virtual machines find the kernel that this user's have: a download is not what is tested."""
        ours, here = vm_kernel.cache_folder(), self.cache / "pytest-nfv" / "vm"
        if not here.parent.exists():
            ours.mkdir(parents=True, exist_ok=True)
            here.parent.mkdir(parents=True)
            here.symlink_to(ours)

    def write(self, text: str) -> None:
        """Write the test file."""
        (self.folder / "pytest.ini").write_text("[pytest]\n")
        (self.folder / "test_suite.py").write_text(text)

    def start(self, *options: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """Start pytest on it, in a process group of its own."""
        argv = [*prefix, sys.executable, "-m", "pytest", *self._options, *options, "test_suite.py"]
        self._share_guest_kernels()
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        return subprocess.Popen(
            argv,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            # What other runs found out about this machine's generator is not for a test to rely on, or to change.
            env=environment | {"PYTHONUNBUFFERED": "1", "XDG_CACHE_HOME": str(self.cache)},
        )

    def run(self, *options: str, prefix: tuple[str, ...] = ()) -> tuple[int, str]:
        """Run it to the end; return exit status and output."""
        process = self.start(*options, prefix=prefix)
        try:
            out, _ = process.communicate(timeout=180)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, _ = process.communicate()
            pytest.fail(f"pytest did not end:\n{out}")
        return process.returncode, out


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """A suite in a folder of its own."""
    return Suite(tmp_path)
