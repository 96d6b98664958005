"""What the generator process does: JSON lines on its standard streams.

| request | answer |
|---|---|
| (start) | `{"event": "ready", "version": ..., "pid": ...}` |
| `{"op": "open", "ports": [PortSpec, ...]}` | `{"event": "opened", "ports": 2}` |
| `{"op": "learn"}` | `{"event": "learned"}` |
| `{"op": "offer", "offer": Offer}` | `progress` 5 times a second, then `{"event": "report", "report": Report}` |
| `{"op": "floor", "offer": Offer}` | `progress`, then `{"event": "floor", "latency": [Latency, ...]}` |
| (an offer's role is `receive`) | `{"event": "listening"}` before any frame may be sent |
| `{"op": "finish"}` | such a trial settles and reports |
| `{"op": "abort"}` | `{"event": "aborted"}`, in mid-trial within 20 ms |
| `{"op": "close"}` | `{"event": "closed"}`, and the process ends |

What cannot be done is answered by `{"event": "error", "kind": "configuration" | "generator", "message": ...}`,
after which the process goes on. Of kind `capability`, it has `missing`, too: the three parts of CapabilityMissing.
The end of its standard input ends it at any time: whoever started it is gone.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

from pytest_nfv import __version__
from pytest_nfv.errors import CapabilityMissing, ConfigurationError, GeneratorError, NfvError
from pytest_nfv.model.offer import latency_json
from pytest_nfv.rings.port import Port
from pytest_nfv.rings.table import STAMPED_BY_KERNEL, close_ports, least_octets, open_ports
from pytest_nfv.trafgen import floor
from pytest_nfv.trafgen.control import Control, Hangup
from pytest_nfv.trafgen.engine import Trial, learn
from pytest_nfv.trafgen.messages import parse, read_offer, read_ports

PROGRESS_EVERY_S = 0.2
_MCL_CURRENT = 1


class _Aborted(Exception):
    """The request to end the running trial."""


class Service:
    """Reads requests and carries them out, one after the other."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._ports: tuple[Port, ...] = ()
        self._addresses: tuple[str, ...] = ()
        self._kinds: frozenset[str] = frozenset()
        self._told_s = 0.0
        self._template_min = 0
        self._stamped = False
        self._trial: Trial | None = None

    def serve(self) -> None:
        """Go on until asked to close.

        Raises:
            Hangup: the other end is gone.
        """
        self._control.tell("ready", version=__version__, pid=os.getpid())
        op = ""
        while op != "close":
            line = self._control.line(wait=True) or ""
            try:
                op, request = parse(line)
                self._do(op, request)
            except _Aborted:
                self._control.tell("aborted")
            except CapabilityMissing as error:
                missing = [error.capability, error.missing, error.remedy]
                self._control.tell("error", kind="capability", message=str(error), missing=missing)
            except NfvError as error:
                kind = "configuration" if isinstance(error, ConfigurationError) else "generator"
                self._control.tell("error", kind=kind, message=str(error))

    def _do(self, op: str, request: Mapping[str, Any]) -> None:
        if op == "open":
            self._open(request)
        elif op == "learn":
            learn(self._opened(), self._addresses)
            self._control.tell("learned")
        elif op == "floor":
            self._floor(request)
        elif op == "offer":
            self._offer(request)
        elif op == "abort":
            raise _Aborted
        elif op == "finish":
            raise GeneratorError("no trial is receiving")
        else:
            self.close()
            self._control.tell("closed")

    def _open(self, request: Mapping[str, Any]) -> None:
        specs = read_ports(request)
        self.close()
        self._ports = open_ports(specs)
        self._addresses = tuple(spec.address for spec in specs)
        self._kinds = frozenset(spec.kind for spec in specs)
        self._stamped = any(spec.kind in STAMPED_BY_KERNEL for spec in specs)
        self._template_min = least_octets(spec.kind for spec in specs)
        self._control.tell("opened", ports=len(specs))

    def _opened(self) -> tuple[Port, ...]:
        if not self._ports:
            raise GeneratorError("no port is open yet")
        return self._ports

    def _offer(self, request: Mapping[str, Any]) -> None:
        ports = self._opened()
        offer = read_offer(request, len(ports), self._template_min)
        self._trial = trial = Trial(ports, offer, self._tick, stamped=self._stamped)
        _lock_memory()
        self._told_s = 0.0
        report = trial.run(lambda: self._control.tell("listening") if offer.role == "receive" else None)
        self._control.tell("report", report=report.to_json())

    def _floor(self, request: Mapping[str, Any]) -> None:
        offer = read_offer(request, len(self._opened()), self._template_min)
        self._trial, self._told_s = None, 0.0
        _lock_memory()
        latency = floor.measure(offer, self._tick, stamped=self._stamped)
        self._control.tell("floor", latency=[latency_json(one) for one in latency])

    def _tick(self, elapsed_s: float, sent: int, received: int) -> None:
        line = self._control.line(wait=False)
        if line is not None:
            op, _ = parse(line)
            if op == "abort":
                raise _Aborted
            if op != "finish" or self._trial is None:
                raise GeneratorError(f"request {op!r} while a trial runs: accepted: abort, finish")
            self._trial.finish()
        if elapsed_s - self._told_s >= PROGRESS_EVERY_S:
            self._told_s = elapsed_s
            self._control.tell_if_read("progress", elapsed_s=elapsed_s, sent=sent, received=received)

    def close(self) -> None:
        """Close the ports."""
        ports, self._ports = self._ports, ()
        close_ports(ports, self._kinds)


def _lock_memory() -> None:
    """Keep the memory in place where allowed (root, or a generous limit); without it goes as well."""
    ctypes.CDLL(None).mlockall(_MCL_CURRENT)


def main() -> int:
    """Serve the standard streams."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    service = Service(Control(sys.stdin.fileno(), sys.stdout.fileno()))
    try:
        service.serve()
    except Hangup:
        return 0
    finally:
        service.close()
    return 0
