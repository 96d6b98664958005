"""What functional tests share: suites run in a pytest of their own, and what may not be left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_nfv.hosts.hugepages import default_pool
from pytest_nfv.hosts.marks import runtime_directory
from pytest_nfv.hosts.run_id import RUN_VARIABLE

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


def wait_for(condition: Callable[[], bool], what: str, deadline_s: float = 20.0) -> None:
    """Wait until `condition` holds; fail with `what` after the deadline."""
    until = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < until, f"after {deadline_s:g} s still not: {what}"
        time.sleep(0.02)


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Fail where a test leaves something of a run behind: namespaces, processes, files, huge pages."""
    before = namespaces(), processes_of_runs(), files_of_runs(), huge_pages()
    yield
    wait_for(lambda: namespaces() <= before[0], f"namespaces gone: {namespaces() - before[0]}")
    wait_for(lambda: processes_of_runs() <= before[1], f"processes gone: {processes_of_runs() - before[1]}")
    wait_for(lambda: files_of_runs() <= before[2], f"files gone: {files_of_runs() - before[2]}")
    wait_for(lambda: huge_pages() == before[3], f"{before[3]} huge pages, of which free; now {huge_pages()}")


class Suite:
    """A user's test file, and a pytest that runs it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._options = [*EASY, "-p", "no:cacheprovider", "-p", "no:randomly"]

    def write(self, text: str) -> None:
        """Write the test file."""
        (self.folder / "pytest.ini").write_text("[pytest]\n")
        (self.folder / "test_suite.py").write_text(text)

    def start(self, *options: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """Start pytest on it, in a process group of its own."""
        argv = [*prefix, sys.executable, "-m", "pytest", *self._options, *options, "test_suite.py"]
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
            env=environment | {"PYTHONUNBUFFERED": "1", "XDG_CACHE_HOME": str(self.folder / "cache")},
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
