"""The requests of the JSON lines, read with suspicion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.nf import Function, from_json
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.routes import NICS
from pytest_nfv.nfproc.batch import FRAMES_MAX
from pytest_nfv.trafgen.messages import read_ports

OPS = ("open", "learn", "run", "counters", "stop", "close")
WHILE_RUNNING = ("counters", "stop", "close")


def parse(line: str) -> tuple[str, Mapping[str, Any]]:
    """Return the operation and the request it stands in.

    Raises:
        ConfigurationError: no JSON object, or an unknown operation.
    """
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"request {line[:80]!r} is not JSON ({error})") from error
    op = request.get("op") if isinstance(request, dict) else None
    if op not in OPS:
        raise ConfigurationError(f"request {line[:80]!r}: accepted: a JSON object with an op of {', '.join(OPS)}")
    return op, request


def read_nics(request: Mapping[str, Any]) -> tuple[PortSpec, ...]:
    """Return the two ports to open.

    Raises:
        ConfigurationError: another number, or a port that cannot be read.
    """
    specs = read_ports(request)
    if len(specs) != NICS:
        raise ConfigurationError(f"{len(specs)} ports: accepted: the {NICS} of a network function")
    return specs


def read_run(request: Mapping[str, Any]) -> tuple[Function, int | None, bool]:
    """Return function, frames of a batch where that is said, and whether the core is shared.

    Raises:
        ConfigurationError: names the field that cannot be used.
    """
    function = request.get("function")
    if not isinstance(function, dict):
        raise ConfigurationError(f"function {function!r:.80}: accepted: an object with the function's kind")
    batch, share = request.get("batch"), request.get("share", False)
    if batch is not None and (type(batch) is not int or not 1 <= batch <= FRAMES_MAX):
        raise ConfigurationError(f"batch {batch!r}: accepted: 1 to {FRAMES_MAX} frames")
    if not isinstance(share, bool):
        raise ConfigurationError(f"share {share!r}: accepted: true, false")
    return from_json(function), batch, share
