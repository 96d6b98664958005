"""Requests to a process of ours and its answers, each with a deadline; and the two ends' common form of errors.

`{"op": NAME, ...}` is answered by `{"ok": ...}`, or by what `refusal` makes of an error, which is raised again on
this side.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import IO, Any

from pytest_nfv.errors import CapabilityMissing, ConfigurationError, DeploymentError
from pytest_nfv.hosts.lines import JsonLines, LinesBroken
from pytest_nfv.hosts.protocol import Process

BEAT_S = 3.0
"""How often the other end is told that somebody is still there, where it is on another host."""
SILENCE_S = 20.0
"""For how long such an end hears nothing before it puts everything back."""


class Talk:
    """The asking end.

    Attributes:
        broken: why nothing can be asked any more; empty while it can.
    """

    def __init__(self, process: Process, who: str, *, beats: bool = False) -> None:
        """Speak with `process`, which errors call `who`; with a heartbeat where it is on another host."""
        self.broken = ""
        self._process = process
        self._who = who
        self._lines = JsonLines(process)
        self._over = threading.Event()
        if beats:
            threading.Thread(target=self._beat, name=f"beat of {who}", daemon=True).start()

    def _beat(self) -> None:
        while not self._over.wait(BEAT_S):
            try:
                self._lines.beat()
            except LinesBroken:
                return  # the next request says why

    def exchange(self, request: Mapping[str, Any] | None, deadline_s: float) -> Any:
        """Put a request, or None for what it says when it starts, and return the answer.

        Raises:
            CapabilityMissing, ConfigurationError: as the other end says.
            DeploymentError: refused, with the reason; or it is broken.
            OSError: a file could not be read or written.
        """
        op = request["op"] if request else "start"
        if self.broken:
            raise DeploymentError(f"{op}: {self.broken}")
        try:
            if request:
                self._lines.tell(request)
            answer = self._lines.answer(deadline_s)
        except LinesBroken as error:
            said = self._process.stderr_tail().strip()
            self.broken = f"{self._who} is broken: {error}" + (f"\n{said}" if said else "")
            raise DeploymentError(f"{op}: {self.broken}") from error
        except BaseException:  # Ctrl-C, most likely: the answer that still comes would be taken for another's
            self.broken = f"{self._who} was interrupted during {op}"
            raise
        return _believed(answer, op)

    def over(self) -> None:
        """Stop the heartbeat; safe to call twice."""
        self._over.set()


def _believed(answer: Mapping[str, Any], op: str) -> Any:
    if "missing" in answer:
        raise CapabilityMissing(*answer["missing"])
    if answer.get("errno") is not None and op in ("read", "write"):
        raise OSError(answer["errno"], answer["error"])
    if answer.get("kind") == "configuration":
        raise ConfigurationError(answer["error"])
    if "error" in answer:
        raise DeploymentError(answer["error"])
    return answer["ok"]


def refusal(op: str, error: CapabilityMissing | ConfigurationError | DeploymentError | OSError) -> dict[str, Any]:
    """Return an error as an answer."""
    if isinstance(error, CapabilityMissing):
        return {"missing": [error.capability, error.missing, error.remedy]}
    if isinstance(error, OSError):
        return {"error": f"{op}: {error}", "errno": error.errno}
    return {"error": str(error), **({"kind": "configuration"} if isinstance(error, ConfigurationError) else {})}


def answered(operations: Mapping[str, Callable[..., Any]], request: Mapping[str, Any]) -> dict[str, Any]:
    """Do one request; what goes wrong with the machine is an answer, what goes wrong in here is not."""
    arguments = dict(request)
    op = arguments.pop("op")
    try:
        return {"ok": operations[op](**arguments)}
    except (CapabilityMissing, ConfigurationError, DeploymentError, OSError) as error:
        return refusal(op, error)


def serve(answer: Callable[[Mapping[str, Any]], Mapping[str, Any]], inbox: Iterable[bytes], out: IO[str]) -> None:
    """Answer until the inbox ends; nobody may be left to read it."""
    with suppress(BrokenPipeError):
        for line in inbox:
            tell(out, answer(json.loads(line)))


def tell(out: IO[str], answer: Mapping[str, Any]) -> None:
    """Write one answer."""
    out.write(json.dumps(answer) + "\n")
    out.flush()
