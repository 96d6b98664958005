"""Huge pages: taken where enough are free, asked of the kernel where root may, given back at the end.

What a run raised stands in a journal in the run's own directory before the kernel is asked, so that the reaper can
take it back after a kill -9. Other runs raise and lower the same number at the same time: a run takes back only
what it added (kernel documentation, `admin-guide/mm/hugetlbpage`).
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

JOURNAL = "hugepages.json"
_POOLS = Path("/sys/kernel/mm/hugepages")
_ATTEMPTS = 5
_PREFIX, _SUFFIX = "hugepages-", "kB"


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a request.

    Attributes:
        enough: whether that much is free now.
        note: what was done, or why there is not enough.
    """

    enough: bool
    note: str


@dataclass(frozen=True, slots=True)
class Pool:
    """The kernel's pool of one size of page.

    Attributes:
        kib: size of a page in KiB.
    """

    kib: int
    folder: Path

    @property
    def free(self) -> int:
        """Pages that nobody has and nobody was promised."""
        return self._read("free_hugepages") - self._read("resv_hugepages")

    @property
    def pages(self) -> int:
        """Pages in the pool, without surplus ones: those leave it as soon as whoever has them lets go."""
        return self._read("nr_hugepages") - self.surplus

    @property
    def surplus(self) -> int:
        """Pages above the pool's size, which go when they are let go."""
        return self._read("surplus_hugepages")

    def resize(self, pages: int) -> None:
        """Ask for a pool of `pages`; the kernel gives what it has.

        Raises:
            OSError: not permitted.
        """
        (self.folder / "nr_hugepages").write_text(f"{pages}\n")

    def _read(self, name: str) -> int:
        return int((self.folder / name).read_text())


def default_pool(pools: Path = _POOLS) -> Pool | None:
    """Return the pool of the smallest pages, 2 MiB on most machines; None where the kernel has none."""
    try:
        names = [entry.name for entry in pools.iterdir() if entry.name.startswith(_PREFIX)]
    except OSError:
        return None
    sizes = sorted(int(name.removeprefix(_PREFIX).removesuffix(_SUFFIX)) for name in names)
    return Pool(sizes[0], pools / f"{_PREFIX}{sizes[0]}{_SUFFIX}") if sizes else None


def take(mebibytes: int, directory: Path, pool: Pool | None, *, more: bool = True) -> Taken:
    """See that `mebibytes` of huge pages are free, raising the pool where that is needed and permitted.

    Args:
        mebibytes: how much, in all.
        directory: the run's own, which holds the journal; its parent is locked meanwhile.
        pool: what `default_pool` found.
        more: whether it may be raised.
    """
    if pool is None:
        return Taken(False, "the kernel has no huge pages")
    wanted = -(-mebibytes * 1024 // pool.kib)
    with _alone(directory):
        missing = wanted - pool.free
        if missing <= 0:
            return Taken(True, "")
        if not more:
            remedy = 'add "huge-pages" to its may_change in the testbed file'
            return Taken(
                False, f"{mebibytes} MiB of huge pages are not free, and no run may ask for more; {remedy}"
            )
        return _raised(missing, mebibytes, directory, pool)


def _raised(missing: int, mebibytes: int, directory: Path, pool: Pool) -> Taken:
    before = pool.pages
    added = _journalled(directory) + _came_of_asking(directory, pool)
    _write_journal(directory, added, asked=missing, found=before)
    try:
        pool.resize(before + missing)
    except OSError as error:
        _write_journal(directory, added)
        remedy = f"sudo sysctl vm.nr_hugepages={before + missing}"
        return Taken(False, f"{mebibytes} MiB of huge pages are not free ({error.strerror}); {remedy}")
    got = pool.pages - before
    if got >= missing:
        _write_journal(directory, added + got)
        return Taken(True, f"huge pages raised from {before} to {before + got}")
    _lower(pool, max(0, got))
    _write_journal(directory, added)
    found = f"the kernel found {got} of {missing} huge pages of {pool.kib} KiB"
    return Taken(False, f"{found}; free memory, or reboot")


def give_back(directory: Path, pool: Pool | None) -> list[str]:
    """Take back what the run of this directory added; return it, a phrase a thing.

    Raises:
        OSError: not permitted.
    """
    if pool is None:
        return []
    with _alone(directory):
        added = _journalled(directory) + _came_of_asking(directory, pool)
        if not added:
            return []
        size = max(0, pool.pages - added)
        with suppress(OSError):  # a full disk must keep nothing from being given back
            # Cut off behind this, only what is above that size is still to be taken out.
            _write_journal(directory, 0, asked=added, found=size)
        _lower(pool, added)
        (directory / JOURNAL).unlink(missing_ok=True)
    return [f"{added} huge pages"]


def _came_of_asking(directory: Path, pool: Pool) -> int:
    """Return what the kernel gave of a request, or has yet to lose, whose run was killed before it noted that."""
    try:
        journal = json.loads((directory / JOURNAL).read_text())
        asked, found = int(journal["asked_pages"]), int(journal["found_pages"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return max(0, min(asked, pool.pages - found))


def _lower(pool: Pool, by: int) -> None:
    """Take `by` pages out of the pool.

    Those in use become surplus and go when they are let go. One that is let go while the kernel counts (between
    two holds of its lock in `set_max_huge_pages`) becomes surplus although it is free, and would stay for good
    (seen in 1 of 60 attempts while a process of 200 pages died): such are taken back, and lowered once more.
    """
    if not by:
        return
    size = max(0, pool.pages - by)
    pool.resize(size)
    for _ in range(_ATTEMPTS):
        stranded = min(pool.surplus, pool.free)
        if stranded <= 0:
            return
        pool.resize(size + stranded)
        pool.resize(size)


def _journalled(directory: Path) -> int:
    try:
        return int(json.loads((directory / JOURNAL).read_text())["added_pages"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0  # none, or cut off before anything was asked of the kernel


def _write_journal(directory: Path, added: int, *, asked: int = 0, found: int = 0) -> None:
    """Note what was added so far and, while the kernel is `asked` for more or fewer, the pages without those."""
    asking = {"asked_pages": asked, "found_pages": found} if asked else {}
    fresh = directory / f"{JOURNAL}.new"
    fresh.write_text(json.dumps({"added_pages": added, **asking}))
    fresh.replace(directory / JOURNAL)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep other runs of this user from changing the pool meanwhile."""
    descriptor = os.open(directory.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
