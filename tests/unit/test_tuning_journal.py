"""The journal of settings: whatever was set, and wherever it was cut off, playing it back restores the machine."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts import marks
from pytest_nfv.hosts.reap import reap
from pytest_nfv.hosts.tuning.journal import NAME, Journal
from pytest_nfv.hosts.tuning.knob import FileKnob, knob_of
from pytest_nfv.hosts.tuning.protocol import Scope
from pytest_nfv.hosts.tuning.table import put_back, tune
from tests.unit.cpu_tree import clip, make_tree, read

SETS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                ("cpu-frequency", "1.2GHz"),
                ("cpu-frequency", "1.6GHz"),
                ("cpu-frequency", "2.4GHz"),
                ("cpu-frequency", None),
                ("cpu-frequency", "9GHz"),
                ("governor", "performance"),
                ("governor", None),
                ("turbo", "off"),
                ("turbo", "on"),
                ("c-states", "0"),
                ("c-states", "2"),
                ("smt", "off"),
                ("smt", None),
                ("irq-affinity", "away"),
                ("irq-affinity", None),
            ]
        ),
        st.sets(st.integers(0, 3), min_size=1),
    ),
    max_size=8,
)


def apply(run: Path, tree: Path, sets: list[tuple[tuple[str, str | None], set[int]]]) -> Iterator[None]:
    for (name, value), cores in sets:
        with suppress(DeploymentError):  # refused: it has to have put back what it began
            tune(run, name, value, Scope(sorted(cores), root=tree))
        yield


@settings(max_examples=60, deadline=None)
@given(SETS)
def test_any_sequence_goes_back(sets: list[tuple[tuple[str, str | None], set[int]]]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        tree, run = make_tree(Path(folder, "root")), Path(folder, "run")
        clip(patch, tree)
        run.mkdir()
        before = read(tree)
        for _ in apply(run, tree, sets):
            pass
        put_back(run)
        assert read(tree) == before
        assert [*run.iterdir()] == []


class Killed(BaseException):
    """Stands for kill -9: nothing that comes after it is done."""


@settings(max_examples=100, deadline=None)
@given(SETS, st.integers(0, 60), st.integers(0, 200), st.booleans())
def test_a_kill_anywhere_goes_back(
    sets: list[tuple[tuple[str, str | None], set[int]]], steps: int, torn: int, late: bool
) -> None:
    """Cut off before any write, of the journal (in the middle of its line) or of a value, or right behind it."""
    left = steps
    append, back = Journal._append, Journal.put_back

    def last(path: Path, line: bytes) -> None:
        with path.open("ab") as file:
            file.write(line[: min(torn, len(line) - 1)])

    def counted_write(self: FileKnob, value: str) -> None:
        nonlocal left
        left -= 1
        if left < 0 and not late:
            raise Killed
        write(self, value)
        if left < 0:
            raise Killed

    def counted_append(self: Journal, fact: dict[str, object], *, sync: bool = False) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            last(self.path, json.dumps(fact).encode() + b"\n")
            raise Killed
        append(self, fact, sync=sync)

    def dead_put_back(self: Journal, setting: str = "") -> object:
        if left < 0:
            raise Killed  # nobody is there to clean up
        return back(self, setting)

    context = pytest.MonkeyPatch.context
    with tempfile.TemporaryDirectory() as folder, context() as machine, context() as patch:
        tree, run = make_tree(Path(folder, "root")), Path(folder, "run")
        clip(machine, tree)
        write = FileKnob.write
        run.mkdir()
        before = read(tree)
        patch.setattr(FileKnob, "write", counted_write)
        patch.setattr(Journal, "_append", counted_append)
        patch.setattr(Journal, "put_back", dead_put_back)
        try:
            for _ in apply(run, tree, sets):
                pass
        except Killed:
            pass
        patch.undo()
        put_back(run)
        assert read(tree) == before
        assert [*run.iterdir()] == []


def test_what_somebody_else_set_meanwhile_stays_and_is_told(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "root")
    tune(tmp_path, "governor", "performance", Scope([0, 1], root=tree))
    theirs = tree / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    theirs.write_text("powersave\n")
    said = put_back(tmp_path)
    assert theirs.read_text() == "powersave\n"
    assert read(tree)["sys/devices/system/cpu/cpu1/cpufreq/scaling_governor"] == "schedutil"
    assert said[0].startswith("change of file:")
    assert said[1].endswith(
        "scaling_governor is left at powersave, as somebody else set it: this run had set it from schedutil to "
        "performance"
    )


def test_what_is_gone_is_told_and_no_trouble(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "root")
    tune(tmp_path, "governor", "performance", Scope([1], root=tree))
    shutil.rmtree(tree / "sys/devices/system/cpu/cpu1/cpufreq")
    (said,) = put_back(tmp_path)
    assert said.endswith("scaling_governor has to be schedutil again: No such file or directory; it is gone")
    assert put_back(tmp_path) == []


def test_what_cannot_be_put_back_is_kept_for_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree, marked = make_tree(tmp_path / "root"), tmp_path / "marks"
    marked.mkdir()
    mark = marks.Mark.make("dead11", marked)
    directory = mark.make_directory()
    mark.release()
    before = read(tree)
    tune(directory, "governor", "performance", Scope([1, 2], root=tree))
    really = FileKnob.write

    def refuse(self: FileKnob, value: str) -> None:
        if "cpu2" in str(self.path):
            raise PermissionError(1, "Operation not permitted")
        really(self, value)

    with monkeypatch.context() as patch:
        patch.setattr(FileKnob, "write", refuse)
        with pytest.raises(DeploymentError, match="cpu2/cpufreq/scaling_governor has to be schedutil again: Oper"):
            reap(directory=marked, named=tmp_path / "none")
    assert (directory / NAME).exists()
    expected = f"change of file:{tree}/sys/devices/system/cpu/cpu2/cpufreq/scaling_governor"
    assert expected in reap(dry_run=True, directory=marked, named=tmp_path / "none")
    assert expected in reap(directory=marked, named=tmp_path / "none")
    assert read(tree) == before
    assert [*marked.iterdir()] == []


def test_a_full_disk_keeps_nothing_from_being_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = make_tree(tmp_path / "root")
    before = read(tree)
    tune(tmp_path, "governor", "performance", Scope([0, 1], root=tree))

    def full(self: Journal, fact: dict[str, object], *, sync: bool = False) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Journal, "_append", full)
    with pytest.raises(DeploymentError, match="cannot be set to 1: No space left on device"):
        tune(tmp_path, "turbo", "off", Scope([0], root=tree))
    assert read(tree)["sys/devices/system/cpu/intel_pstate/no_turbo"] == "0"
    put_back(tmp_path)
    assert read(tree) == before


@pytest.mark.parametrize("key", ["file:relative", "file", "colour:eth0", ""])
def test_keys_that_name_nothing(key: str) -> None:
    with pytest.raises(ValueError, match="names nothing that can be set"):
        knob_of(key)
