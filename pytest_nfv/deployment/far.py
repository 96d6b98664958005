"""A device under test on the host that this process runs on, for a pytest elsewhere.

    python -m pytest_nfv.deployment.far --run RUN --silence SECONDS

It makes the lab, the switch and the VNFs here, by the same code as on one machine, and answers requests, a line of
JSON each:

| request | answer |
|---|---|
| (start) | `{"ok": {"version": ..., "pid": ...}}` |
| `{"op": "stand", "part": Part}` | `{"ok": {"version", "notes", "ports"}}`, once it stands |
| `{"op": "learned", "stations": [[MAC, port], ...]}` | `{"ok": [true, ...]}` |
| `{"op": "forwarded", "frame": HEX}` | `{"ok": HEX}` |
| `{"op": "check"}`, `{"op": "begin"}` | `{"ok": null}` |
| `{"op": "end"}` | `{"ok": Spent}` |

When its stdin ends, when it is asked to terminate or when it hears nothing, not even a heartbeat, for so many
seconds, it takes everything down.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pytest_nfv import __version__
from pytest_nfv.deployment.device import LocalDevice
from pytest_nfv.deployment.device_json import part_of, spent_json
from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts.inbox import Inbox
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.reap import reap
from pytest_nfv.hosts.talk import answered, serve, tell


class FarEnd:
    """Holds the device that stands here, if one does."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._lab: Lab | None = None
        self._device: LocalDevice | None = None
        self._operations: dict[str, Callable[..., Any]] = {
            "stand": self._stand,
            "learned": lambda stations: self._standing().learned([(mac, port) for mac, port in stations]),
            "forwarded": lambda frame: self._standing().forwarded(bytes.fromhex(frame)).hex(),
            "check": lambda: self._standing().check(),
            "begin": lambda: self._standing().begin(),
            "end": lambda: spent_json(self._standing().end()),
        }

    def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do one request."""
        return answered(self._operations, request)

    def _standing(self) -> LocalDevice:
        if self._device is None:
            raise DeploymentError("no device stands here yet")
        return self._device

    def _stand(self, part: Mapping[str, Any]) -> dict[str, Any]:
        if self._device is not None:
            raise DeploymentError("a device stands here already")
        read = part_of(part)
        reap()
        self._lab = Lab(LocalHost(self._run_id), self._run_id)
        self._keep_off(read.cores)
        self._device = device = LocalDevice(self._lab, read)
        device.start()
        ports = [{**asdict(port), "parameters": dict(port.parameters)} for port in device.ports]
        return {"version": device.version, "notes": device.notes, "ports": ports}

    @staticmethod
    def _keep_off(cores: Sequence[int]) -> None:
        """Keep this process, and what it starts without cores of its own, off the device's."""
        elsewhere = os.sched_getaffinity(0) - set(cores)
        if elsewhere:
            os.sched_setaffinity(0, elsewhere)

    def close(self) -> None:
        """Take everything down."""
        device, self._device = self._device, None
        lab, self._lab = self._lab, None
        try:
            if device is not None:
                device.close()
        finally:
            if lab is not None:
                lab.close()


def main() -> int:
    """Serve one device on the standard streams; 0 where everything was taken down."""
    parser = argparse.ArgumentParser(prog="pytest_nfv.deployment.far")
    parser.add_argument("--run", required=True)
    parser.add_argument("--silence", type=float)
    options = parser.parse_args()
    inbox = Inbox(sys.stdin.fileno(), os.getppid(), options.silence)
    # What a library prints must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    end = FarEnd(options.run)
    try:
        tell(answers, {"ok": {"version": __version__, "pid": os.getpid()}})
        serve(end.answer, inbox, answers)
    finally:
        end.close()
        inbox.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
