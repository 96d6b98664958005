"""`--nfv-plan`: every test of ours runs against a plan, ends as planned, and the plan is printed."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_nfv.deployment.planning import Planner


class Planned:
    """Hooks of a run that only plans."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """A planned test has no verdict: what it makes of planned figures, assertion or skip, does not matter."""
        if call.when == "call" and call.excinfo is not None and self._of_figures(item, call.excinfo.value):
            call.excinfo = None
        report = yield
        report.nfv_planned = report.when == "call" and report.passed  # type: ignore[attr-defined] # free attribute
        return report

    def _of_figures(self, item: pytest.Item, error: BaseException) -> bool:
        skipped = isinstance(error, pytest.skip.Exception)
        return isinstance(error, AssertionError) or (skipped and self._planner.asked(item.nodeid))

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, Any] | None:
        """Show it as planned, not as passed."""
        if getattr(report, "nfv_planned", False):
            return "planned", "p", "PLANNED"
        return None

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the plan."""
        terminalreporter.section("plan", "=")
        for line in self._planner.lines():
            terminalreporter.write_line(line)
