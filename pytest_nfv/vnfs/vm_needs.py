"""What a machine has to have for guests: QEMU, a kernel, programs, and qemu.qmp."""

from __future__ import annotations

import platform
import re
from pathlib import Path

from pytest_nfv.errors import CapabilityMissing, CommandError
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.vnfs import vm_kernel, vm_qmp
from pytest_nfv.vnfs.vm_argv import COMMAND
from pytest_nfv.vnfs.vm_image import MODULES, PROGRAMS
from pytest_nfv.vnfs.vm_kernel import Kernel
from pytest_nfv.vnfs.vm_modules import CAPABILITY, in_order
from pytest_nfv.vnfs.vm_tools import located


def found(host: Host) -> str:
    """Return the versions of QEMU and of the guest's kernel; a kernel is looked for, not fetched yet.

    Raises:
        CapabilityMissing: what is missing and how to get it.
    """
    said = qemu(host)
    vm_qmp.available()
    for program in ("busybox", *PROGRAMS):
        located(host, program)
    kernel, _ = vm_kernel.find(MODULES, roots())
    return f"{said}, guest {kernel.release if kernel else 'kernel to be fetched'}"


def guest_kernel(host: Host) -> Kernel:
    """Return a kernel for guests: this machine's own, the one in the user's cache, or Debian's, fetched into it.

    Raises:
        CapabilityMissing: none here, and none to be fetched.
    """
    kernel, why = vm_kernel.find(MODULES, roots())
    if kernel is None:
        try:
            fetched = vm_kernel.fetch(host, vm_kernel.cache_folder())
        except CapabilityMissing as missing:
            raise CapabilityMissing(CAPABILITY, "; ".join((missing.missing, *why)), missing.remedy) from missing
        kernel = next(vm_kernel.kernels(fetched), None)
        if kernel is None:
            raise CapabilityMissing(
                CAPABILITY, f"the fetched kernel in {fetched} cannot be read", f"remove {fetched}"
            )
        in_order(kernel.modules, MODULES)
    return kernel


def roots() -> list[Path]:
    """Return where kernels are looked for: this machine, then what was fetched, the newest first."""
    cache = vm_kernel.cache_folder()
    fetched = cache.glob("linux-image-*") if cache.is_dir() else ()
    return [Path("/"), *sorted(fetched, key=_version, reverse=True)]


def _version(folder: Path) -> list[str | int]:
    """Return what orders folders as their versions: 6.1.0-9 before 6.1.0-40. Digits are at every other place."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"([0-9]+)", folder.name)]


def qemu(host: Host) -> str:
    """Return QEMU's version.

    Raises:
        CapabilityMissing: it is not there, or this is no x86 machine.
    """
    if platform.machine() != "x86_64":
        raise CapabilityMissing(CAPABILITY, f"{platform.machine()}: guests are x86_64", "use such a machine")
    try:
        said = host.run([COMMAND, "-version"]).stdout
    except CommandError as error:
        raise CapabilityMissing(
            CAPABILITY,
            f"{COMMAND} is not to be found on {host.name}, or does not run",
            "apt-get install --no-install-recommends qemu-system-x86",
        ) from error
    return "QEMU " + said.partition("version ")[2].split()[0]
