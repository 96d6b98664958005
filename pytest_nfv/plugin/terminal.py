"""What the terminal shows: the testbed at the top, a live line while trials run, a table at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from pytest_nfv.deployment.capabilities import switches
from pytest_nfv.deployment.readiness import Finding, compact, lines
from pytest_nfv.deployment.ready import of_testbed
from pytest_nfv.model.trial import TrialResult, TrialSpec
from pytest_nfv.plugin.interrupts import Interrupts
from pytest_nfv.plugin.recording import hosts_of
from pytest_nfv.plugin.workers import in_worker, tell
from pytest_nfv.records import summary
from pytest_nfv.units import PacketRate

if TYPE_CHECKING:
    from pytest_nfv.model.testbed import Testbed
    from pytest_nfv.plugin.settings import Settings


class Terminal:
    """Implements `deployment.observer.Observer` on pytest's terminal, and its reporting hooks."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self.interrupts = Interrupts()
        self._shown = False
        self._invalid: list[pytest.TestReport] = []
        self._measured: list[tuple[str, dict[str, Any]]] = []
        self._notes: list[str] = []
        self._ready: dict[str, tuple[Finding, ...]] = {}

    @property
    def _reporter(self) -> pytest.TerminalReporter | None:
        reporter: pytest.TerminalReporter | None = self._config.pluginmanager.getplugin("terminalreporter")
        return reporter

    def pytest_report_collectionfinish(self) -> list[str]:
        """Name the testbeds, and the switches found and missing."""
        out = []
        for testbed in self._settings.testbeds:
            out.append(f"nfv: testbed {testbed.name}, line rate {testbed.link}")
            if (
                testbed.rig is not None
            ):  # its switches are looked for when one is deployed: no host is asked before
                out.append(f"nfv:   {testbed.rig}")
            elif not self._settings.plan:
                for name, version, missing in switches(testbed):
                    out.append(f"nfv:   switch {name} {version or f'MISSING: {missing}'}")
                out += self._readiness(testbed)
        return out

    def _readiness(self, testbed: Testbed) -> list[str]:
        """Return what is known before anything is deployed about what will spoil figures; all of it with -v."""
        if testbed.kind != "local":
            return []
        found = of_testbed(testbed)
        more = [f"nfv:     {line}" for line in lines(found)] if self._config.get_verbosity() > 0 else []
        return [f"nfv:   {compact(found)}", *more]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what the end shows."""
        if getattr(report, "nfv_outcome", "") == "invalid":
            self._invalid.append(report)
        for name, one in getattr(report, "nfv_used", {}).get("environment", {}).items():
            if one["testbed"]["kind"] == "lab":  # of this machine the head has told
                for host, facts in hosts_of(name, one):
                    self._ready[host] = tuple(Finding(**finding) for finding in facts.get("readiness", ()))
        self._measured += [(report.nodeid, one) for one in getattr(report, "nfv_measurements", [])]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show invalid tests in full, then every measurement in one table."""
        if self._invalid:
            terminalreporter.section("INVALID: nothing was learnt about the device", "=", yellow=True)
            for report in self._invalid:
                terminalreporter.section(report.nodeid, "_", yellow=True)
                terminalreporter.write_line(report.longreprtext)
        if self._measured:
            terminalreporter.section("dataplane", "=")
            for line in summary.lines(self._measured):
                terminalreporter.write_line(line)
        for name, found in self._ready.items():
            terminalreporter.write_line(f"nfv: {name}, {compact(found)}")
            if self._config.get_verbosity() > 0:
                for line in lines(found):
                    terminalreporter.write_line(f"nfv:   {line}")
        for note in self._notes:
            terminalreporter.write_line(f"nfv: {note}", yellow=True)

    def note(self, said: Sequence[str]) -> None:
        """Keep sentences about the machine for the end; a worker's are shown by the controller."""
        if in_worker(self._config):
            tell(self._config, said)
        else:
            self._notes += said

    def waiting(self, what: str) -> None:
        """Say why nothing goes on, in a line that stays."""
        self._clear()
        self._write(f"\n  {time.strftime('%H:%M:%S')} {what}\n")

    def deploying(self, what: str) -> None:
        """Show what is being brought up."""
        self._live(f"deploying {what}")
        self._clear()

    def trial_started(self, spec: TrialSpec) -> None:
        """Show the load of the trial that starts."""
        self.interrupts.check()
        self._live(f"{_load(spec)}: starting")

    def trial_progress(self, spec: TrialSpec, elapsed_s: float, sent: int, received: int) -> None:
        """Show load, loss so far and time left."""
        self.interrupts.check()
        missing = max(0, sent - received)
        share = f"{missing / sent:.2%}" if sent else "-"
        left_s = max(0.0, spec.duration_s - elapsed_s)
        self._live(f"{_load(spec)}: {missing} frames missing ({share}), {left_s:.1f} s left")

    def trial_done(self, result: TrialResult) -> None:
        """Take the live line away."""
        self._clear()

    def _live(self, text: str) -> None:
        """Show one line below pytest's own, in place of the one before."""
        reporter = self._reporter
        if reporter is None or not reporter.isatty or self._config.get_verbosity() < 0:
            return
        width = self._config.get_terminal_writer().fullwidth
        begin = "\r\x1b[2K" if self._shown else "\n"
        self._shown = True
        self._write(begin + f"  {time.strftime('%H:%M:%S')} {text}"[: width - 1])

    def _clear(self) -> None:
        """Erase the live line and go back to the end of the line above it."""
        if self._shown:
            self._shown = False
            column = self._config.get_terminal_writer().width_of_current_line
            self._write("\r\x1b[2K\x1b[1A" + (f"\x1b[{column}C" if column else ""))

    def _write(self, text: str) -> None:
        """Write to the terminal itself: past pytest's capture, and past its writer, which counts columns."""
        capture = self._config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
            if self._reporter is not None:
                self._config.get_terminal_writer().flush()
            out = sys.stderr if in_worker(self._config) else sys.stdout  # a worker's stdout goes nowhere
            out.write(text)
            out.flush()


def _load(spec: TrialSpec) -> str:
    ways = "" if len(spec.directions) == 1 else f" x {len(spec.directions)} directions"
    return f"{spec.frame_size} B at {PacketRate(spec.rate_pps)}{ways}"
