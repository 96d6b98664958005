"""A disk that really is full, and one that really cannot be written: a small file system in a mount namespace."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from pathlib import Path
from pytest_nfv.records.errors import RecordError
from pytest_nfv.records.schema import Record, Run
from pytest_nfv.records.store import Store

directory, case = Path(sys.argv[1]), sys.argv[2]
store = Store(directory)
old = Record(Run("old", "2025-01-01T00:00:00+00:00"))
if case == "late":
    store.save(old)
    journal = store.begin(Record(Run("new", "2025-01-02T00:00:00+00:00", {"size": "x" * 200_000})))
    (directory / "filler").write_bytes(b"x" * 1024 * (1024 - 256 - 16))
    try:
        store.finish(journal)
    except RecordError as error:
        print(error)
    assert store.latest() == old
    left = sorted(path.name for path in directory.rglob("*") if path.is_file())
    history = ["20250101T000000Z-old.json", "20250102T000000Z-new.partial.jsonl"]
    assert left == [*history, "filler", "record.json"], left
    (directory / "filler").unlink()
    assert [record.run.id for record in store.recover()] == ["new"]
    print("recovered")
else:
    try:
        store.check_writable()
    except RecordError as error:
        print(error)
    assert not [path for path in directory.rglob("*") if path.is_file()]
"""

needs_mounts = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="mounting a small file system needs root and unshare(1) of util-linux: run as root",
)


def run(directory: Path, mount_options: str, case: str) -> str:
    """Run the script with a tmpfs on `directory` that nobody else sees."""
    inside = f'mount -t tmpfs -o {mount_options} tmpfs "$1" && exec "$2" -c "$3" "$1" "$4"'
    argv = ["unshare", "--mount", "sh", "-c", inside, "sh", str(directory), sys.executable, SCRIPT, case]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_mounts
def test_a_disk_that_is_full_at_the_start_is_told_at_the_start(tmp_path: Path) -> None:
    said = run(tmp_path, "size=64k", "early")
    assert str(tmp_path) in said
    assert "No space left on device" in said
    assert "free some space there, or choose another directory" in said


@needs_mounts
def test_a_disk_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    said = run(tmp_path, "ro", "early")
    assert "Read-only file system" in said
    assert "choose a directory on a file system that can be written" in said


@needs_mounts
def test_a_disk_that_fills_up_during_the_run_costs_nothing_that_was_kept(tmp_path: Path) -> None:
    said = run(tmp_path, "size=1m", "late")
    assert "No space left on device" in said
    assert said.endswith("recovered\n")
