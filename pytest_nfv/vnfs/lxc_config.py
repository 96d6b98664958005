"""The configuration of a container, as lxc.container.conf(5) has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.vnfs.lxc_rootfs import INIT

_UNSAFE = str.maketrans({" ": r"\040", "\t": r"\011", "\\": r"\134"})  # as fstab(5) writes them
_MEMORY = {1: "lxc.cgroup.memory.limit_in_bytes", 2: "lxc.cgroup2.memory.max"}


@dataclass(frozen=True, slots=True)
class Mount:
    """A directory or file of the machine that a container sees at the same path.

    Attributes:
        path: absolute; a link is seen as what it leads to.
        writable: whether it may be written to.
    """

    path: Path
    writable: bool = False

    def __post_init__(self) -> None:
        if not self.path.is_absolute() or "\n" in str(self.path) or not self.path.exists():
            raise ConfigurationError(
                f"mount {str(self.path)!r}: accepted: the absolute path of a directory or file that is there"
            )

    def entry(self) -> str:
        """Return it as fstab(5) has it, its target below the container's root."""
        options = [
            "bind",
            *(() if self.writable else ("ro",)),
            f"create={'dir' if self.path.is_dir() else 'file'}",
        ]
        path = str(self.path).translate(_UNSAFE)
        return f"{path} {path.lstrip('/')} none {','.join(options)} 0 0"


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """One container.

    Attributes:
        name: its control groups' names begin with it; short: its host name.
        rootfs: its root file system; busybox: what is mounted into it.
        net: the network namespace that it is in.
        environment: of its init, `NAME=value` each.
        mounts: what it sees of the machine.
        memory_mib: limit in MiB, 0 for none; hierarchy: version of the control groups that limit it.
        weight: a file of its control group for processor time, and what is written there; None: as LXC makes it.
    """

    name: str
    short: str
    rootfs: Path
    busybox: Path
    net: str
    environment: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    memory_mib: int = 0
    hierarchy: int = 2
    weight: tuple[str, str] | None = None

    def text(self) -> str:
        """Return the file."""
        return "".join(f"{key} = {value}\n" for key, value in self._lines())

    def _lines(self) -> Iterator[tuple[str, str]]:
        yield "lxc.uts.name", self.short
        yield "lxc.rootfs.path", f"dir:{self.rootfs}"
        yield "lxc.init.cmd", f"/bin/sh /{INIT}"
        yield "lxc.namespace.share.net", self.net  # its interfaces are made there before it starts
        yield "lxc.cgroup.dir.container", f"{self.name}.container"  # LXC wants to be who makes it
        yield "lxc.cgroup.dir.monitor", f"{self.name}.monitor"
        yield "lxc.apparmor.profile", "unconfined"
        yield "lxc.console.path", "none"  # its console is the standard streams of lxc-start
        yield "lxc.tty.max", "0"
        yield "lxc.autodev", "1"
        yield "lxc.mount.auto", "proc:rw sys:rw"
        yield "lxc.mount.entry", f"{self.busybox} bin/busybox none bind,ro 0 0"
        # What lies within another is mounted after it, or it would be hidden.
        for mount in sorted(self.mounts, key=lambda one: one.path.parts):
            yield "lxc.mount.entry", mount.entry()
        for variable in self.environment:
            yield "lxc.environment", variable
        if self.memory_mib:
            yield _MEMORY[self.hierarchy], str(self.memory_mib << 20)
        if self.weight is not None:
            file, text = self.weight
            yield f"lxc.cgroup{'' if file == 'cpu.shares' else '2'}.{file}", text
