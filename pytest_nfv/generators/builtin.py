"""The built-in generator: `pytest_nfv.trafgen` as a pinned process on a host, driven by JSON lines.

Run against veth pairs on Linux 6.18 with linux-bridge between them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, ClassVar

from pytest_nfv.errors import CapabilityMissing, ConfigurationError, GeneratorError, NfvError
from pytest_nfv.generators.protocol import Progress
from pytest_nfv.hosts.lines import JsonLines, LinesBroken
from pytest_nfv.hosts.protocol import Host, Process
from pytest_nfv.model.offer import Offer, PortSpec, Report, latency_of
from pytest_nfv.model.trial import Latency

ANSWER_S = 20.0  # to start, to open ports, and beyond the trial itself to report; slow machines import slowly
SILENCE_S = 10.0  # a trial tells its progress five times a second
ABORT_S = 2.0


class Builtin:
    """One process, started by `open` and used for any number of trials."""

    name: ClassVar[str] = "builtin"

    def __init__(self, host: Host, core: int | None, python: str = sys.executable) -> None:
        """Make it; it runs on `host`, pinned to `core`, by an interpreter there that has this package."""
        self._host = host
        self._core = core
        self._python = python
        self._process: Process | None = None
        self._offering = False
        self._version = ""
        self._pid = 0
        self._heard = 0
        self._finish_s = ANSWER_S

    @property
    def version(self) -> str:
        """Version that the process on the host told; empty before `open`."""
        return self._version

    def pid(self) -> int:
        """Return the process whose processor time is the generator's; 0 before `open`."""
        return self._pid

    def open(self, ports: Sequence[PortSpec]) -> None:
        """Start the process where it does not run yet, and open the ports.

        Raises:
            GeneratorError: a port cannot be opened; names it.
            ConfigurationError: a port's specification is wrong.
            CapabilityMissing: the machine lacks what such a port takes; says how to get it.
        """
        if self._process is None:
            self._start()
        self._ask(op="open", ports=[{**asdict(port), "parameters": dict(port.parameters)} for port in ports])
        self._await("opened", ANSWER_S)

    def _start(self) -> None:
        cores = () if self._core is None else (self._core,)
        argv = [self._python, "-m", "pytest_nfv.trafgen"]
        # A pool of numpy's linear algebra threads is of no use to it, and would share its core.
        self._process = self._host.start(
            argv, cores=cores, env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        )
        self._lines = JsonLines(self._process)
        ready = self._await("ready", ANSWER_S)
        self._version, self._pid = str(ready["version"]), int(ready["pid"])

    def learn(self) -> None:
        """Send learning frames from every port (RFC 2544 section 23)."""
        self._ask(op="learn")
        self._await("learned", ANSWER_S)

    def offer(self, offer: Offer, progress: Progress | None = None) -> Report:
        """Run one trial. An exception meanwhile (Ctrl-C, or one out of `progress`) ends it on the other side too.

        Raises:
            GeneratorError: the generator died or refused.
            ConfigurationError: the offer cannot be carried out on these ports.
        """
        return Report.from_json(self._carried_out("offer", offer, "report", progress)["report"])

    def floor(self, offer: Offer) -> tuple[Latency, ...]:
        """Return the latencies of the same work wired back to the generator itself.

        Raises:
            GeneratorError: the generator died or refused.
            ConfigurationError: the offer cannot be carried out.
        """
        return tuple(latency_of(one) for one in self._carried_out("floor", offer, "floor", None)["latency"])

    def _carried_out(self, op: str, offer: Offer, answer: str, progress: Progress | None) -> dict[str, Any]:
        longest_s = max((flow.frames / flow.rate_pps for flow in offer.flows), default=0.0)
        self._offering = True
        try:
            self._ask(op=op, offer=offer.to_json())
            return self._await(answer, longest_s + offer.settle_s + ANSWER_S, progress)
        except BaseException:  # whatever it is, it goes on; the generator shall not
            self.abort()
            raise

    def listen(self, offer: Offer) -> None:
        """Start to receive what another sends; frames sent once this returns are counted.

        Raises:
            GeneratorError: the generator died or refused.
            ConfigurationError: the offer cannot be carried out on these ports.
        """
        self._heard, self._finish_s = 0, offer.settle_s + ANSWER_S
        self._offering = True
        try:
            self._ask(op="offer", offer=offer.to_json())
            self._await("listening", ANSWER_S)
        except BaseException:  # as above
            self.abort()
            raise

    def heard(self) -> int:
        """Return how many frames were received so far, as last told; at once.

        Raises:
            GeneratorError: the generator died or refused.
        """
        while self._process is not None and self._lines.pending():
            self._took(self._event(ANSWER_S), self._note)
        return self._heard

    def finish(self) -> Report:
        """End `listen`: all was sent. Return once counters rest.

        Raises:
            GeneratorError: the generator died or refused.
        """
        self._ask(op="finish")
        return Report.from_json(self._await("report", self._finish_s, self._note)["report"])

    def _note(self, elapsed_s: float, sent: int, received: int) -> None:
        self._heard = received

    def abort(self) -> None:
        """End the trial that runs, if one does, without a report."""
        if not self._offering:
            return
        with suppress(GeneratorError, ConfigurationError):
            self._ask(op="abort")
            self._await("aborted", ABORT_S)

    def _await(self, wanted: str, timeout_s: float, progress: Progress | None = None) -> dict[str, Any]:
        """Return the event `wanted`; hand out progress, raise errors, pass over what is late from before."""
        deadline = time.monotonic() + timeout_s
        while True:
            patience = SILENCE_S if wanted in ("report", "floor") else timeout_s
            event = self._event(min(patience, max(0.0, deadline - time.monotonic())))
            self._took(event, progress)
            if event.get("event") == wanted:
                return event

    def _took(self, event: dict[str, Any], progress: Progress | None) -> None:
        kind = event.get("event")
        self._offering &= kind not in ("report", "floor", "error", "aborted")
        if kind == "progress" and progress is not None:
            progress(float(event["elapsed_s"]), int(event["sent"]), int(event["received"]))
        elif kind == "error":
            raise self._refused(event)

    def _refused(self, event: dict[str, Any]) -> NfvError:
        """Return the error that the process answered with, in its branch of the tree."""
        where, missing = f"traffic generator on {self._host.name}", event.get("missing")
        if event.get("kind") == "capability" and isinstance(missing, list) and len(missing) == 3:
            capability, lacks, remedy = map(str, missing)
            return CapabilityMissing(capability, f"{where}: {lacks}", remedy)
        what = ConfigurationError if event.get("kind") == "configuration" else GeneratorError
        return what(f"{where}: {event.get('message')}")

    def _event(self, timeout_s: float) -> dict[str, Any]:
        try:
            return self._lines.answer(timeout_s)
        except LinesBroken as error:
            raise self._broken(str(error)) from error

    def _ask(self, **request: Any) -> None:
        if self._process is None:
            raise GeneratorError(f"traffic generator on {self._host.name}: it is not open")
        try:
            self._lines.tell(request)
        except LinesBroken as error:
            raise self._broken(str(error)) from error

    def _broken(self, why: str) -> GeneratorError:
        """Stop what is left of it, and return the error that tells its last words."""
        process = self._process
        self._offering = False
        if process is None:
            return GeneratorError(f"traffic generator on {self._host.name}: {why}")
        self._process = None
        ended = f"{why}; exit status {process.stop()}"
        tail = process.stderr_tail().strip()
        return GeneratorError(f"traffic generator on {self._host.name}: {ended}" + (f"\n{tail}" if tail else ""))

    def close(self) -> None:
        """Ask it to close its ports and to end; safe to call twice."""
        if self._process is None:
            return
        with suppress(GeneratorError, ConfigurationError):
            self._ask(op="close")
            self._await("closed", ABORT_S)
        if self._process is not None:
            self._process.stop()
            self._process = None
