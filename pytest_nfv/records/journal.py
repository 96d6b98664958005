"""What a run has measured so far, one JSON line a fact, so that a run that is cut off keeps it.

The first line is the record without results. Then come `{"measured": ..., "node_id": ...}` for every measurement,
`{"ended": {"node_id": ..., "outcome": ..., "duration_s": ...}}` for every test, and `{"described": ...}` where
more is known about the run than at its start. The file is locked while its run lives.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_nfv.records.errors import RecordError
from pytest_nfv.records.files import Writer, explained, open_locked, temporary_beside, write_all
from pytest_nfv.records.measurement import Measurement, decode_measurement
from pytest_nfv.records.reading import Node
from pytest_nfv.records.schema import OUTCOMES, Entry, Record, dump

SUFFIX = ".partial.jsonl"


class Journal:
    """The open journal of a run that lives."""

    def __init__(self, path: Path, record: Record, write: Writer = os.write) -> None:
        """Start the journal of `record`'s run at `path`.

        Raises:
            RecordError: it cannot be written.
        """
        self.path = path
        self._record = record
        self._entries: dict[str, Entry] = {}
        self._write = write
        temporary = temporary_beside(path)
        try:
            self._descriptor = open_locked(temporary)
        except OSError as error:
            raise explained(path, "cannot be started", error) from error
        self._size = 0
        try:
            self._append(record.to_json())
            os.replace(temporary, path)
        except BaseException as error:
            self.close()
            temporary.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise explained(path, "cannot be started", error) from error
            raise

    def describe(self, record: Record) -> None:
        """Say more about the run than was known when it began; results in `record` are left out.

        Raises:
            RecordError: the journal cannot be written.
        """
        self._append({"described": record.with_results(()).to_json()})
        self._record = record

    def measured(self, node_id: str, measurement: Measurement | Mapping[str, Any]) -> None:
        """Keep one measurement of a test.

        Raises:
            RecordError: the disk is full or the like; what was kept before is still whole.
        """
        one = Measurement.of(measurement)
        self._append({"node_id": node_id, "measured": one.to_json()})
        _measured(self._entries, node_id, one)

    def ended(self, node_id: str, outcome: str, duration_s: float) -> None:
        """Keep what became of a test.

        Raises:
            RecordError: an outcome that is none, or the journal cannot be written.
        """
        entry = Entry(node_id, outcome, duration_s)
        self._append({"ended": {"node_id": node_id, "outcome": outcome, "duration_s": duration_s}})
        _ended(self._entries, entry)

    def record(self, *, complete: bool = True) -> Record:
        """Return the record of everything so far."""
        return self._record.with_results(tuple(self._entries.values()), complete=complete)

    def close(self) -> None:
        """Let go of the file, which stays; safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _append(self, fact: Mapping[str, Any]) -> None:
        # Not synchronised to the disk: a line outlives the process as soon as the kernel has it, and waiting for
        # the disk between two trials would be noise on the machine that is measured.
        data = (dump(fact) + "\n").encode()
        try:
            write_all(self._descriptor, data, self._write)
        except OSError as error:
            os.ftruncate(self._descriptor, self._size)
            raise explained(self.path, "cannot be extended", error) from error
        self._size += len(data)


def read_journal(text: str, source: str) -> Record | None:
    """Return the record of a run that was cut off; None where not even its first line is whole.

    Lines are written in order, so that the first one that cannot be read ends what is known.
    """
    nodes = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            nodes.append(Node(json.loads(line), source=f"{source}, line {number}"))
        except ValueError:
            break
    if not nodes:
        return None
    try:
        header = Record.from_node(nodes[0])
    except RecordError:
        return None
    entries: dict[str, Entry] = {}
    for node in nodes[1:]:
        try:
            if "described" in node.table():
                header = Record.from_node(node.key("described"))
            else:
                _replay(entries, node)
        except RecordError:
            break
    return header.with_results(tuple(entries.values()), complete=False)


def _replay(entries: dict[str, Entry], node: Node) -> None:
    if "measured" in node.table():
        _measured(entries, node.key("node_id").text(), decode_measurement(node.key("measured")))
        return
    ended = node.key("ended")
    outcome = ended.key("outcome").one_of(*OUTCOMES)
    _ended(entries, Entry(ended.key("node_id").text(), outcome, ended.key("duration_s").number()))


def _measured(entries: dict[str, Entry], node_id: str, one: Measurement) -> None:
    before = entries.get(node_id, Entry(node_id, "interrupted"))
    entries[node_id] = Entry(node_id, before.outcome, before.duration_s, (*before.measurements, one))


def _ended(entries: dict[str, Entry], entry: Entry) -> None:
    before = entries.get(entry.node_id)
    kept = before.measurements if before else ()
    entries[entry.node_id] = Entry(entry.node_id, entry.outcome, entry.duration_s, kept)
