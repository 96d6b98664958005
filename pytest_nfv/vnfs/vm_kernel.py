"""The guest's kernel: found on this machine, or in the user's cache, or fetched there from Debian's archive.

Debian's cloud kernel is small and has all that a virtual machine needs. It is downloaded and unpacked, never
installed: nothing of the machine's own start-up changes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_nfv.errors import CapabilityMissing, CommandError
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.vnfs.vm_modules import CAPABILITY, in_order

META_PACKAGE = "linux-image-cloud-amd64"
FETCH_S = 300.0
_IMAGE = "vmlinuz-"


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel and its modules.

    Attributes:
        release: what `uname -r` says in it.
        image: the file that is booted; modules: their folder.
    """

    release: str
    image: Path
    modules: Path


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for kernels and images below the user's cache; it may not exist yet.

    Raises:
        CapabilityMissing: the user has neither a cache nor a home.
    """
    given, home = environment.get("XDG_CACHE_HOME", ""), environment.get("HOME", "")
    if os.path.isabs(given):
        return Path(given) / "pytest-nfv" / "vm"
    if os.path.isabs(home):
        return Path(home) / ".cache" / "pytest-nfv" / "vm"
    raise CapabilityMissing(CAPABILITY, "no place for guest images: HOME is not set", "set XDG_CACHE_HOME")


def kernels(root: Path) -> Iterator[Kernel]:
    """Yield the kernels below a root folder that can be read and have modules, the newest file first."""
    try:
        images = sorted((root / "boot").glob(f"{_IMAGE}*"), key=lambda one: one.stat().st_mtime, reverse=True)
    except OSError:
        return
    for image in images:
        release = image.name.removeprefix(_IMAGE)
        for modules in (root / "lib/modules" / release, root / "usr/lib/modules" / release):
            if os.access(image, os.R_OK) and (modules / "modules.order").is_file():
                yield Kernel(release, image, modules)
                break


def find(wanted: Iterable[str], roots: Iterable[Path]) -> tuple[Kernel | None, list[str]]:
    """Return the first kernel with every module of `wanted`, and why others are not it."""
    wanted, why = tuple(wanted), []
    for root in roots:
        for kernel in kernels(root):
            try:
                in_order(kernel.modules, wanted)
            except CapabilityMissing as missing:
                why.append(missing.missing)
            else:
                return kernel, why
    return None, why


def fetch(host: Host, cache: Path) -> Path:
    """Download and unpack the newest of Debian's cloud kernels; return its root folder.

    Raises:
        CapabilityMissing: no apt, or it does not get it; with apt's own words.
    """
    try:
        said = host.run(["apt-cache", "depends", "--important", META_PACKAGE]).stdout
        package = _depends(said)
        target = cache / package
        if target.is_dir():
            return target
        cache.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix="fetching-", dir=cache))
        try:
            _download(host, package, work, target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except (CommandError, OSError) as error:
        last = (str(error).strip().splitlines() or [""])[-1]
        raise CapabilityMissing(
            CAPABILITY,
            f"no guest kernel here, and {META_PACKAGE} could not be fetched ({last})",
            f"run `apt-get update` (Debian's sources), or `apt-get install {META_PACKAGE}`",
        ) from error
    return target


def _depends(said: str) -> str:
    for line in said.splitlines():
        key, _, name = line.strip().partition(": ")
        if key == "Depends" and name.startswith("linux-image-"):
            return name
    raise OSError(f"apt-cache knows no {META_PACKAGE}")


def _download(host: Host, package: str, work: Path, target: Path) -> None:
    # apt-get downloads into its current folder, as whom it is run by: `env` takes it there.
    host.run(["env", "-C", str(work), "apt-get", "-q", "download", package], timeout_s=FETCH_S)
    archive = next(work.glob("*.deb"), None)
    if archive is None:
        raise OSError(f"apt-get downloaded no {package}")
    unpacked = work / "root"
    host.run(["dpkg-deb", "-x", str(archive), str(unpacked)], timeout_s=FETCH_S)
    try:
        unpacked.rename(target)
    except OSError:
        if not target.is_dir():  # another run may have been faster, with the same
            raise
