"""The guest's root file system: BusyBox, the modules that it needs, network programs, and our own first process.

Built in a fraction of a second, and kept in the user's cache by the hash of what is in it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.vnfs import vm_testpmd
from pytest_nfv.vnfs.vm_cpio import Entry, archive, device, file, folder
from pytest_nfv.vnfs.vm_kernel import Kernel
from pytest_nfv.vnfs.vm_modules import in_order
from pytest_nfv.vnfs.vm_settings import Engine
from pytest_nfv.vnfs.vm_tools import busybox, with_libraries

MODULES = (
    *("virtio_pci", "virtio_console", "virtio_net"),
    *("bridge", "crc32c_generic", "nf_tables", "nft_objref", "nft_meta_bridge"),
)
PROGRAMS = ("ip", "nft")
_INIT = Path(__file__).with_name("vm_init.sh")


def entries(host: Host, kernel: Kernel, engine: Engine = "kernel") -> list[Entry]:
    """Return everything in the guest's root file system, for what is to forward in it.

    Raises:
        CapabilityMissing: a program or a module is missing; says which, and how to get it.
    """
    dpdk = engine == "testpmd"
    modules = in_order(kernel.modules, (*MODULES, *(vm_testpmd.MODULES if dpdk else ())))
    made = [
        *(folder(path) for path in ("dev", "proc", "sys", "tmp", "etc", "run")),
        device("dev/console", 5, 1),
        device("dev/null", 1, 3),
        file("init", _INIT.read_bytes(), executable=True),
        file("modules/order", "".join(f"{name}.ko\n" for name in modules).encode()),
        *(file(f"modules/{name}.ko", octets) for name, octets in modules.items()),
        *busybox(host),
        *with_libraries(host, PROGRAMS),
    ]
    there = {one.path for one in made}
    return made + [one for one in (vm_testpmd.entries(host) if dpdk else ()) if one.path not in there]


def initramfs(host: Host, kernel: Kernel, cache: Path, engine: Engine = "kernel") -> Path:
    """Return the archive that QEMU is given, made where it is not there yet.

    Raises:
        CapabilityMissing: a program or a module is missing; says which, and how to get it.
        DeploymentError: it cannot be written.
    """
    octets = archive(entries(host, kernel, engine))
    path = cache / f"initramfs-{hashlib.sha256(octets).hexdigest()[:20]}.cpio"
    try:
        if not path.is_file():
            _write(path, octets)
    except OSError as error:
        raise DeploymentError(
            f"the guest's root file system cannot be kept in {path}: {error.strerror}"
        ) from error
    return path


def _write(path: Path, octets: bytes) -> None:
    """Write a file that is whole from the moment on that it has its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix="writing-", dir=path.parent)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(octets)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
