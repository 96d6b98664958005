"""What is true about a machine and matters for a measurement; read from /proc and /sys alone."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from pytest_nfv.hosts.cores import core_list
from pytest_nfv.hosts.protocol import Host

T = TypeVar("T")
_CPU = "/sys/devices/system/cpu"


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Facts of one host; None where the machine does not tell.

    Attributes:
        cores_allowed: cores that this process may run on.
        governor: cpufreq's, of the first core; turbo, smt: whether on.
        cpu_quota_cores: how many cores' worth of time the control group allows; None is no limit.
        hypervisor: whether it is a virtual machine.
        load_1min: runnable processes, averaged over a minute, when this was read.
    """

    hostname: str | None
    kernel: str | None
    distribution: str | None
    python: str
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


def read_facts(host: Host) -> HostFacts:
    """Read a host's facts; a file that is not there is a fact that is not known."""
    cpuinfo, meminfo = _table(host, "/proc/cpuinfo", ":"), _table(host, "/proc/meminfo", ":")
    release, status = _table(host, "/etc/os-release", "="), _table(host, "/proc/self/status", ":")
    load = _line(host, "/proc/loadavg")
    return HostFacts(
        hostname=_line(host, "/proc/sys/kernel/hostname"),
        kernel=_line(host, "/proc/sys/kernel/osrelease"),
        distribution=release.get("PRETTY_NAME", "").strip('"') or None,
        python=platform.python_version(),
        cpu_model=cpuinfo.get("model name") or cpuinfo.get("CPU part"),
        cores_online=_known(core_list, _line(host, f"{_CPU}/online")),
        cores_allowed=_known(core_list, status.get("Cpus_allowed_list")),
        numa_nodes=_known(core_list, _line(host, "/sys/devices/system/node/online")),
        governor=_line(host, f"{_CPU}/cpu0/cpufreq/scaling_governor"),
        turbo=_turbo(host),
        smt=_known(lambda text: text == "1", _line(host, f"{_CPU}/smt/active")),
        hypervisor=_known(lambda flags: "hypervisor" in flags.split(), cpuinfo.get("flags")),
        memory_kib=_known(_first_number, meminfo.get("MemTotal")),
        huge_pages_total=_known(_first_number, meminfo.get("HugePages_Total")),
        huge_pages_free=_known(_first_number, meminfo.get("HugePages_Free")),
        huge_page_kib=_known(_first_number, meminfo.get("Hugepagesize")),
        cpu_quota_cores=_quota(host),
        load_1min=_known(lambda text: float(text.split()[0]), load),
    )


def _known(read: Callable[[str], T], text: str | None) -> T | None:
    return None if not text else read(text)


def _first_number(text: str) -> int:
    return int(text.split()[0])


def _text(host: Host, path: str) -> str:
    try:
        return host.read_text(path)
    except OSError:
        return ""


def _line(host: Host, path: str) -> str | None:
    return _text(host, path).strip() or None


def _table(host: Host, path: str, separator: str) -> dict[str, str]:
    """Return `key: value` lines; of a key that comes again, as each core's do, the first."""
    table: dict[str, str] = {}
    for line in _text(host, path).splitlines():
        key, found, value = line.partition(separator)
        if found:
            table.setdefault(key.strip(), value.strip())
    return table


def _turbo(host: Host) -> bool | None:
    off = _line(host, f"{_CPU}/intel_pstate/no_turbo")
    if off is not None:
        return off == "0"
    return _known(lambda text: text == "1", _line(host, f"{_CPU}/cpufreq/boost"))


def _quota(host: Host) -> float | None:
    """Return the tightest limit on processor time on the way from our control group to the root, in cores."""
    limits = []
    for line in _text(host, "/proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        for above in _upwards(group):
            if not controllers:
                limits.append(_limit(_text(host, f"/sys/fs/cgroup{above}/cpu.max").split()))
            elif "cpu" in controllers.split(","):
                base = f"/sys/fs/cgroup/cpu{above}/cpu.cfs_"
                words = [_line(host, f"{base}quota_us") or "", _line(host, f"{base}period_us") or ""]
                limits.append(_limit(words))
    return min((limit for limit in limits if limit is not None), default=None)


def _upwards(group: str) -> list[str]:
    parts = [part for part in group.split("/") if part]
    return ["".join(f"/{part}" for part in parts[:depth]) for depth in range(len(parts), -1, -1)]


def _limit(words: list[str]) -> float | None:
    if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]):
        return int(words[0]) / int(words[1])
    return None
