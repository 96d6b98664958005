"""Hosts that are nothing but files and answers, in the layout of /sys and the words of iproute2."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_nfv.errors import CommandError
from pytest_nfv.hosts.protocol import COPY_DEADLINE_S, Completed, Entry, Process

CPU, NODE, NET, PCI = (
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/class/net",
    "/sys/bus/pci/devices",
)


class RecordedProcess:
    """Implements `hosts.protocol.Process`: it has printed some lines, and then ended or not."""

    pid = 1

    def __init__(self, lines: str, status: int | None, stderr: str) -> None:
        self.stdin, self.stdout = io.StringIO(), io.StringIO(lines)
        self.status, self.stderr, self.stopped = status, stderr, False

    def poll(self) -> int | None:
        return self.status

    def stop(self, timeout_s: float = 2.0) -> int:
        self.stopped = True
        return 0

    def stderr_tail(self) -> str:
        return self.stderr


class RecordedHost:
    """Implements `hosts.protocol.MachineHost`; what it was not given is not there.

    Attributes:
        calls: round trips so far; ran: the commands among them.
        process: what is started; obliging: commands without an answer succeed.
    """

    def __init__(
        self,
        files: Mapping[str, str],
        answers: Mapping[tuple[str, ...], str] | None = None,
        python: str = "3.12.3",
    ) -> None:
        self.files, self.answers, self.version = dict(files), dict(answers or {}), python
        self.calls = 0
        self.ran: list[tuple[str, ...]] = []
        self.process: RecordedProcess | None = None
        self.obliging = False

    name = "recorded"
    address = "root@recorded.example"
    python = "/opt/nfv/bin/python"

    def python_version(self) -> str:
        if not self.version:
            raise CommandError(self.name, [self.python], 127, "not found")
        return self.version

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float = 30.0,
        check: bool = True,
        cores: Sequence[int] = (),
    ) -> Completed:
        self.calls += 1
        self.ran.append(tuple(argv))
        if tuple(argv) not in self.answers and not self.obliging:
            if check:
                raise CommandError(self.name, argv, 127, "not found")
            return Completed(tuple(argv), 127, "", "not found")
        return Completed(tuple(argv), 0, self.answers.get(tuple(argv), ""), "")

    def read_text(self, path: str) -> str:
        self.calls += 1
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path]

    def read_texts(self, paths: Sequence[str]) -> dict[str, str]:
        self.calls += 1
        return {path: self.files[path] for path in paths if path in self.files}

    def write_text(self, path: str, text: str) -> None:
        raise AssertionError("nothing here writes")

    def start(
        self, argv: Sequence[str], *, cores: Sequence[int] = (), env: Mapping[str, str] | None = None
    ) -> Process:
        assert self.process, "nothing here starts anything"
        self.ran.append(tuple(argv))
        return self.process

    def start_unbound(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Process:
        raise AssertionError("nothing here starts anything")

    def put(self, local: Path, remote: str, *, timeout_s: float = COPY_DEADLINE_S) -> None:
        raise AssertionError("nothing here copies")

    def get(self, remote: str, local: Path, *, timeout_s: float = COPY_DEADLINE_S) -> None:
        raise AssertionError("nothing here copies")

    def within(self, entry: Entry, name: str) -> RecordedHost:
        raise AssertionError("nothing here enters anything")


def link(name: str, *, up: bool = True, carrier: bool = True, kind: str = "", **more: Any) -> dict[str, Any]:
    """Return one link as `ip -j -d addr` has it."""
    flags = ["BROADCAST", "MULTICAST", *(["UP"] if up else []), *(["LOWER_UP"] if up and carrier else [])]
    told: dict[str, Any] = {"ifname": name, "flags": flags, "link_type": "ether", "addr_info": []}
    told |= {"linkinfo": {"info_kind": kind}} if kind else {}
    return told | more


def address(local: str, prefix: int, scope: str = "global") -> dict[str, Any]:
    return {"family": "inet", "local": local, "prefixlen": prefix, "scope": scope}


def nic(name: str, pci: str, driver: str, node: int, **files: str) -> dict[str, str]:
    """Return the files of an interface on a PCI card."""
    told = {
        "device/uevent": f"DRIVER={driver}\nPCI_CLASS=20000\nPCI_ID=8086:1572\nPCI_SLOT_NAME={pci}\n",
        "device/numa_node": f"{node}\n",
    } | {file.replace("__", "/"): text for file, text in files.items()}
    slot = {
        f"{PCI}/{pci}/class": "0x020000\n",
        f"{PCI}/{pci}/uevent": told["device/uevent"],
        f"{PCI}/{pci}/numa_node": f"{node}\n",
    }
    return {f"{NET}/{name}/{file}": text for file, text in told.items()} | slot


def answers(
    links: Sequence[Mapping[str, Any]], routes: Sequence[str], slots: Sequence[str]
) -> dict[tuple[str, ...], str]:
    """Return what `ip` and `ls` say."""
    default = json.dumps([{"dst": "default", "gateway": "192.0.2.1", "dev": dev} for dev in routes])
    return {
        ("ip", "-j", "-d", "addr"): json.dumps(links),
        ("ip", "-j", "-4", "route", "show", "default"): default,
        ("ip", "-j", "-6", "route", "show", "default"): "[]",
        ("ls", "-1", PCI): "\n".join(slots),
    }


def two_sockets() -> RecordedHost:
    """Return a server of 2 x 8 cores with SMT: X710 ports on node 1, vfio-pci has one; management on node 0."""
    files = {f"{CPU}/online": "0-31\n", f"{CPU}/isolated": "\n", f"{NODE}/online": "0-1\n"}
    files |= {f"{NODE}/node0/cpulist": "0-7,16-23\n", f"{NODE}/node1/cpulist": "8-15,24-31\n"}
    files |= {
        f"{CPU}/cpu{core}/topology/thread_siblings_list": f"{core % 16},{core % 16 + 16}\n" for core in range(32)
    }
    files |= {
        f"{NODE}/node{node}/hugepages/hugepages-{kib}kB/nr_hugepages": pages
        for node, kib, pages in ((0, 2048, "0\n"), (1, 2048, "1024\n"), (0, 1048576, "0\n"), (1, 1048576, "2\n"))
    }
    files |= {
        f"{CPU}/cpu0/cpufreq/scaling_driver": "intel_pstate\n",
        f"{CPU}/cpu0/cpufreq/scaling_governor": "powersave\n",
        f"{CPU}/cpu0/cpufreq/cpuinfo_min_freq": "1200000\n",
        f"{CPU}/cpu0/cpufreq/cpuinfo_max_freq": "2600000\n",
        f"{CPU}/intel_pstate/no_turbo": "0\n",
    }
    files |= nic("eno1", "0000:01:00.0", "igb", 0, speed="1000\n")
    more = {"device__sriov_totalvfs": "64\n", "device__sriov_numvfs": "1\n"}
    files |= nic("ens1f0", "0000:81:00.0", "i40e", 1, speed="10000\n", **more)
    files |= nic("ens1f1", "0000:81:00.1", "i40e", 1)
    files |= nic("ens1f0v0", "0000:81:02.0", "iavf", 1, device__physfn__uevent="PCI_SLOT_NAME=0000:81:00.0\n")
    files |= {
        f"{PCI}/0000:81:00.2/class": "0x020000\n",
        f"{PCI}/0000:81:00.2/uevent": "DRIVER=vfio-pci\nPCI_CLASS=20000\n",
        f"{PCI}/0000:81:00.2/numa_node": "1\n",
        f"{PCI}/0000:00:1f.2/class": "0x010601\n",
    }
    loopback = {"ifname": "lo", "flags": ["UP", "LOWER_UP"], "link_type": "loopback", "addr_info": []}
    links = [
        loopback,
        link("eno1", addr_info=[address("192.0.2.10", 24), address("fe80::1", 64, "link")]),
        link("ens1f0", addr_info=[address("fe80::2", 64, "link")]),
        link("ens1f1", up=False),
        link("ens1f0v0", carrier=False),
        link("br0", kind="bridge"),
    ]
    slots = ["0000:00:1f.2", "0000:01:00.0", "0000:81:00.0", "0000:81:00.1", "0000:81:00.2", "0000:81:02.0"]
    return RecordedHost(files, answers(links, ["eno1"], slots))
