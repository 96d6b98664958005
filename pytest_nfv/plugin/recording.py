"""The run's record: begun before the first trial, extended after each test, finished at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import pytest_nfv
from pytest_nfv.records.render import write_report
from pytest_nfv.records.schema import Environment, Record, Run
from pytest_nfv.records.store import Store

if TYPE_CHECKING:
    from pytest_nfv.plugin.settings import Settings
    from pytest_nfv.records.journal import Journal


def hosts_of(testbed: str, environment: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (name, facts) of a testbed's hosts: the device's by the testbed's name, others of a lab by both."""
    yield testbed, environment["host"]
    for name, facts in environment.get("hosts", {}).items():
        if facts != environment["host"]:
            yield f"{testbed}/{name}", facts


class Recording:
    """Keeps what the reports carry, so that it also works where tests run in other processes."""

    def __init__(self, settings: Settings, run_id: str) -> None:
        """Try the directory at once: nobody measures for an hour to find that it cannot be saved.

        Raises:
            RecordError: the report directory cannot be written.
        """
        self._store = Store(settings.report) if settings.report else None
        self._journal: Journal | None = None
        self._run = Run(
            id=run_id,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            options=settings.command,
            package_version=pytest_nfv.__version__,
        )
        self._environment: dict[str, Any] = {}
        self._versions: dict[str, str] = {}
        self._plan: list[str] = []
        self.saved = ""
        if self._store is not None:
            self._store.check_writable()
            self._store.recover()

    def _record(self) -> Record:
        facts = self._environment
        return Record(
            run=self._run,
            environment=Environment(
                host={name: host for testbed, one in facts.items() for name, host in hosts_of(testbed, one)},
                testbed={name: one["testbed"] for name, one in facts.items()},
                vswitches=self._versions,
            ),
            plan=tuple(self._plan),
        )

    def used(self, used: Mapping[str, Any]) -> None:
        """Note what is measured with, as `nfv_used` of a report has it; the first one begins the journal."""
        self._environment |= used.get("environment", {})
        self._versions |= used.get("versions", {})
        self._plan += [line for line in used.get("plan", []) if line not in self._plan]
        if used and self._store is not None and self._journal is None:
            self._journal = self._store.begin(self._record())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Append a test's measurements and outcome, and what they were made with."""
        self.used(getattr(report, "nfv_used", {}))
        if self._journal is None:
            return
        measured = getattr(report, "nfv_measurements", None)
        for one in measured or []:
            self._journal.measured(report.nodeid, one)
        if report.when == "call" and measured is not None:
            outcome = getattr(report, "nfv_outcome", "") or report.outcome
            self._journal.ended(report.nodeid, outcome, report.duration)
        elif report.when != "call" and report.failed:
            self._journal.ended(report.nodeid, "error", report.duration)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turn the journal into the record and the report."""
        journal, self._journal = self._journal, None
        if journal is None or self._store is None:
            return
        complete = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        journal.describe(self._record())
        record = self._store.finish(journal, complete=complete)
        write_report(record, self._store.directory)
        self.saved = str(self._store.latest_path)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where the record is."""
        if self.saved:
            terminalreporter.write_line(f"nfv record: {self.saved}")
