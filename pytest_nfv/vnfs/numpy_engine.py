"""The numpy engine: `pytest_nfv.nfproc` as a pinned process on a host, driven by JSON lines.

Run against this package's memif, vhost-user, AF_XDP and AF_PACKET ports, and testpmd's vhost ports (DPDK 22.11),
on Linux 6.18.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from pytest_nfv.errors import CapabilityMissing, ConfigurationError, DeploymentError, NfvError
from pytest_nfv.hosts.inside import machine_pid
from pytest_nfv.hosts.lines import JsonLines, LinesBroken, LinesLate
from pytest_nfv.hosts.polling import threads_below
from pytest_nfv.hosts.protocol import Host, Process
from pytest_nfv.model.nf import Drop, Function, Own, to_json
from pytest_nfv.model.offer import PortSpec

ANSWER_S = 20.0  # to start, and to open ports; slow machines import slowly
COUNTERS_S = 5.0  # it answers between two batches
CLOSE_S = 2.0
OVERRUNS_ARE_FRAMES = ("af_packet", "af_xdp")
"""Kinds of port whose kernel counts each frame; of a ring in shared memory the far end alone knows how many."""


@dataclass(frozen=True, slots=True)
class NicCounters:
    """Frames of one vNIC since the run began.

    Attributes:
        received: came in; sent: left here, wherever they came in.
        dropped: why, of those that came in here; under `TX_FULL`, of those that should have left here.
        overruns: frames for which the receive ring had no room, as far as the port counts frames; else how often
            it was found full (`OVERRUNS_ARE_FRAMES`).
    """

    received: int
    sent: int
    dropped: Mapping[Drop, int]
    overruns: int


@dataclass(frozen=True, slots=True)
class Counters:
    """What a network function counted since its run began.

    All frames that came in are among those sent and those dropped.

    Attributes:
        nics: vNIC 0 and 1.
        function: counters of the function's own.
        rounds: looks at both rings; busy: those that found a frame. Their ratio says how near the engine is to
            its limit, as a process that polls always has its core's whole time.
        busy_ns: what the latter took; ran_ns: since the run began. Of the thread's processor time where it shares
            its core, and of all time where it has one to itself.
        held_ns: what those looks took of all time, others on its core included.
    """

    nics: tuple[NicCounters, ...]
    function: Mapping[str, int]
    rounds: int
    busy: int
    busy_ns: int
    ran_ns: int
    held_ns: int

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Counters:
        """Read what the process tells."""
        nics = tuple(
            NicCounters(
                nic["received"],
                nic["sent"],
                {Drop(reason): count for reason, count in nic["dropped"].items()},
                nic["overruns"],
            )
            for nic in data["nics"]
        )
        times = (data[key] for key in ("rounds", "busy", "busy_ns", "ran_ns", "held_ns"))
        return cls(nics, data["function"], *times)


class NumpyEngine:
    """One process, started by `open`, for any number of runs."""

    name: ClassVar[str] = "numpy"

    def __init__(self, host: Host, core: int | None) -> None:
        """Run on `host`, pinned to `core` where one is given."""
        self._host, self._core = host, core
        self._process: Process | None = None
        self._pid = 0
        self._runs: Function | None = None
        self._end = "it is not open"

    def pid(self) -> int:
        """Return the process whose processor time is the function's; 0 before `open`."""
        return self._pid

    def process_id(self) -> int:
        """Return the id out here of what the host started: the process, or what it was started through."""
        return self._process.pid if self._process is not None else 0

    def worker(self) -> int:
        """Return the id out here of the thread that forwards; 0 before `open`."""
        return machine_pid(self._process.pid, self._pid) if self._process is not None else 0

    def threads(self) -> dict[int, str]:
        """Return its threads, id to name, whatever namespace it is in; empty before `open`."""
        return threads_below(self._process.pid) if self._process is not None else {}

    def start(self) -> None:
        """Start the process, if it does not run: pinned if a core was given, else where the host starts it.

        Raises:
            DeploymentError: it does not come up; with its last words.
        """
        if self._process is not None:
            return
        cores = () if self._core is None else (self._core,)
        argv = [sys.executable, "-m", "pytest_nfv.nfproc"]
        # A pool of numpy's linear algebra threads is of no use to it, and would share its core.
        self._process = self._host.start(
            argv, cores=cores, env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        )
        self._lines = JsonLines(self._process)
        self._pid = int(self._await("ready", ANSWER_S)["pid"])

    def open(self, ports: Sequence[PortSpec]) -> None:
        """Start the process where it does not run yet, and open vNIC 0 and vNIC 1.

        Raises:
            DeploymentError: a port cannot be opened; names it.
            ConfigurationError: a port's specification is wrong, or its kind cannot forward.
            CapabilityMissing: the machine lacks what such a port takes; says how to get it.
        """
        self.start()
        self._ask(
            "opened", op="open", ports=[{**asdict(one), "parameters": dict(one.parameters)} for one in ports]
        )

    def learn(self) -> None:
        """Send frames from the address of each vNIC, so that switches know where it is."""
        self._ask("learned", op="learn")

    def run(self, function: Function, *, batch: int | None = None, share: bool = False) -> None:
        """Start; return once frames are taken.

        Args:
            function: what to do with them.
            batch: frames taken at once, at most, 1 to 512; None is what both ports send back to back, up to that.
            share: give the core away whenever there is nothing to do, for functions that share one.

        Raises:
            ConfigurationError: a function of a user's own is not there.
            DeploymentError: a port's peer is gone.
        """
        chosen = {} if batch is None else {"batch": batch}
        if isinstance(function, Own) and function.folder:
            function = Own(function.function, os.path.abspath(function.folder))  # its process runs elsewhere
        self._ask("running", op="run", function=to_json(function), share=share, **chosen)
        self._runs = function

    def counters(self) -> Counters:
        """Return what was counted so far in this run.

        Raises:
            DeploymentError: the run ended meanwhile; says why.
        """
        return Counters.from_json(self._ask("counters", COUNTERS_S, op="counters")["counters"])

    def stop(self) -> Counters:
        """End the run; return what was counted.

        Raises:
            DeploymentError: it had ended before; says why.
        """
        return Counters.from_json(self._ask("stopped", op="stop")["counters"])

    def _ask(self, wanted: str, timeout_s: float = ANSWER_S, **request: Any) -> dict[str, Any]:
        if self._process is None:
            raise DeploymentError(f"network function on {self._host.name}: {self._end}")
        try:
            self._lines.tell(request)
        except LinesBroken as error:
            raise self._broken(error) from error
        return self._await(wanted, timeout_s, request["op"])

    def _await(self, wanted: str, timeout_s: float, op: str = "") -> dict[str, Any]:
        """Return event `wanted`, the answer to `op`; raise errors, that of a run that ended meanwhile first."""
        deadline = time.monotonic() + timeout_s
        earlier: NfvError | None = None
        while True:
            try:
                event = self._lines.answer(max(0.0, deadline - time.monotonic()))
            except LinesBroken as error:
                raise self._broken(error) from error
            if event.get("event") == "error":
                if op == "run" and not event.get("op"):
                    continue  # of the run before
                earlier = earlier or self._refused(event)
                if event.get("op") == op:
                    raise earlier
            elif event.get("event") == wanted:
                if earlier is not None:
                    raise earlier
                return event

    def _refused(self, event: Mapping[str, Any]) -> NfvError:
        """Return the error that the process answered with, in its branch of the tree."""
        where, missing = f"network function on {self._host.name}", event.get("missing")
        if event.get("kind") == "capability" and isinstance(missing, list) and len(missing) == 3:
            capability, lacks, remedy = map(str, missing)
            return CapabilityMissing(capability, f"{where}: {lacks}", remedy)
        what = ConfigurationError if event.get("kind") == "configuration" else DeploymentError
        return what(f"{where}: {event.get('message')}")

    def _broken(self, why: LinesBroken) -> DeploymentError:
        """Stop what is left of it, and return the error that tells its last words; later calls have it, too."""
        process, self._process = self._process, None
        if process is not None:
            self._end = str(why)
            status = process.stop()
            if not isinstance(why, LinesLate):
                self._end += f"; exit status {status}"
            elif isinstance(self._runs, Own):
                self._end = f"function {self._runs.function} does not return: {why}"
            tail = process.stderr_tail().strip()
            self._end += f"\n{tail}" if tail else ""
        return DeploymentError(f"network function on {self._host.name}: {self._end}")

    def close(self) -> None:
        """Ask it to close its ports and to end; safe to call twice."""
        if self._process is None:
            return
        with suppress(NfvError, LinesBroken):
            self._lines.tell({"op": "close"})
            self._await("closed", CLOSE_S)
        if self._process is not None:
            self._process.stop()
            self._process = None
