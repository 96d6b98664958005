"""Writes a cpio archive of the kind that the kernel unpacks as its first root file system (`newc`).

source: Documentation/driver-api/early-userspace/buffer-format.rst of the Linux kernel.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from pytest_nfv.errors import ConfigurationError

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"
_KINDS = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFCHR)
_OCTETS_MAX = 0xFFFFFFFF  # a field has eight hexadecimal digits


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in an archive.

    Attributes:
        path: from the root on, without a slash before it: `bin/busybox`.
        mode: kind and permissions, as stat(2) has them.
        data: a file's octets, or a link's target.
        device: major and minor number of a character device.
    """

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.path).parts
        if "/".join(parts) != self.path or not parts or ".." in parts or self.path.startswith("/"):
            raise ConfigurationError(f"archive path {self.path!r}: accepted: names with single slashes between")
        if not self.path.isascii() or "\0" in self.path or self.path == _TRAILER:
            raise ConfigurationError(f"archive path {self.path!r}: accepted: ASCII, not {_TRAILER}")
        if stat.S_IFMT(self.mode) not in _KINDS:
            raise ConfigurationError(
                f"{self.path}: mode {self.mode:o}: accepted: a file, folder, link or character device"
            )
        if len(self.data) > _OCTETS_MAX:
            raise ConfigurationError(f"{self.path}: {len(self.data)} octets: accepted: up to {_OCTETS_MAX}")


def file(path: str, data: bytes, *, executable: bool = False) -> Entry:
    """Return a regular file that all may read."""
    return Entry(path, stat.S_IFREG | (0o755 if executable else 0o644), data)


def folder(path: str) -> Entry:
    """Return a folder."""
    return Entry(path, stat.S_IFDIR | 0o755)


def link(path: str, target: str) -> Entry:
    """Return a symbolic link."""
    return Entry(path, stat.S_IFLNK | 0o777, target.encode())


def device(path: str, major: int, minor: int) -> Entry:
    """Return a character device."""
    return Entry(path, stat.S_IFCHR | 0o600, device=(major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """Return an archive of `entries`, sorted, with every folder above them; the same ones give the same octets.

    Raises:
        ConfigurationError: two entries with one path, or something below what is no folder.
    """
    known: dict[str, Entry] = {}
    for entry in entries:
        if entry.path in known:
            raise ConfigurationError(f"archive path {entry.path!r} is there twice")
        known[entry.path] = entry
    for entry in tuple(known.values()):
        for above in tuple(PurePosixPath(entry.path).parents)[:-1]:
            if not stat.S_ISDIR(known.setdefault(str(above), folder(str(above))).mode):
                raise ConfigurationError(f"archive path {entry.path!r}: {above} is no folder")
    ordered = sorted(known.values(), key=lambda one: PurePosixPath(one.path).parts)
    records = [_record(number, entry.path, entry) for number, entry in enumerate(ordered, 1)]
    return b"".join([*records, _record(0, _TRAILER, None)])


def _record(inode: int, path: str, entry: Entry | None) -> bytes:
    mode, data, (major, minor) = (entry.mode, entry.data, entry.device) if entry else (0, b"", (0, 0))
    name = path.encode() + b"\0"
    # inode, mode, uid, gid, links, mtime, size, device of the file system, device itself, name's octets, checksum
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name), 0)
    return _padded(_MAGIC + b"".join(b"%08X" % field for field in fields) + name) + _padded(data)


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)
