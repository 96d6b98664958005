"""The environment of a record as a flat list, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_nfv.records.schema import Record

READINESS = "readiness"


def facts(record: Record) -> list[tuple[str, str]]:
    """Return (name, value) pairs of run, testbed, switches and host; facts that are not known are left out."""
    environment = record.environment
    parts = {
        "option": record.run.options,
        "testbed": environment.testbed,
        "vswitch": environment.vswitches,
        "host": {name: _without_readiness(host) for name, host in environment.host.items()},
    }
    return [pair for name, part in parts.items() for pair in _flat(name, part)]


def _without_readiness(host: Any) -> Any:
    return {key: value for key, value in host.items() if key != READINESS} if isinstance(host, Mapping) else host


def readiness(record: Record) -> list[tuple[str, str, str, str]]:
    """Return (testbed, severity, text, remedy) of all on a host that spoilt the measurement, the worst first."""
    return [
        (name, str(one.get("severity")), str(one.get("text")), str(one.get("remedy")))
        for name, host in record.environment.host.items()
        if isinstance(host, Mapping)
        for one in host.get(READINESS, ())
        if isinstance(one, Mapping)
    ]


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _flat(f"{name} {key}", one)
    elif isinstance(value, list):
        yield name, ", ".join(map(str, value)) or "none"
    elif value is not None:
        yield name, str(value).lower() if isinstance(value, bool) else str(value)
