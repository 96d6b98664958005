"""A network function as a process: `python -m pytest_nfv.nfproc`, JSON lines on its standard streams.

| request | answer |
|---|---|
| (start) | `{"event": "ready", "version": ..., "pid": ...}` |
| `{"op": "open", "ports": [PortSpec, PortSpec]}` | `{"event": "opened"}`: vNIC 0 and vNIC 1 |
| `{"op": "learn"}` | `{"event": "learned"}`: each vNIC has sent frames from its address |
| `{"op": "run", "function": ..., "share": false}` | `{"event": "running"}`; `"batch"`: 1 to 512 frames |
| `{"op": "counters"}` | `{"event": "counters", "counters": ...}`, within 20 ms or so of a run |
| `{"op": "stop"}` | `{"event": "stopped", "counters": ...}`; another run counts from 0 |
| `{"op": "close"}` | `{"event": "closed"}`, and the process ends |

A function is as `model/nf.py` writes it. What cannot be done is answered by `{"event": "error", "op": ..., "kind":
"configuration" | "generator", "message": ...}`, or of kind `capability` with `missing`, the three parts of
CapabilityMissing. A run goes on after a wrong request; it ends, with such an error of no op, where a port's
peer went away or a function of a user's own failed. The end of its standard input ends the process at any time.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from pytest_nfv import __version__
from pytest_nfv.errors import CapabilityMissing, ConfigurationError, GeneratorError, NfvError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.nfproc.batch import FRAMES_MAX
from pytest_nfv.nfproc.loop import Loop
from pytest_nfv.nfproc.messages import WHILE_RUNNING, parse, read_nics, read_run
from pytest_nfv.nfproc.work import work_of
from pytest_nfv.rings.forwarding import ForwardingPort, forwarding
from pytest_nfv.rings.table import open_ports
from pytest_nfv.trafgen.control import Control, Hangup
from pytest_nfv.trafgen.engine import LEARNING_FRAMES, learning_frame

FRAME_OVERHEAD = 14  # of a frame without FCS and tag, beyond the MTU


class Service:
    """Reads requests and carries them out, one after the other."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._ports: tuple[ForwardingPort, ...] = ()
        self._specs: tuple[PortSpec, ...] = ()
        self._loop: Loop | None = None
        self._closing = False

    def serve(self) -> None:
        """Go on until asked to close.

        Raises:
            Hangup: the other end is gone.
        """
        self._control.tell("ready", version=__version__, pid=os.getpid())
        while not self._closing:
            self._answer(self._control.line(wait=True) or "")
        self.close()
        self._control.tell("closed")

    def _answer(self, line: str) -> None:
        op = ""
        try:
            op, request = parse(line)
            self._do(op, request)
        except NfvError as error:
            self._tell_error(op, error)

    def _tell_error(self, op: str, error: NfvError) -> None:
        if isinstance(error, CapabilityMissing):
            missing = [error.capability, error.missing, error.remedy]
            self._control.tell("error", op=op, kind="capability", message=str(error), missing=missing)
        else:
            kind = "configuration" if isinstance(error, ConfigurationError) else "generator"
            self._control.tell("error", op=op, kind=kind, message=str(error))

    def _do(self, op: str, request: Mapping[str, Any]) -> None:
        if op == "open":
            self._open(request)
        elif op == "learn":
            self._learn()
        elif op == "run":
            self._run(request)
        elif op == "close":
            self._closing = True
        else:
            raise GeneratorError(f"request {op!r}: nothing runs; accepted: open, learn, run, close")

    def _open(self, request: Mapping[str, Any]) -> None:
        specs = read_nics(request)
        self.close()
        opened = open_ports(specs)
        try:
            self._ports = forwarding(opened, [spec.kind for spec in specs])
        except ConfigurationError:
            for port in opened:
                port.close()
            raise
        self._specs = specs
        self._control.tell("opened")

    def _arranged(self) -> tuple[ForwardingPort, ...]:
        """Return the ports, ready for frames of the MTU."""
        if not self._ports:
            raise GeneratorError("no port is open yet")
        for port in self._ports:
            port.expect(self._longest)
            port.arrange(self._longest)
        return self._ports

    @property
    def _longest(self) -> int:
        """Octets of the longest frame that both vNICs carry."""
        return min(spec.mtu for spec in self._specs) + FRAME_OVERHEAD

    def _learn(self) -> None:
        for port, spec in zip(self._arranged(), self._specs, strict=True):
            frame = np.frombuffer(learning_frame(spec.address), np.uint8)[None, :]
            for _ in range(LEARNING_FRAMES):
                port.forward(frame, np.array([frame.shape[1]], np.int64))
        self._control.tell("learned")

    def _run(self, request: Mapping[str, Any]) -> None:
        function, batch, share = read_run(request)
        ports = self._arranged()
        most = batch or min(FRAMES_MAX, *(port.burst_max for port in ports))
        loop = Loop(ports, work_of(function), self._longest, most, share=share)
        self._loop = loop
        self._control.tell("running")
        try:
            loop.run(self._tick)
            self._control.tell("stopped", counters=loop.told())
        except NfvError as error:
            self._tell_error("", error)  # the answer to no request: it comes when it comes
        finally:
            self._loop = None

    def _tick(self) -> bool:
        line = self._control.line(wait=False)
        return line is None or self._meanwhile(line)

    def _meanwhile(self, line: str) -> bool:
        """Answer a request in mid-run; return whether the run goes on."""
        op = ""
        try:
            op, _ = parse(line)
            if op not in WHILE_RUNNING:
                accepted = ", ".join(WHILE_RUNNING)
                raise GeneratorError(f"request {op!r} while a function runs: accepted: {accepted}")
        except NfvError as error:
            self._tell_error(op, error)
            return True
        if op == "counters" and self._loop is not None:
            self._control.tell("counters", counters=self._loop.told())
        self._closing |= op == "close"
        return op == "counters"

    def close(self) -> None:
        """Close the ports."""
        for port in self._ports:
            port.close()
        self._ports = ()


def _streams() -> tuple[int, int]:
    """Return descriptors for the JSON lines; what a user's function prints goes to standard error instead."""
    requests, answers = os.dup(sys.stdin.fileno()), os.dup(sys.stdout.fileno())
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    os.close(nothing)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return requests, answers


def main() -> int:
    """Serve the standard streams."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    service = Service(Control(*_streams()))
    try:
        service.serve()
    except Hangup:
        return 0
    finally:
        service.close()
    return 0
