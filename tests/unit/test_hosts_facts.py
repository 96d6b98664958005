"""Host facts from files, and from files that are not there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest

from pytest_nfv.errors import CommandError
from pytest_nfv.hosts.cores import core_list
from pytest_nfv.hosts.facts import read_facts
from pytest_nfv.hosts.local import LocalHost

CPU = "/sys/devices/system/cpu"
FILES = {
    "/proc/sys/kernel/hostname": "bench1\n",
    "/proc/sys/kernel/osrelease": "6.8.0-45-generic\n",
    "/etc/os-release": 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nNAME="Ubuntu"\n',
    "/proc/cpuinfo": "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu hypervisor\n\nmodel name\t: Other\n",
    "/proc/meminfo": "MemTotal:  16000 kB\nHugePages_Total:  8\nHugePages_Free:  6\nHugepagesize:  2048 kB\n",
    "/proc/self/status": "Name:\tpython\nCpus_allowed_list:\t1-2,5\n",
    f"{CPU}/online": "0-3,5\n",
    "/sys/devices/system/node/online": "0-1\n",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "performance\n",
    f"{CPU}/smt/active": "1\n",
    "/proc/loadavg": "0.25 0.10 0.05 1/100 999\n",
}


class Files(LocalHost):
    """A host that is nothing but files."""

    def __init__(self, files: Mapping[str, str], python: str = "3.11.2") -> None:
        super().__init__(name="files")
        self._files = files
        self._python = python
        self.asked = 0

    def read_texts(self, paths: Sequence[str]) -> dict[str, str]:
        self.asked += 1
        return {path: self._files[path] for path in paths if path in self._files}

    def python_version(self) -> str:
        if not self._python:
            raise CommandError(self.name, ["python"], None, "No such file or directory")
        return self._python


def test_everything_known() -> None:
    facts = read_facts(Files(FILES))
    assert (facts.hostname, facts.kernel, facts.distribution) == (
        "bench1",
        "6.8.0-45-generic",
        "Ubuntu 24.04.1 LTS",
    )
    assert (facts.cpu_model, facts.hypervisor, facts.smt, facts.governor) == (
        "Some CPU",
        True,
        True,
        "performance",
    )
    assert facts.cores_online == (0, 1, 2, 3, 5)
    assert facts.cores_allowed == (1, 2, 5)
    assert facts.numa_nodes == (0, 1)
    assert (facts.memory_kib, facts.huge_pages_total, facts.huge_pages_free, facts.huge_page_kib) == (
        16000,
        8,
        6,
        2048,
    )
    assert facts.load_1min == 0.25


def test_nothing_known() -> None:
    facts = read_facts(Files({}, python="")).to_json()
    assert {key for key, value in facts.items() if value is not None} == set()


def test_files_are_asked_for_at_once_and_the_limits_that_they_name_after_them() -> None:
    files = Files(FILES)
    assert read_facts(files).python == "3.11.2"
    assert files.asked == 2


def test_facts_are_plain_json() -> None:
    assert json.loads(json.dumps(read_facts(Files(FILES)).to_json()))["cores_allowed"] == [1, 2, 5]


@pytest.mark.parametrize(
    ("files", "turbo"),
    [
        ({f"{CPU}/intel_pstate/no_turbo": "1\n", f"{CPU}/cpufreq/boost": "1\n"}, False),
        ({f"{CPU}/intel_pstate/no_turbo": "0\n"}, True),
        ({f"{CPU}/cpufreq/boost": "1\n"}, True),
        ({f"{CPU}/cpufreq/boost": "0\n"}, False),
    ],
)
def test_turbo(files: dict[str, str], turbo: bool) -> None:
    assert read_facts(Files(files)).turbo is turbo


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"/sys/fs/cgroup/a/b/cpu.max": "max 100000\n", "/sys/fs/cgroup/a/cpu.max": "150000 100000\n"}, 1.5),
        ({"/sys/fs/cgroup/a/b/cpu.max": "50000 100000\n", "/sys/fs/cgroup/a/cpu.max": "150000 100000\n"}, 0.5),
        ({"/sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}, None),
        ({}, None),
    ],
)
def test_quota_is_the_tightest_on_the_way_up(files: dict[str, str], cores: float | None) -> None:
    assert read_facts(Files({"/proc/self/cgroup": "0::/a/b\n", **files})).cpu_quota_cores == cores


def test_quota_of_the_first_version() -> None:
    base = "/sys/fs/cgroup/cpu/job/cpu.cfs_"
    files = {
        "/proc/self/cgroup": "4:cpu,cpuacct:/job\n",
        f"{base}quota_us": "200000",
        f"{base}period_us": "100000",
    }
    assert read_facts(Files(files)).cpu_quota_cores == 2.0
    assert read_facts(Files({**files, f"{base}quota_us": "-1"})).cpu_quota_cores is None


def test_core_list() -> None:
    assert core_list("0-3,8\n") == (0, 1, 2, 3, 8)
    assert core_list("7") == (7,)
    with pytest.raises(ValueError, match="invalid literal"):
        core_list("all")
