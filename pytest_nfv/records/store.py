"""Where records are kept: `record.json` is the latest run, `history/` has every run, oldest first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pytest_nfv.records.errors import RecordError
from pytest_nfv.records.files import TEMPORARY, Writer, explained, replace_text, try_lock
from pytest_nfv.records.journal import SUFFIX, Journal, read_journal
from pytest_nfv.records.schema import Record

# As much as the record of a few dozen tests takes: what fails for this would fail for a run.
PROBE_OCTETS = 256 * 1024


class Store:
    """A directory of records. Nothing is made before `check_writable`, `begin` or `save`."""

    def __init__(self, directory: Path | str, write: Writer = os.write) -> None:
        self.directory = Path(directory)
        self._write = write

    @property
    def latest_path(self) -> Path:
        """File of the latest run."""
        return self.directory / "record.json"

    @property
    def history_directory(self) -> Path:
        """Folder with one file a run."""
        return self.directory / "history"

    def check_writable(self) -> None:
        """Make the directory where it is missing and try it, so that no run measures in vain.

        Raises:
            RecordError: it is no directory, may not be written, or is full; says what helps.
        """
        try:
            self.history_directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explained(self.directory, "cannot be made", error) from error
        probe = self.history_directory / f".probe.{os.getpid()}"
        replace_text(probe, "\n" * PROBE_OCTETS, self._write)
        probe.unlink(missing_ok=True)

    def begin(self, record: Record) -> Journal:
        """Start the journal of a run; `record` has its run, environment and plan, and no results yet.

        Raises:
            RecordError: the directory cannot be written.
        """
        self.check_writable()
        return Journal(self.history_directory / f"{record.run.stem}{SUFFIX}", record, self._write)

    def finish(self, journal: Journal, *, complete: bool = True) -> Record:
        """Turn a journal into the run's record, and the journal away.

        Raises:
            RecordError: the record cannot be saved; the journal stays, for `recover`.
        """
        record = journal.record(complete=complete)
        try:
            self.save(record)
            journal.path.unlink(missing_ok=True)
        finally:
            journal.close()
        return record

    def save(self, record: Record) -> Path:
        """Keep a record in the history and as the latest one; return its file in the history.

        Raises:
            RecordError: it cannot be saved; no file is left torn.
        """
        path = self._keep(record)
        replace_text(self.latest_path, record.dumps(), self._write)
        return path

    def latest(self) -> Record | None:
        """Return the latest run's record, None where there is none.

        Raises:
            RecordError: the file cannot be read or is no record.
        """
        return _load(self.latest_path) if self.latest_path.exists() else None

    def history(self) -> Iterator[Record]:
        """Return the records kept, oldest first, read one at a time.

        Raises:
            RecordError: a file cannot be read or is no record; names it.
        """
        return map(_load, sorted(self.history_directory.glob("*.json")))

    def recover(self) -> list[Record]:
        """Turn the journals of dead runs into records marked as not complete, and remove what else they left.

        Raises:
            RecordError: a record cannot be saved, or a leftover cannot be opened.
        """
        for folder in (self.directory, self.history_directory):
            for leftover in sorted(folder.glob(f".*{TEMPORARY}")):
                _remove_dead(leftover)
        found = (self._recover_one(path) for path in sorted(self.history_directory.glob(f"*{SUFFIX}")))
        return [record for record in found if record is not None]

    def _recover_one(self, path: Path) -> Record | None:
        descriptor = _lock(path)
        if descriptor is None:
            return None
        try:
            record = read_journal(path.read_text(encoding="utf-8", errors="replace"), str(path))
            if record is None:
                path.replace(path.with_suffix(".unreadable"))
                return None
            if (self.history_directory / f"{record.run.stem}.json").exists():
                path.unlink()  # it died after its record was kept
                return None
            self._keep(record)
            if self._is_latest(record):
                replace_text(self.latest_path, record.dumps(), self._write)
            path.unlink()
            return record
        except OSError as error:
            raise explained(path, "cannot be recovered", error) from error
        finally:
            os.close(descriptor)

    def _is_latest(self, record: Record) -> bool:
        latest = self.latest()
        return latest is None or latest.run.started <= record.run.started

    def _keep(self, record: Record) -> Path:
        try:
            self.history_directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explained(self.directory, "cannot be made", error) from error
        path = self.history_directory / f"{record.run.stem}.json"
        replace_text(path, record.dumps(), self._write)
        return path


def _load(path: Path) -> Record:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(
            f"{path}: cannot be read: {error}; accepted: a record as pytest-nfv writes it"
        ) from error
    return Record.loads(text, source=str(path))


def _lock(path: Path) -> int | None:
    try:
        return try_lock(path)
    except OSError as error:
        raise explained(path, "cannot be opened", error) from error


def _remove_dead(path: Path) -> None:
    descriptor = _lock(path)
    if descriptor is not None:
        path.unlink(missing_ok=True)
        os.close(descriptor)
