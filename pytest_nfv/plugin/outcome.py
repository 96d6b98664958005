"""From our errors to pytest's outcomes, and from a measurement to the text of a failure."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest

import pytest_nfv
from pytest_nfv.errors import CapabilityMissing, InvalidMeasurement, NfvError
from pytest_nfv.model.measurement import ForwardingRate, Throughput
from pytest_nfv.records import explain, junit
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.units import PacketRate

if TYPE_CHECKING:
    from pytest_nfv.deployment.traffic import Result
    from pytest_nfv.plugin.settings import Settings

MEASURED: pytest.StashKey[list[tuple[Result, Measurement]]] = pytest.StashKey()
_PACKAGE = Path(pytest_nfv.__file__).parent


class Outcomes:
    """Hooks around each test's report."""

    def __init__(self, settings: Settings) -> None:
        self._required = settings.require

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> list[str] | None:
        """Say both sides of `throughput >= rate` as shares of the same link."""
        if not isinstance(left, Throughput | ForwardingRate) or not isinstance(right, PacketRate):
            return None
        return [f"{left.rate} {op} {right.on(left.subject.link, left.subject.frame_size)}"]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Shorten the traceback to the test, translate our errors, add what was measured."""
        if call.excinfo is not None and not item.config.option.fulltrace:
            _hide_plugin(call.excinfo.value)
        measured = [_asked(*pair) for pair in item.stash.get(MEASURED, [])] if call.when == "call" else []
        item.user_properties += [pair for one in measured for pair in junit.properties(one)]
        report = yield
        error = call.excinfo.value if call.excinfo is not None else None
        if isinstance(error, CapabilityMissing):
            self._missing(item, report, error)
        if call.when != "call":
            return report
        if isinstance(error, InvalidMeasurement):
            setattr(report, "nfv_outcome", "invalid")  # noqa: B010 - pytest's reports take attributes, mypy does not
        setattr(report, "nfv_measurements", [one.to_json() for one in measured])  # noqa: B010 - as above
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


def _asked(result: Result, measurement: Measurement) -> Measurement:
    """Take into the record what a test's own comparison asked of a rate."""
    if isinstance(result, Throughput | ForwardingRate) and result.asked_pps:
        return measurement.required(at_least_pps=max(result.asked_pps))
    return measurement


def _hide_plugin(error: BaseException) -> None:
    """Cut the traceback behind the user's last line, and the causes of an error of ours: its message has them."""
    last, entry = None, error.__traceback__
    while entry is not None:
        if _PACKAGE not in Path(entry.tb_frame.f_code.co_filename).parents and not _generated(entry.tb_frame):
            last = entry
        entry = entry.tb_next
    if last is not None:
        last.tb_next = None
    if isinstance(error, NfvError):
        error.__cause__, error.__suppress_context__ = None, True


def _generated(frame: FrameType) -> bool:
    """Whether a frame is of a function that a dataclass of ours generated."""
    return str(frame.f_globals.get("__name__", "")).startswith(f"{pytest_nfv.__name__}.")


def _add_section(report: pytest.TestReport, title: str, text: str) -> None:
    add = getattr(report.longrepr, "addsection", None)
    if add is not None:
        add(title, text, "-")
    else:
        report.sections.append((title, text))
