"""Run ids, marks of runs, and the reaper, in directories of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_nfv.__main__ import main
from pytest_nfv.errors import ConfigurationError, DeploymentError
from pytest_nfv.hosts import marks, remains
from pytest_nfv.hosts.marks import Mark, claim_dead
from pytest_nfv.hosts.reap import reap
from pytest_nfv.hosts.run_id import RUN_VARIABLE, checked_run_id, namespace_prefix, new_run_id


def test_run_ids_are_short_valid_and_different() -> None:
    ids = {new_run_id() for _ in range(50)}
    assert len(ids) > 45  # of 1.7 million; two alike among fifty would be a wonder
    for run_id in ids:
        assert checked_run_id(run_id) == run_id
        assert len(f"s99-{run_id}") <= 15, "an interface's name holds it"


@pytest.mark.parametrize("bad", ["", "ab", "UPPER1", "a-bcde", "../etc", "x" * 12])
def test_other_texts_are_no_run_ids(bad: str) -> None:
    with pytest.raises(ConfigurationError, match="accepted: 5 to 11 lower-case"):
        checked_run_id(bad)


def test_mark_lives_as_long_as_its_lock(tmp_path: Path) -> None:
    mark = Mark.make("run01", tmp_path)
    assert json.loads(mark.path.read_text())["pid"] == os.getpid()
    assert claim_dead(tmp_path) == []
    mark.release()
    (dead,) = claim_dead(tmp_path)
    assert dead.run_id == "run01"
    assert claim_dead(tmp_path) == [], "one reaper has it already"
    dead.remove()
    dead.remove()
    assert list(tmp_path.iterdir()) == []


def test_mark_outlives_its_maker_where_another_process_holds_it(tmp_path: Path) -> None:
    mark = Mark.make("run02", tmp_path)
    argv = [sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, pass_fds=[mark.descriptor]) as agent:
        mark.release()
        assert claim_dead(tmp_path) == []
        assert agent.stdin is not None
        agent.stdin.close()
        agent.wait(20)
    assert [dead.run_id for dead in claimed_and_released(tmp_path)] == ["run02"]


def claimed_and_released(directory: Path) -> list[Mark]:
    found = claim_dead(directory)
    for mark in found:
        mark.release()
    return found


def test_mark_of_a_run_that_is_marked_already(tmp_path: Path) -> None:
    mark = Mark.make("run03", tmp_path)
    with pytest.raises(DeploymentError, match="run run03 is marked already"):
        Mark.make("run03", tmp_path)
    mark.remove()


def test_mark_that_cannot_be_written_names_its_place(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match=f"cannot mark the run in {tmp_path}/none"):
        Mark.make("run04", tmp_path / "none")


def test_marks_are_in_the_session_directory_or_the_users_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert marks.place_of(0, str(tmp_path)) == Path("/run/pytest-nfv")
    assert marks.place_of(1000, str(tmp_path)) == tmp_path / "pytest-nfv"
    assert marks.place_of(1000, "") == tmp_path / "pytest-nfv-1000"
    assert marks.place_of(1000, str(tmp_path / "gone")) == tmp_path / "pytest-nfv-1000"


def test_runtime_directory_that_others_may_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As another user than root, and with no session directory, it is below the one for temporary files.
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() or 65534)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    place = tmp_path / f"pytest-nfv-{os.geteuid()}"
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(DeploymentError, match=f"{place} is not a directory that user"):
        marks.runtime_directory()


def test_reaper_removes_what_is_of_dead_runs_only(tmp_path: Path) -> None:
    places, named = tmp_path / "marks", tmp_path / "netns"
    places.mkdir()
    named.mkdir()
    alive, dead = Mark.make("alive1", places), Mark.make("dead01", places)
    dead.release()
    names = [f"{namespace_prefix(run)}gen" for run in ("alive1", "dead01", "nomark")]
    for name in (*names, "blue", "nfv-lab"):
        (named / name).touch()
    code = "import sys; print('on', flush=True); sys.stdin.read()"
    argv = [sys.executable, "-I", "-S", "-c", code]
    environment = {**os.environ, RUN_VARIABLE: "dead01"}
    with subprocess.Popen(argv, stdin=-1, stdout=-1, env=environment) as left:
        assert left.stdout is not None
        assert left.stdout.readline() == b"on\n"
        things = [f"process {left.pid}", "network namespace nfv-dead01-gen", "mark of run dead01"]
        assert reap(dry_run=True, directory=places, named=named) == things
        assert left.poll() is None
        assert reap(directory=places, named=named) == things
        assert left.wait(20) == -9
    assert sorted(path.name for path in named.iterdir()) == ["blue", "nfv-alive1-gen", "nfv-lab", "nfv-nomark-gen"]
    assert [path.name for path in places.iterdir()] == ["alive1.run"]
    assert reap(directory=places, named=named) == []
    alive.remove()


def test_reaper_that_cannot_remove_keeps_the_mark(tmp_path: Path) -> None:
    places, named = tmp_path / "marks", tmp_path / "netns"
    places.mkdir()
    (named / "nfv-dead02-gen").mkdir(parents=True)  # no file: unlink refuses
    Mark.make("dead02", places).release()
    with pytest.raises(DeploymentError, match="run dead02: "):
        reap(directory=places, named=named)
    assert [path.name for path in places.iterdir()] == ["dead02.run"]


def test_processes_are_told_by_the_whole_id(tmp_path: Path) -> None:
    for pid, value in ((101, "dead03"), (102, "dead034"), (103, "other")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "environ").write_bytes(f"HOME=/\0{RUN_VARIABLE}={value}\0".encode())
    (tmp_path / "104").mkdir()
    assert remains.processes_of("dead03", tmp_path) == [101]


def test_command_line_says_what_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(marks, "runtime_directory", lambda: tmp_path)
    assert main(["reap"]) == 0
    assert capsys.readouterr().out == "nothing to remove\n"
    Mark.make("dead05", tmp_path).release()
    assert main(["reap", "--dry-run"]) == 0
    assert capsys.readouterr().out == "would remove mark of run dead05\n"
    assert main(["reap"]) == 0
    assert capsys.readouterr().out == "removed mark of run dead05\n"


def test_command_line_explains_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> Path:
        raise DeploymentError("cannot keep marks")

    monkeypatch.setattr(marks, "runtime_directory", refuse)
    assert main(["reap"]) == 1
    assert capsys.readouterr().err == "pytest-nfv: cannot keep marks\n"


def test_command_line_prints_facts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["facts"]) == 0
    assert json.loads(capsys.readouterr().out)["kernel"] == os.uname().release
