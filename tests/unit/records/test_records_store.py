"""Records on disk: whole or not there, whatever happens to the run."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_nfv.records.errors import RecordError
from pytest_nfv.records.files import Writer
from pytest_nfv.records.schema import Record
from pytest_nfv.records.store import Store

if TYPE_CHECKING:
    from tests.unit.records.conftest import Samples

NODE = "perf_tests/test_x.py::test_gate[64]"


def full_after(octets: int, code: int = errno.ENOSPC) -> Writer:
    """Return a writer to a disk with so much room: it takes a part of what no longer fits, then fails."""
    room = [octets]

    def write(descriptor: int, data: bytes) -> int:
        if room[0] <= 0:
            raise OSError(code, os.strerror(code))
        taken = os.write(descriptor, data[: min(len(data), room[0])])
        room[0] -= taken
        return taken

    return write


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def test_a_saved_record_is_the_latest_and_in_the_history(samples: Samples, tmp_path: Path) -> None:
    store = Store(tmp_path / "reports")
    record = samples.record()
    path = store.save(record)
    assert store.latest() == record
    assert path == tmp_path / "reports/history/20250615T150640Z-k3x9-1a2b.json"
    assert files(tmp_path / "reports") == {"record.json", "history/20250615T150640Z-k3x9-1a2b.json"}


def test_history_is_in_the_order_of_time(samples: Samples, tmp_path: Path) -> None:
    store = Store(tmp_path)
    for identity, moment in (
        ("b", "2025-06-15T17:00:00+02:00"),
        ("c", "2025-07-01T00:00:00Z"),
        ("a", "2024-12-31T23:59:59Z"),
    ):
        store.save(samples.record(run=samples.run(identity, moment)))
    assert [record.run.id for record in store.history()] == ["a", "b", "c"]


def test_an_empty_store_has_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    assert store.latest() is None
    assert list(store.history()) == []
    assert store.recover() == []
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("room", [0, 100, 5_000])
def test_a_full_disk_leaves_the_old_record_and_nothing_else(samples: Samples, tmp_path: Path, room: int) -> None:
    old = samples.record(run=samples.run("old"))
    Store(tmp_path).save(old)
    before = files(tmp_path)
    with pytest.raises(RecordError) as caught:
        Store(tmp_path, full_after(room)).save(samples.record(run=samples.run("new")))
    assert str(tmp_path) in str(caught.value)
    assert "No space left on device" in str(caught.value)
    assert "free some space" in str(caught.value)
    assert files(tmp_path) == before
    assert Store(tmp_path).latest() == old


def test_a_full_disk_is_found_before_anything_is_measured(samples: Samples, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="No space left on device"):
        Store(tmp_path, full_after(1000)).begin(samples.record())
    assert files(tmp_path) == set()


@pytest.mark.parametrize("below", ["", "/deeper"])
def test_a_file_in_the_place_of_the_directory_is_named(tmp_path: Path, below: str) -> None:
    (tmp_path / "reports").write_text("mine")
    with pytest.raises(
        RecordError, match=r"reports.*cannot be made: (Not a directory|File exists).*choose a path"
    ):
        Store(f"{tmp_path}/reports{below}").check_writable()
    assert (tmp_path / "reports").read_text() == "mine"


def test_a_limit_on_file_size_is_named(tmp_path: Path) -> None:
    program = (
        "import resource, sys; from pytest_nfv.records.store import Store;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); Store(sys.argv[1]).check_writable()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "RecordError" in done.stderr
    assert "File too large" in done.stderr
    assert "ulimit -f" in done.stderr
    assert files(tmp_path) == set()


def test_checking_leaves_nothing_but_the_folders(tmp_path: Path) -> None:
    Store(tmp_path / "a/b").check_writable()
    assert files(tmp_path) == set()
    assert (tmp_path / "a/b/history").is_dir()


@pytest.mark.parametrize("text", ["{}", "no", '{"schema": "pytest-nfv/1"}'])
def test_a_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(RecordError, match=r"record\.json: .*accepted"):
        Store(tmp_path).latest()


def test_a_journal_becomes_the_record(samples: Samples, tmp_path: Path) -> None:
    store = Store(tmp_path)
    journal = store.begin(samples.record().with_results(()))
    journal.measured(NODE, samples.failed())
    journal.measured(NODE, samples.passed().to_json())
    journal.ended(NODE, "failed", 4.5)
    record = store.finish(journal)
    assert record.complete
    (entry,) = record.results
    assert (entry.node_id, entry.outcome, entry.duration_s) == (NODE, "failed", 4.5)
    assert entry.measurements == (samples.failed(), samples.passed())
    assert store.latest() == record
    assert files(tmp_path) == {"record.json", "history/20250615T150640Z-k3x9-1a2b.json"}


def test_a_journal_may_learn_about_its_run_later(samples: Samples, tmp_path: Path) -> None:
    store = Store(tmp_path)
    known = samples.record()
    journal = store.begin(Record(samples.run()))
    journal.measured(NODE, samples.passed())
    journal.describe(known)
    text = journal.path.read_text()
    assert store.finish(journal).environment == known.environment
    (tmp_path / "history").joinpath("20250615T150640Z-k3x9-1a2b.json").unlink()
    journal.path.write_text(text)
    (recovered,) = store.recover()
    assert recovered.environment == known.environment
    assert recovered.results[0].measurements == (samples.passed(),)


def test_a_journal_on_a_full_disk_keeps_what_it_has(samples: Samples, tmp_path: Path) -> None:
    header = samples.record().with_results(())
    room = 256 * 1024 + len(json.dumps(header.to_json())) + 100
    store = Store(tmp_path, full_after(room))
    journal = store.begin(header)
    with pytest.raises(RecordError, match="cannot be extended: No space left"):
        journal.measured(NODE, samples.passed())
    assert journal.path.read_text().count("\n") == 1
    assert json.loads(journal.path.read_text())["schema"]
    journal.close()


def test_a_record_that_cannot_be_saved_can_be_recovered(samples: Samples, tmp_path: Path) -> None:
    store = Store(tmp_path, full_after(256 * 1024 + 20_000))
    journal = store.begin(samples.record().with_results(()))
    for _ in range(3):
        journal.measured(NODE, samples.passed())
    journal.ended(NODE, "passed", 1.0)
    with pytest.raises(RecordError, match="No space left"):
        store.finish(journal)
    (record,) = Store(tmp_path).recover()
    assert record.results[0].measurements == (samples.passed(),) * 3
    assert Store(tmp_path).latest() == record


def test_a_living_run_is_not_recovered(samples: Samples, tmp_path: Path) -> None:
    store = Store(tmp_path)
    journal = store.begin(samples.record().with_results(()))
    journal.measured(NODE, samples.passed())
    assert Store(tmp_path).recover() == []
    assert journal.path.exists()
    journal.close()
    (record,) = Store(tmp_path).recover()
    assert not record.complete
    assert record.results[0].outcome == "interrupted"


CHILD = """
import sys, time
from pathlib import Path
from pytest_nfv.records.schema import Record
from pytest_nfv.records.store import Store
store = Store(sys.argv[1])
whole = Record.loads(Path(sys.argv[2]).read_text())
journal = store.begin(whole.with_results(()))
for test in whole.results[:2]:
    for one in test.measurements:
        journal.measured(test.node_id, one)
    journal.ended(test.node_id, test.outcome, test.duration_s)
print("measured", flush=True)
time.sleep(60)
"""


def test_a_killed_run_keeps_what_it_measured(samples: Samples, tmp_path: Path) -> None:
    whole = samples.record()
    source = tmp_path / "source.json"
    source.write_text(whole.dumps())
    reports = tmp_path / "reports"
    argv = [sys.executable, "-c", CHILD, str(reports), str(source)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "measured\n"
        assert Store(reports).recover() == []
        child.send_signal(signal.SIGKILL)
    (reports / "history" / ".record.json.0123abcd.tmp").write_text("half a rec")
    (record,) = Store(reports).recover()
    assert record == whole.with_results(whole.results[:2], complete=False)
    assert Store(reports).latest() == record
    assert files(reports) == {"record.json", "history/20250615T150640Z-k3x9-1a2b.json"}
    assert Store(reports).recover() == []


def abandoned(store: Store, samples: Samples, identity: str = "dead") -> Path:
    journal = store.begin(samples.record(run=samples.run(identity)).with_results(()))
    journal.measured(NODE, samples.passed())
    journal.measured(NODE, samples.failed())
    journal.close()
    return journal.path


def test_a_torn_line_costs_only_itself(samples: Samples, tmp_path: Path) -> None:
    path = abandoned(Store(tmp_path), samples)
    path.write_bytes(path.read_bytes()[:-200])
    (record,) = Store(tmp_path).recover()
    assert record.results[0].measurements == (samples.passed(),)


def test_a_journal_without_a_first_line_is_put_aside_once(samples: Samples, tmp_path: Path) -> None:
    path = abandoned(Store(tmp_path), samples)
    path.write_text("\0\0\0")
    assert Store(tmp_path).recover() == []
    assert files(tmp_path) == {"history/20250615T150640Z-dead.partial.unreadable"}
    assert Store(tmp_path).recover() == []


def test_a_run_that_died_after_it_was_saved_stays_complete(samples: Samples, tmp_path: Path) -> None:
    store = Store(tmp_path)
    abandoned(store, samples)
    done = samples.record(run=samples.run("dead"))
    store.save(done)
    assert store.recover() == []
    assert list(store.history()) == [done]
    assert files(tmp_path) == {"record.json", "history/20250615T150640Z-dead.json"}


def test_an_older_dead_run_does_not_become_the_latest(samples: Samples, tmp_path: Path) -> None:
    store = Store(tmp_path)
    newer = samples.record(run=samples.run("newer", "2025-06-16T00:00:00Z"))
    store.save(newer)
    abandoned(store, samples)
    (record,) = store.recover()
    assert record.run.id == "dead"
    assert store.latest() == newer
    assert [one.run.id for one in store.history()] == ["dead", "newer"]


def test_two_stores_that_recover_at_once_do_it_once(samples: Samples, tmp_path: Path) -> None:
    abandoned(Store(tmp_path), samples)
    program = "import sys; from pytest_nfv.records.store import Store; print(len(Store(sys.argv[1]).recover()))"
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    found = [int(child.communicate()[0]) for child in children]
    assert sum(found) == 1
    assert [child.returncode for child in children] == [0] * 4


def test_a_journal_cannot_hold_an_outcome_that_is_none(samples: Samples, tmp_path: Path) -> None:
    journal = Store(tmp_path).begin(samples.record().with_results(()))
    with pytest.raises(RecordError, match="outcome 'nice'"):
        journal.ended(NODE, "nice", 1.0)
    assert journal.path.read_text().count("\n") == 1
    journal.close()
    journal.close()
