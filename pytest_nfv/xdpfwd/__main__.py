"""The XDP forwarder: `python -m pytest_nfv.xdpfwd`, driven over standard input and output by JSON lines.

    {"op": "start", "function": {...}, "nics": ["nic0", "nic1"]}   ->  {"ok": {"pid": 1, "native": [true, true]}}
    {"op": "counters"}                                             ->  {"ok": {"forwarded": 0, ...}}

What fails is answered `{"missing": [capability, what, remedy]}`, `{"wrong": text}` or `{"error": text}`. It ends,
and the kernel detaches its programs, when its input does.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from pytest_nfv.errors import CapabilityMissing, ConfigurationError, NfvError
from pytest_nfv.model.nf import from_json
from pytest_nfv.xdpfwd.forwarder import Forwarder

_REMEDY = (
    "run as root of the machine, with CAP_BPF and CAP_NET_ADMIN in the initial user namespace; "
    "or use the engine kernel"
)


class Server:
    """Answers requests; holds the forwarder."""

    def __init__(self) -> None:
        self._forwarder: Forwarder | None = None

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Do one request."""
        try:
            return {"ok": self._done(request)}
        except CapabilityMissing as error:
            return {"missing": ["xdp", error.missing, _REMEDY]}
        except ConfigurationError as error:
            return {"wrong": str(error)}
        except (NfvError, OSError) as error:
            return {"error": str(error)}

    def _done(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if request["op"] == "start":
            self.close()
            self._forwarder = Forwarder(from_json(request["function"]), request["nics"])
            return {"pid": os.getpid(), "native": self._forwarder.native}
        if request["op"] == "counters" and self._forwarder is not None:
            return self._forwarder.counters()
        raise ConfigurationError(f"op {request['op']!r}: accepted: start, then counters")

    def close(self) -> None:
        """Let go of everything."""
        if self._forwarder is not None:
            self._forwarder.close()
            self._forwarder = None


def main() -> None:
    """Serve until the input ends."""
    server = Server()
    for line in sys.stdin:
        print(json.dumps(server.answer(json.loads(line))), flush=True)
    server.close()


if __name__ == "__main__":
    main()
