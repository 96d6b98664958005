"""Huge pages: what a run raises, and what it takes back, on a made-up pool."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_nfv.hosts import hugepages
from pytest_nfv.hosts.hugepages import JOURNAL, Pool, default_pool, give_back, take


class Kernel:
    """A pool whose size follows what is written, up to what the kernel can find."""

    def __init__(self, folder: Path, pages: int, free: int, most: int) -> None:
        self.folder, self.most = folder, most
        folder.mkdir(parents=True)
        self.put(pages, free)

    def put(self, pages: int, free: int) -> None:
        (self.folder / "nr_hugepages").write_text(f"{pages}\n")
        (self.folder / "free_hugepages").write_text(f"{free}\n")
        (self.folder / "resv_hugepages").write_text("0\n")
        self.strand(0)

    def strand(self, pages: int) -> None:
        (self.folder / "surplus_hugepages").write_text(f"{pages}\n")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    directory = tmp_path / "runs" / "run01"
    directory.mkdir(parents=True)
    return directory


def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: int, free: int, most: int = 10_000) -> Pool:
    kernel = Kernel(tmp_path / "hugepages-2048kB", pages, free, most)
    pool = default_pool(tmp_path)
    assert pool is not None

    def resize(self: Pool, wanted: int) -> None:
        got = min(wanted, kernel.most)
        kernel.put(got, self.free + got - self.pages - self.surplus)

    monkeypatch.setattr(Pool, "resize", resize)
    return pool


def test_enough_free_pages_are_left_as_they_are(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = made(tmp_path, monkeypatch, 64, 64)
    assert take(128, run, pool) == hugepages.Taken(True, "")
    assert pool.pages == 64
    assert give_back(run, pool) == []


def test_what_is_missing_is_added_and_taken_back(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = made(tmp_path, monkeypatch, 10, 4)
    taken = take(20, run, pool)
    assert taken.enough
    assert taken.note == "huge pages raised from 10 to 16"
    assert take(40, run, pool).enough
    assert pool.pages == 26
    assert give_back(run, pool) == ["16 huge pages"]
    assert pool.pages == 10
    assert give_back(run, pool) == []


def test_none_are_asked_for_where_that_is_not_let(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = made(tmp_path, monkeypatch, 10, 4)
    assert take(8, run, pool, more=False).enough
    refused = take(20, run, pool, more=False)
    assert not refused.enough
    assert refused.note.endswith('no run may ask for more; add "huge-pages" to its may_change in the testbed file')
    assert pool.pages == 10
    assert give_back(run, pool) == []


def test_pages_let_go_while_the_kernel_lowered_do_not_stay(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = made(tmp_path, monkeypatch, 0, 0)
    assert take(600, run, pool).enough
    resize = Pool.resize
    asked: list[int] = []

    def stranding(self: Pool, wanted: int) -> None:
        """Leave 29 pages free and surplus the first time, as the kernel does where they are let go meanwhile."""
        asked.append(wanted)
        resize(self, wanted)
        if len(asked) == 1:
            kernel = Kernel.__new__(Kernel)
            kernel.folder = self.folder
            kernel.put(29, 29)
            kernel.strand(29)

    monkeypatch.setattr(Pool, "resize", stranding)
    assert give_back(run, pool) == ["300 huge pages"]
    assert asked == [0, 29, 0]
    assert (pool.pages, pool.free, pool.surplus) == (0, 0, 0)


def test_what_others_added_meanwhile_stays(tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = made(tmp_path, monkeypatch, 0, 0)
    other = run.parent / "run02"
    other.mkdir()
    assert take(2, run, pool).enough
    assert take(12, other, pool).enough
    give_back(run, pool)
    assert pool.pages == 5
    give_back(other, pool)
    assert pool.pages == 0


def test_pages_that_leave_with_a_dying_run_are_not_kept(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = made(tmp_path, monkeypatch, 25, 0)
    (pool.folder / "surplus_hugepages").write_text("25\n")  # a killed run's, taken from the pool while in use
    assert pool.pages == 0
    assert take(8, run, pool).enough
    assert pool.pages == 4
    assert give_back(run, pool) == ["4 huge pages"]
    assert pool.pages == 0


def test_a_kernel_that_finds_too_few_keeps_none(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = made(tmp_path, monkeypatch, 2, 0, most=5)
    taken = take(100, run, pool)
    assert not taken.enough
    assert "the kernel found 3 of 50 huge pages of 2048 KiB" in taken.note
    assert pool.pages == 2
    assert json.loads((run / JOURNAL).read_text()) == {"added_pages": 0}


def test_without_permission_the_remedy_is_told(tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = made(tmp_path, monkeypatch, 2, 0)

    def refuse(self: Pool, wanted: int) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Pool, "resize", refuse)
    taken = take(4, run, pool)
    assert not taken.enough
    assert taken.note == ("4 MiB of huge pages are not free (Permission denied); sudo sysctl vm.nr_hugepages=4")
    assert give_back(run, pool) == []


def test_a_kernel_without_huge_pages_says_so(tmp_path: Path, run: Path) -> None:
    assert default_pool(tmp_path / "none") is None
    assert not take(2, run, None).enough
    assert give_back(run, None) == []


def test_a_cut_off_journal_is_none(tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = made(tmp_path, monkeypatch, 4, 4)
    (run / JOURNAL).write_text('{"added_')
    assert give_back(run, pool) == []
    assert pool.pages == 4


@pytest.mark.parametrize("given", [0, 3, 16])
def test_a_run_that_is_killed_while_it_asks_takes_back_what_it_got_and_no_more(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch, given: int
) -> None:
    pool = made(tmp_path, monkeypatch, 10, 4)
    resize = Pool.resize

    def killed(self: Pool, wanted: int) -> None:
        resize(self, 10 + given)
        raise KeyboardInterrupt

    monkeypatch.setattr(Pool, "resize", killed)
    with pytest.raises(KeyboardInterrupt):
        take(40, run, pool)
    monkeypatch.setattr(Pool, "resize", resize)
    assert give_back(run, pool) == ([f"{given} huge pages"] if given else [])
    assert pool.pages == 10


def test_what_an_interrupted_request_got_is_given_back_with_what_the_next_one_got(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = made(tmp_path, monkeypatch, 10, 4)
    resize = Pool.resize

    def interrupted(self: Pool, wanted: int) -> None:
        resize(self, 13)
        raise KeyboardInterrupt

    monkeypatch.setattr(Pool, "resize", interrupted)
    with pytest.raises(KeyboardInterrupt):
        take(40, run, pool)
    monkeypatch.setattr(Pool, "resize", resize)
    assert take(40, run, pool).enough
    more = pool.pages - 10
    assert give_back(run, pool) == [f"{more} huge pages"]
    assert pool.pages == 10


@pytest.mark.parametrize("lowered", [0, 2, 6])
def test_a_run_that_is_killed_while_it_gives_back_takes_no_page_of_others(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch, lowered: int
) -> None:
    pool = made(tmp_path, monkeypatch, 10, 4)
    assert take(20, run, pool).enough
    resize = Pool.resize

    def killed(self: Pool, wanted: int) -> None:
        resize(self, 16 - lowered)
        raise KeyboardInterrupt

    monkeypatch.setattr(Pool, "resize", killed)
    with pytest.raises(KeyboardInterrupt):
        give_back(run, pool)
    monkeypatch.setattr(Pool, "resize", resize)
    assert give_back(run, pool) == ([f"{6 - lowered} huge pages"] if lowered < 6 else [])
    assert pool.pages == 10


def test_a_run_that_is_killed_while_it_lowers_what_was_too_little_takes_no_page_of_others(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = made(tmp_path, monkeypatch, 2, 0, most=5)
    resize = Pool.resize

    def killed(self: Pool, wanted: int) -> None:
        resize(self, wanted)
        if wanted == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Pool, "resize", killed)
    with pytest.raises(KeyboardInterrupt):
        take(100, run, pool)
    monkeypatch.setattr(Pool, "resize", resize)
    assert give_back(run, pool) == []
    assert pool.pages == 2


def test_a_full_disk_keeps_no_page_and_no_page_is_taken_twice(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = made(tmp_path, monkeypatch, 10, 4)
    assert take(20, run, pool).enough
    really = Path.write_text

    def full(self: Path, text: str) -> int:
        if run in self.parents:
            raise OSError(28, "No space left on device")
        return really(self, text)

    monkeypatch.setattr(Path, "write_text", full)
    assert give_back(run, pool) == ["6 huge pages"]
    assert give_back(run, pool) == []
    assert pool.pages == 10
