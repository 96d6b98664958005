"""The record of a run: one JSON document that says under which conditions what was measured.

The schema has a number. A reader leaves alone keys that it does not know; a key that goes away or changes its
meaning raises the number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pytest_nfv.records.errors import RecordError
from pytest_nfv.records.measurement import Measurement, decode_measurement
from pytest_nfv.records.reading import Node

SCHEMA_NAME = "pytest-nfv"
SCHEMA_VERSION = 1
SCHEMA = f"{SCHEMA_NAME}/{SCHEMA_VERSION}"

OUTCOMES = ("passed", "failed", "invalid", "skipped", "error", "interrupted")
"""What became of a test; `interrupted` is for one that never ended."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of pytest.

    Attributes:
        id: the run's id, also part of file names: letters, digits, dot, dash, underscore.
        started_at: UTC, ISO 8601.
        options: command line options that matter, by name.
        package_version: pytest-nfv's.
        simulated: something in it comes from the simulated device.
    """

    id: str
    started_at: str
    options: Mapping[str, Any] = field(default_factory=dict)
    package_version: str = ""
    simulated: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.id):
            raise RecordError(f"run id {self.id!r}; accepted: letters, digits, dot, dash and underscore")
        _ = self.started

    @property
    def started(self) -> datetime:
        """When it started, in UTC."""
        try:
            moment = datetime.fromisoformat(self.started_at)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise RecordError(f"started_at {self.started_at!r}; accepted: such as 2025-01-31T12:00:00+00:00")
        return moment.astimezone(UTC)

    @property
    def stem(self) -> str:
        """Name of its files, without suffix; sorts by time."""
        return f"{self.started:%Y%m%dT%H%M%SZ}-{self.id}"


@dataclass(frozen=True, slots=True)
class Environment:
    """Where it was measured.

    Attributes:
        host: facts about the machine, as `hosts.facts` gives them.
        testbed: the testbed's own JSON.
        vswitches: switch to version, those found.
    """

    host: Mapping[str, Any] = field(default_factory=dict)
    testbed: Mapping[str, Any] = field(default_factory=dict)
    vswitches: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """One test.

    Attributes:
        outcome: one of `OUTCOMES`.
        duration_s: what the test took, set-up left out.
    """

    node_id: str
    outcome: str
    duration_s: float = 0.0
    measurements: tuple[Measurement, ...] = ()

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise RecordError(f"outcome {self.outcome!r} of {self.node_id}; accepted: {', '.join(OUTCOMES)}")

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "node_id": self.node_id,
            "outcome": self.outcome,
            "duration_s": self.duration_s,
            "measurements": [one.to_json() for one in self.measurements],
        }


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that one run leaves behind.

    Attributes:
        plan: what was to be deployed and measured, one line an item.
        complete: False where the run was cut off and its journal was turned into this record.
    """

    run: Run
    environment: Environment = field(default_factory=Environment)
    plan: tuple[str, ...] = ()
    results: tuple[Entry, ...] = ()
    complete: bool = True

    def with_results(self, results: tuple[Entry, ...], *, complete: bool = True) -> Record:
        """Return the same run with what came out of it."""
        simulated = self.run.simulated or any(one.simulated for test in results for one in test.measurements)
        return replace(self, run=replace(self.run, simulated=simulated), results=results, complete=complete)

    def measurements(self) -> Iterator[tuple[Entry, Measurement]]:
        """Return every measurement with its test, in the order of the run."""
        return ((test, one) for test in self.results for one in test.measurements)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        run, environment = self.run, self.environment
        return {
            "schema": SCHEMA,
            "complete": self.complete,
            "run": {
                "id": run.id,
                "started_at": run.started_at,
                "options": dict(run.options),
                "package_version": run.package_version,
                "simulated": run.simulated,
            },
            "environment": {
                "host": dict(environment.host),
                "testbed": dict(environment.testbed),
                "vswitches": dict(environment.vswitches),
            },
            "plan": list(self.plan),
            "results": [test.to_json() for test in self.results],
        }

    def dumps(self) -> str:
        """Return the document's text.

        Raises:
            RecordError: something in it is not JSON: a fact that is an object, a number that is not finite.
        """
        return dump(self.to_json(), indent=1) + "\n"

    @classmethod
    def loads(cls, text: str, source: str = "record") -> Record:
        """Read a document.

        Args:
            text: what `dumps` gave.
            source: the file's name, for messages.

        Raises:
            RecordError: not JSON, of another schema, or a value that cannot be; names file and key.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise RecordError(
                f"{source}: not JSON ({error}); accepted: a record as pytest-nfv writes it"
            ) from error
        return cls.from_node(Node(data, source=source))

    @classmethod
    def from_node(cls, node: Node) -> Record:
        """Read a document that is parsed already."""
        _check_schema(node.key("schema"))
        run, environment = node.key("run"), node.key("environment")
        return cls(
            run=_run(run),
            environment=Environment(
                host=environment.key("host").plain(),
                testbed=environment.key("testbed").plain(),
                vswitches={name: one.text() for name, one in environment.key("vswitches").table().items()},
            ),
            plan=node.key("plan").texts(),
            results=tuple(_entry(one) for one in node.key("results").items()),
            complete=node.key("complete").flag(),
        )


def dump(value: Any, indent: int | None = None) -> str:
    """Return JSON text that every reader takes.

    Raises:
        RecordError: something in `value` is not JSON.
    """
    try:
        return json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise RecordError(
            f"this run cannot be written as JSON: {error}; accepted: plain, finite values"
        ) from error


def _check_schema(node: Node) -> None:
    name, _, number = node.text().partition("/")
    if name != SCHEMA_NAME or not number.isdecimal() or int(number) < 1:
        node.fail(SCHEMA)
    if int(number) > SCHEMA_VERSION:
        raise RecordError(
            f"{node.source}: schema is {node.value!r}, written by a newer pytest-nfv; accepted: up to {SCHEMA}; "
            "update pytest-nfv to read it"
        )


def _run(node: Node) -> Run:
    identity, started_at = node.key("id").text(), node.key("started_at").text()
    options, version = node.key("options").plain(), node.key("package_version").text()
    simulated = node.key("simulated").flag()
    try:
        return Run(identity, started_at, options, version, simulated)
    except RecordError as error:
        raise RecordError(f"{node.source}: {node.path}: {error}") from error


def _entry(node: Node) -> Entry:
    return Entry(
        node_id=node.key("node_id").text(),
        outcome=node.key("outcome").one_of(*OUTCOMES),
        duration_s=node.key("duration_s").number(),
        measurements=tuple(decode_measurement(one) for one in node.key("measurements").items()),
    )
