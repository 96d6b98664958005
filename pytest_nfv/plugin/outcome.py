"""From our errors to pytest's outcomes, and from a measurement to the text of a failure."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pytest_nfv
from pytest_nfv.errors import CapabilityMissing, InvalidMeasurement
from pytest_nfv.model.measurement import Throughput
from pytest_nfv.records import explain, junit
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.units import PacketRate

if TYPE_CHECKING:
    from pytest_nfv.plugin.settings import Settings

MEASURED: pytest.StashKey[list[Measurement]] = pytest.StashKey()
_PACKAGE = Path(pytest_nfv.__file__).parent


class Outcomes:
    """Hooks around each test's report."""

    def __init__(self, settings: Settings) -> None:
        self._required = settings.require
        self._item: pytest.Item | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Remember which test is running, for comparisons that fail in it."""
        self._item = item
        try:
            return (yield)
        finally:
            self._item = None

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> list[str] | None:
        """Explain `throughput >= rate`, and let the record know what was asked."""
        if not isinstance(left, Throughput) or not isinstance(right, PacketRate):
            return None
        measured = self._item.stash.get(MEASURED, []) if self._item is not None else []
        if op in (">", ">="):
            for number, one in enumerate(measured):
                if one.kind == "throughput" and one.rate_pps == left.rate.pps and one.verdict is None:
                    measured[number] = one.required(at_least_pps=right.pps)
        shown = right.on(left.subject.link, left.subject.frame_size)
        return [f"{left.rate} {op} {shown}"]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Shorten the traceback to the test, translate our errors, add what was measured."""
        if call.excinfo is not None:
            _hide_plugin(call.excinfo)
        report = yield
        error = call.excinfo.value if call.excinfo is not None else None
        if isinstance(error, CapabilityMissing):
            self._missing(item, report, error)
        if call.when != "call":
            return report
        measured = item.stash.get(MEASURED, [])
        if isinstance(error, InvalidMeasurement):
            setattr(report, "nfv_outcome", "invalid")  # noqa: B010 - pytest's reports take attributes, mypy does not
        setattr(report, "nfv_measurements", [one.to_json() for one in measured])  # noqa: B010 - as above
        report.user_properties += [pair for one in measured for pair in junit.properties(one)]
        if report.failed:
            for one in measured:
                if one.verdict is not None and one.verdict.value != "PASS":
                    _add_section(report, explain.headline(one), "\n".join(explain.lines(one)))
        return report

    def _missing(self, item: pytest.Item, report: pytest.TestReport, error: CapabilityMissing) -> None:
        if error.capability in self._required:
            report.longrepr = f"required by --nfv-require, and missing: {error}"
            return
        path, line, _ = item.location
        report.outcome = "skipped"
        report.longrepr = (path, line or 0, f"Skipped: {error}")

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, Any] | None:
        """Give INVALID a letter and a word of its own."""
        if getattr(report, "nfv_outcome", "") == "invalid":
            return "invalid", "I", ("INVALID", {"yellow": True})
        return None


def _hide_plugin(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Cut the traceback down to the user's own lines, where there are any."""
    visible = excinfo.traceback.filter(lambda entry: _PACKAGE not in Path(entry.path).parents)
    if visible:
        excinfo.traceback = visible


def _add_section(report: pytest.TestReport, title: str, text: str) -> None:
    add = getattr(report.longrepr, "addsection", None)
    if add is not None:
        add(title, text, "-")
    else:
        report.sections.append((title, text))
