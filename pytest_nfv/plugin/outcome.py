"""From our errors to pytest's outcomes, and from a measurement to the text of a failure."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest

import pytest_nfv
from pytest_nfv.errors import (
    CapabilityMissing,
    ConfigurationError,
    DeploymentError,
    InvalidMeasurement,
    NfvError,
    RequirementNotMet,
)
from pytest_nfv.model.measurement import ForwardingRate, Throughput
from pytest_nfv.plugin import markers
from pytest_nfv.records import explain, junit
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.units import PacketRate

if TYPE_CHECKING:
    from pytest_nfv.deployment.traffic import Result
    from pytest_nfv.plugin.settings import Settings

MEASURED: pytest.StashKey[list[tuple[Result, Measurement]]] = pytest.StashKey()
USED: pytest.StashKey[dict[str, Any]] = pytest.StashKey()
_OUTCOMES: dict[type[NfvError], str] = {
    InvalidMeasurement: "invalid",
    DeploymentError: "error",
    ConfigurationError: "error",
}
_PACKAGE = Path(pytest_nfv.__file__).parent


class Outcomes:
    """Hooks around each test's report."""

    def __init__(self, settings: Settings) -> None:
        self._required = settings.require
        self._plan = settings.plan

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> list[str] | None:
        """Say both sides of `throughput >= rate` as shares of the same link."""
        if not isinstance(left, Throughput | ForwardingRate) or not isinstance(right, PacketRate):
            return None
        return [f"{left.rate} {op} {right.on(left.subject.link, left.subject.sizes)}"]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fail a test that declares a threshold and measures nothing that it could be held against."""
        result = yield
        kinds = {one.kind for _, one in item.stash.get(MEASURED, [])}
        if "forwarding_rate" in kinds:
            kinds.add("throughput")  # the same marker's threshold holds for both
        for kind in markers.thresholds(item):
            if MEASURED in item.stash and kind not in kinds and not self._plan:
                raise RequirementNotMet(f"the marker {kind} declares a threshold, and the test measured no {kind}")
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Shorten the traceback to the test, translate our errors, add what was measured."""
        error = call.excinfo.value if call.excinfo is not None else None
        if error is not None and not item.config.option.fulltrace:
            _hide_plugin(error, str(item.path))
        measured = [_asked(*pair) for pair in item.stash.get(MEASURED, [])] if call.when == "call" else []
        item.user_properties += [pair for one in measured for pair in junit.properties(one)]
        report = yield
        if isinstance(error, CapabilityMissing):
            self._missing(item, report, error)
        elif isinstance(error, NfvError) and call.when != "call":
            report.longrepr = f"{type(error).__name__}: {error.whole}"
        if call.when != "call":
            return report
        outcome = _OUTCOMES.get(next((kind for kind in _OUTCOMES if isinstance(error, kind)), NfvError), "")
        told = {
            "nfv_outcome": outcome,
            "nfv_measurements": [one.to_json() for one in measured],
            "nfv_used": item.stash.get(USED, {}),
        }
        vars(report).update(told)  # pytest's reports carry what plugins put there, also from worker to controller
        if report.failed:
            for one in measured:
                if one.verdict is None or one.verdict.value != "PASS":
                    _add_section(report, explain.headline(one), "\n".join(explain.lines(one)))
        return report

    def _missing(self, item: pytest.Item, report: pytest.TestReport, error: CapabilityMissing) -> None:
        if error.capability in self._required:
            report.longrepr = f"required by --nfv-require, and missing: {error.whole}"
            return
        path, line, _ = item.location
        report.outcome = "skipped"
        report.longrepr = (path, line or 0, f"Skipped: {error.whole}")


class Statuses:
    """Letters and words of outcomes that pytest does not have; also where only reports arrive."""

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, Any] | None:
        """Give INVALID a letter and a word of its own, and call a broken testbed an error."""
        outcome = getattr(report, "nfv_outcome", "")
        if outcome == "invalid":
            return "invalid", "I", ("INVALID", {"yellow": True})
        if outcome == "error":
            return "error", "E", ("ERROR", {"red": True})
        return None


def _asked(result: Result, measurement: Measurement) -> Measurement:
    """Take into the record what a test's own comparison asked of a rate, and what it put beside the result."""
    measurement = replace(measurement, references=tuple(result.references))
    if isinstance(result, Throughput | ForwardingRate) and result.asked_pps:
        return measurement.required(at_least_pps=max(result.asked_pps))
    return measurement


def _hide_plugin(error: BaseException, test_file: str) -> None:
    """Cut the traceback behind the test's last own line; an error of ours has its causes in its message."""
    last, entry, in_test = None, error.__traceback__, False
    while entry is not None:
        in_test = in_test or entry.tb_frame.f_code.co_filename == test_file
        if _of_plugin(entry.tb_frame):
            if in_test:
                break
        else:
            last = entry
        entry = entry.tb_next
    if in_test and entry is not None and last is not None:
        last.tb_next = None
    if isinstance(error, NfvError):
        error.__cause__, error.__suppress_context__ = None, True


def _of_plugin(frame: FrameType) -> bool:
    """Whether a frame is of our package; functions that a dataclass generated have no file."""
    return (
        _PACKAGE in Path(frame.f_code.co_filename).parents
        or str(frame.f_globals.get("__name__", "")).partition(".")[0] == pytest_nfv.__name__
    )


def _add_section(report: pytest.TestReport, title: str, text: str) -> None:
    add = getattr(report.longrepr, "addsection", None)
    if add is not None:
        add(title, text, "-")
    else:
        report.sections.append((title, text))
