"""What is true about a machine and matters for a measurement; read from /proc and /sys alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from pytest_nfv.errors import CommandError
from pytest_nfv.hosts.cores import core_list
from pytest_nfv.hosts.protocol import MachineHost

T = TypeVar("T")
_CPU = "/sys/devices/system/cpu"
_QUOTA, _PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"
_FILES = (
    "/proc/cpuinfo",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/self/cgroup",
    "/proc/self/status",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/osrelease",
    "/etc/os-release",
    "/sys/devices/system/node/online",
    f"{_CPU}/online",
    f"{_CPU}/cpu0/cpufreq/scaling_governor",
    f"{_CPU}/cpufreq/boost",
    f"{_CPU}/intel_pstate/no_turbo",
    f"{_CPU}/smt/active",
)


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Facts of one host; None where the machine does not tell.

    Attributes:
        python: version of the interpreter there that has this package.
        cores_allowed: cores that this process may run on.
        governor: cpufreq's, of the first core; turbo, smt: whether on.
        cpu_quota_cores: how many cores' worth of time the control group allows; None is no limit.
        hypervisor: whether it is a virtual machine.
        load_1min: runnable processes, averaged over a minute, when this was read.
    """

    hostname: str | None
    kernel: str | None
    distribution: str | None
    python: str | None
    cpu_model: str | None
    cores_online: tuple[int, ...] | None
    cores_allowed: tuple[int, ...] | None
    numa_nodes: tuple[int, ...] | None
    governor: str | None
    turbo: bool | None
    smt: bool | None
    hypervisor: bool | None
    memory_kib: int | None
    huge_pages_total: int | None
    huge_pages_free: int | None
    huge_page_kib: int | None
    cpu_quota_cores: float | None
    load_1min: float | None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def read_facts(host: MachineHost) -> HostFacts:
    """Read a host's facts; a file that is not there is a fact that is not known."""
    files = host.read_texts(_FILES)
    cpuinfo, meminfo = _table(files, "/proc/cpuinfo", ":"), _table(files, "/proc/meminfo", ":")
    release, status = _table(files, "/etc/os-release", "="), _table(files, "/proc/self/status", ":")
    load = _line(files, "/proc/loadavg")
    return HostFacts(
        hostname=_line(files, "/proc/sys/kernel/hostname"),
        kernel=_line(files, "/proc/sys/kernel/osrelease"),
        distribution=release.get("PRETTY_NAME", "").strip('"') or None,
        python=_python(host),
        cpu_model=cpuinfo.get("model name") or cpuinfo.get("CPU part"),
        cores_online=_known(core_list, _line(files, f"{_CPU}/online")),
        cores_allowed=_known(core_list, status.get("Cpus_allowed_list")),
        numa_nodes=_known(core_list, _line(files, "/sys/devices/system/node/online")),
        governor=_line(files, f"{_CPU}/cpu0/cpufreq/scaling_governor"),
        turbo=_turbo(files),
        smt=_known(lambda text: text == "1", _line(files, f"{_CPU}/smt/active")),
        hypervisor=_known(lambda flags: "hypervisor" in flags.split(), cpuinfo.get("flags")),
        memory_kib=_known(_first_number, meminfo.get("MemTotal")),
        huge_pages_total=_known(_first_number, meminfo.get("HugePages_Total")),
        huge_pages_free=_known(_first_number, meminfo.get("HugePages_Free")),
        huge_page_kib=_known(_first_number, meminfo.get("Hugepagesize")),
        cpu_quota_cores=_quota(host, files.get("/proc/self/cgroup", "")),
        load_1min=_known(lambda text: float(text.split()[0]), load),
    )


def _known(read: Callable[[str], T], text: str | None) -> T | None:
    return None if not text else read(text)


def _first_number(text: str) -> int:
    return int(text.split()[0])


def _line(files: Mapping[str, str], path: str) -> str | None:
    return files.get(path, "").strip() or None


def _table(files: Mapping[str, str], path: str, separator: str) -> dict[str, str]:
    """Return `key: value` lines; of a key that comes again, as each core's do, the first."""
    table: dict[str, str] = {}
    for line in files.get(path, "").splitlines():
        key, found, value = line.partition(separator)
        if found:
            table.setdefault(key.strip(), value.strip())
    return table


def _python(host: MachineHost) -> str | None:
    try:
        return host.python_version()
    except CommandError:
        return None  # nothing of ours is there yet


def _turbo(files: Mapping[str, str]) -> bool | None:
    off = _line(files, f"{_CPU}/intel_pstate/no_turbo")
    if off is not None:
        return off == "0"
    return _known(lambda text: text == "1", _line(files, f"{_CPU}/cpufreq/boost"))


def _quota(host: MachineHost, groups: str) -> float | None:
    """Return the tightest limit on processor time on the way from our control group to the root, in cores.

    Args:
        host: where the limits are read.
        groups: text of /proc/self/cgroup.
    """
    asked: list[tuple[str, ...]] = []
    for line in groups.splitlines():
        _, controllers, group = line.split(":", 2)
        for above in _upwards(group):
            if not controllers:
                asked.append((f"/sys/fs/cgroup{above}/cpu.max",))
            elif "cpu" in controllers.split(","):
                asked.append(tuple(f"/sys/fs/cgroup/cpu{above}/{name}" for name in (_QUOTA, _PERIOD)))
    files = host.read_texts([path for paths in asked for path in paths])
    limits = [_limit([word for path in paths for word in files.get(path, "").split()]) for paths in asked]
    return min((limit for limit in limits if limit is not None), default=None)


def _upwards(group: str) -> list[str]:
    parts = [part for part in group.split("/") if part]
    return ["".join(f"/{part}" for part in parts[:depth]) for depth in range(len(parts), -1, -1)]


def _limit(words: Sequence[str]) -> float | None:
    if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]):
        return int(words[0]) / int(words[1])
    return None
