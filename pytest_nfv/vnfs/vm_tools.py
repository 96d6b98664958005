"""Programs for the guest, taken from this machine: BusyBox, and others with their libraries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_nfv.errors import CapabilityMissing, CommandError
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.vnfs.vm_cpio import Entry, file, link
from pytest_nfv.vnfs.vm_modules import CAPABILITY

PACKAGES = {"busybox": "busybox-static", "nft": "nftables", "ip": "iproute2", "dpdk-testpmd": "dpdk-dev"}
"""Program to the Debian package that has it."""

_PLACES = ("/bin", "/sbin", "/usr/bin", "/usr/sbin")
_APPLETS = (
    *("sh", "mount", "insmod", "cat", "echo", "printf", "base64", "poweroff", "uname", "sleep", "true", "false"),
    *(
        "head",
        "tail",
        "wc",
        "grep",
        "dmesg",
        "ls",
        "ps",
        "kill",
        "arp",
        "sysctl",
        "mkdir",
        "mkfifo",
        "chmod",
        "rm",
    ),
    *("readlink", "ifconfig", "taskset", "test", "["),
)


def located(host: Host, program: str) -> str:
    """Return the path of a program on this machine.

    Raises:
        CapabilityMissing: it is not there; names the package.
    """
    for place in _PLACES:
        path = Path(place, program)
        if path.is_file():
            return str(path.resolve())
    raise CapabilityMissing(
        CAPABILITY,
        f"{program}, which the guest needs, is not on {host.name}",
        f"apt-get install {PACKAGES.get(program, program)}",
    )


def busybox(host: Host) -> list[Entry]:
    """Return BusyBox and its applets.

    Raises:
        CapabilityMissing: there is none, or one that needs libraries.
    """
    path = located(host, "busybox")
    if libraries(host, path):
        raise CapabilityMissing(CAPABILITY, f"{path} is not a static one", "apt-get install busybox-static")
    applets = [link(f"bin/{applet}", "busybox") for applet in _APPLETS]
    return [file("bin/busybox", Path(path).read_bytes(), executable=True), *applets]


def with_libraries(host: Host, programs: Sequence[str]) -> list[Entry]:
    """Return programs, in `sbin`, and every library that one of them needs, where its loader looks for it.

    Raises:
        CapabilityMissing: one is not there.
    """
    found: dict[str, Entry] = {}
    for program in programs:
        path = located(host, program)
        found[program] = file(f"sbin/{program}", Path(path).read_bytes(), executable=True)
        for library in libraries(host, path):
            found[library] = file(library.lstrip("/"), Path(library).read_bytes(), executable=True)
    return list(found.values())


def libraries(host: Host, path: str) -> list[str]:
    """Return the paths of a program's libraries, the loader among them; empty where it is static.

    Raises:
        CapabilityMissing: one of them is not to be found.
    """
    try:
        done = host.run(["ldd", path], check=False)
    except CommandError as error:
        raise CapabilityMissing(
            CAPABILITY, f"no ldd on {host.name}, which tells a program's libraries", "apt-get install libc-bin"
        ) from error
    return [] if done.status else linked(done.stdout, path)


def linked(said: str, path: str) -> list[str]:
    """Read what ldd(1) prints: `libmnl.so.0 => /lib/x86_64-linux-gnu/libmnl.so.0 (0x...)`.

    Raises:
        CapabilityMissing: a library of it is `not found`.
    """
    found = []
    for line in said.splitlines():
        name, arrow, rest = line.strip().partition(" => ")
        if rest.startswith("not found"):
            raise CapabilityMissing(CAPABILITY, f"{path} lacks its library {name}", "install its package again")
        where = (rest if arrow else name).partition(" (")[0]
        if where.startswith("/"):
            found.append(where)
    return found
