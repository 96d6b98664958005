"""Kernel modules: which files a guest needs, in the order to load them in.

Dependencies are read from the modules themselves, as `modules.dep` comes into being only when a kernel
is installed.
"""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from pytest_nfv.errors import CapabilityMissing, CommandError
from pytest_nfv.hosts.local import LocalHost

CAPABILITY = "vm"
_MERGED = {"nft_objref": ("nf_tables", b"nft_objref_type")}
"""A module that newer kernels have in another: which, and what stands in that one then (Linux 6.2)."""

_DEPENDS = re.compile(rb"\0depends=([A-Za-z0-9_,-]*)\0")


def in_order(folder: Path, wanted: Iterable[str]) -> dict[str, bytes]:
    """Return every module of `wanted` and what it needs, without what is built in: name to octets, unpacked.

    Args:
        folder: `lib/modules/RELEASE`, with `modules.order` and `modules.builtin`.
        wanted: names as modprobe(8) takes them; `-` and `_` are one.

    Raises:
        CapabilityMissing: this kernel has not got one, or it cannot be unpacked here.
    """
    built_in, files = _listed(folder / "modules.builtin"), _listed(folder / "modules.order")
    ordered: dict[str, bytes] = {}

    def take(name: str, above: tuple[str, ...]) -> None:
        if name in ordered or name in built_in or name in above:
            return
        if name not in files and name in _MERGED:
            into, sign = _MERGED[name]
            take(into, (*above, name))
            if into in built_in or sign in ordered.get(into, b""):
                return
        if name not in files:
            raise _missing(folder, f"no module {name}")
        octets = _read(folder, files[name])
        for need in _needs(octets):
            take(need, (*above, name))
        ordered[name] = octets

    for name in wanted:
        take(_plain(name), ())
    return ordered


def _listed(listing: Path) -> dict[str, Path]:
    try:
        lines = listing.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError as error:
        raise _missing(listing.parent, f"no {listing.name} ({error.strerror})") from error
    return {_plain(PurePosixPath(line).name.partition(".")[0]): listing.parent / line for line in lines}


def _plain(name: str) -> str:
    return name.replace("-", "_")


def _read(folder: Path, path: Path) -> bytes:
    for suffix, unpacked in _READERS.items():
        packed = path.with_name(path.name + suffix)
        if packed.is_file():
            try:
                return unpacked(packed)
            except (OSError, EOFError, lzma.LZMAError, CommandError) as error:
                raise _missing(folder, f"no module {path.stem} that can be read ({_told(error)})") from error
    raise _missing(folder, f"no {path.name}, nor packed by {', '.join(filter(None, _READERS))}")


def _zstd(packed: Path) -> bytes:
    """Unpack as Ubuntu packs: by Python itself from 3.14 on, else by the program `zstd`."""
    if sys.version_info >= (3, 14):
        from compression import zstd

        try:
            return zstd.decompress(packed.read_bytes())
        except zstd.ZstdError as error:
            raise OSError(str(error)) from error
    if shutil.which("zstd") is None:
        raise OSError("it is packed with zstd, which is not installed: apt-get install zstd")
    with tempfile.TemporaryDirectory(prefix="nfv-module-") as work:
        plain = Path(work, "module")
        LocalHost().run(["zstd", "-d", "-q", "-o", str(plain), str(packed)])
        return plain.read_bytes()


def _told(error: Exception) -> str:
    return str(error).strip().replace("\n", " ")


_READERS: dict[str, Callable[[Path], bytes]] = {
    "": Path.read_bytes,
    ".xz": lambda packed: lzma.decompress(packed.read_bytes()),
    ".gz": lambda packed: gzip.decompress(packed.read_bytes()),
    ".zst": _zstd,
}


def _needs(octets: bytes) -> list[str]:
    """Return the names that a module's section `.modinfo` says it depends on."""
    found = _DEPENDS.search(octets)
    return [_plain(name) for name in found[1].decode().split(",") if name] if found else []


def _missing(folder: Path, what: str) -> CapabilityMissing:
    return CapabilityMissing(
        CAPABILITY,
        f"the guest kernel {folder.name} ({folder}) has {what}",
        "name another kernel, or let Debian's be fetched: `apt-get update`",
    )
