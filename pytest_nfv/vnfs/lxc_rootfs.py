"""A container's root file system: BusyBox, as T20's have it, and an init that says when it is up."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from shutil import which

from pytest_nfv.errors import CapabilityMissing

READY = "pytest-nfv: ready"
INIT = "etc/init"
PATH = "/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"  # BusyBox, then programs that are mounted in
_FOLDERS = ("bin", "dev", "etc", "proc", "run", "sys", "tmp", "usr")
_PT_INTERP = 3
# Ends when the run's end of its input does, whatever ended the run.
_SCRIPT = f"""\
#!/bin/sh
export PATH=/bin
echo '{READY}'
exec >&2
while read -r line; do echo "init: $line"; done
"""


def static_busybox(path: str | None = None) -> Path:
    """Return a BusyBox that needs no library.

    Args:
        path: where to look; $PATH where not given.

    Raises:
        CapabilityMissing: there is none.
    """
    remedy = "apt-get install busybox-static"
    found = which("busybox", path=path)
    if found is None:
        raise CapabilityMissing("lxc", "busybox is not installed", remedy)
    if _interpreted(Path(found)):
        raise CapabilityMissing("lxc", f"{found} is linked to libraries that a container has not", remedy)
    return Path(found)


def _interpreted(program: Path) -> bool:
    """Whether an ELF program of 64 bits, of this machine's octet order, asks for a dynamic linker (elf(5))."""
    octets = program.read_bytes()[:4096]
    if octets[:5] != b"\x7fELF\x02":
        return True
    (start,) = struct.unpack_from("=Q", octets, 32)
    size, count = struct.unpack_from("=HH", octets, 54)
    kinds = [struct.unpack_from("=I", octets, start + number * size)[0] for number in range(count)]
    return _PT_INTERP in kinds


def make_rootfs(folder: Path, applets: Sequence[str]) -> None:
    """Make a root file system; BusyBox itself is to be mounted at /bin/busybox.

    Args:
        folder: to be made.
        applets: the commands that this BusyBox has.

    Raises:
        OSError: it cannot be written.
    """
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True)
    (folder / "bin" / "busybox").touch()
    for applet in applets:
        if applet != "busybox":
            os.symlink("busybox", folder / "bin" / applet)
    init = folder / INIT
    init.write_text(_SCRIPT, encoding="ascii")
    init.chmod(0o755)
    (folder / "etc" / "passwd").write_text("root::0:0:root:/:/bin/sh\n", encoding="ascii")
