"""L2Fwd and L3Fwd as an XDP program on both vNICs; run against veth on Linux 6.18, in the driver.

`pytest_nfv.xdpfwd` holds programs and maps, in a process whose end is theirs. It does nothing meanwhile: frames
are forwarded in the NAPI context of the vNIC they come in by, which XDP gives a veth end by itself. What is sent
to the far end of a vNIC is taken there only if that has NAPI too: GRO on, `VethEnd(..., {"gro": True})`, or an
XDP program. Else every frame is dropped, counted at the vNIC.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from pytest_nfv.errors import CapabilityMissing, ConfigurationError, DeploymentError
from pytest_nfv.hosts.lab import Lab, LinkState
from pytest_nfv.hosts.lines import JsonLines, LinesBroken
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.protocol import Host, Process
from pytest_nfv.model.nf import Function, to_json
from pytest_nfv.model.vnf import FUNCTIONS
from pytest_nfv.vnfs.protocol import EngineCounts, VnicCounters

ANSWER_S = 20.0
_FORWARDED = "forwarded"


class XdpEngine:
    """One function in one network namespace.

    Attributes:
        notes: `generic XDP on nic0`, where the driver has no XDP of its own.
    """

    name: ClassVar[str] = "xdp"
    functions: ClassVar[tuple[type, ...]] = FUNCTIONS["xdp"]

    def __init__(
        self,
        lab: Lab,
        namespace: NamespaceHost,
        function: Function,
        nics: tuple[str, str] = ("nic0", "nic1"),
        host: Host | None = None,
    ) -> None:
        """Make an engine; nothing is attached yet.

        Args:
            lab: the run's.
            namespace: where the vNICs are.
            function: what to do.
            nics: the interfaces that are vNIC 0 and 1.
            host: where its process runs, in that network namespace; the namespace where not given.

        Raises:
            ConfigurationError: a function that this engine has not.
        """
        if not isinstance(function, self.functions):
            known = ", ".join(one.__name__ for one in self.functions)
            raise ConfigurationError(f"engine {self.name}: function {function}: accepted: {known}")
        self._lab, self._namespace, self._function, self._nics = lab, namespace, function, nics
        self._host = host or namespace
        self._process: Process | None = None
        self.notes: tuple[str, ...] = ()

    def start(self) -> None:
        """Attach the programs.

        Raises:
            CapabilityMissing: no XDP for us here: it takes root of the machine.
            DeploymentError: the kernel refuses, or a vNIC is gone.
        """
        self._links()
        self._process = self._host.start([sys.executable, "-P", "-m", "pytest_nfv.xdpfwd"])
        self._lines = JsonLines(self._process)
        try:
            told = self._ask(op="start", function=to_json(self._function), nics=list(self._nics))
        except BaseException:
            self.stop()
            raise
        ways = zip(self._nics, told["native"], strict=True)
        self.notes = tuple(f"generic XDP on {nic}" for nic, native in ways if not native)

    def counters(self) -> EngineCounts:
        """Read the counters.

        Raises:
            DeploymentError: a vNIC is gone, or the process has ended; with its last words.
        """
        told = self._ask(op="counters")
        nics = tuple(
            VnicCounters(
                end.rx_packets,
                end.tx_packets,
                tx_drops={"not taken by the far end": end.tx_dropped},
                dropped={"dropped on receipt": end.rx_dropped},
            )
            for end in self._links()
        )
        return EngineCounts(nics, {reason: int(count) for reason, count in told.items() if reason != _FORWARDED})

    def check(self) -> None:
        """Raise where the process has ended, or a vNIC is gone or down.

        Raises:
            DeploymentError: with its last words.
        """
        self._ask(op="counters")
        down = [nic for nic, end in zip(self._nics, self._links(), strict=True) if not end.up]
        if down:
            raise DeploymentError(f"engine {self.name}: interface {', '.join(down)} is down")

    def stop(self) -> None:
        """End the process, and so detach the programs; safe to call twice."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _links(self) -> list[LinkState]:
        links = self._lab.links(self._namespace)
        gone = [nic for nic in self._nics if nic not in links]
        if gone:
            raise DeploymentError(
                f"engine {self.name}: no interface {', '.join(gone)} in {self._namespace.namespace}; "
                f"there: {', '.join(links)}"
            )
        return [links[nic] for nic in self._nics]

    def _ask(self, **request: Any) -> Mapping[str, Any]:
        if self._process is None:
            raise DeploymentError(f"engine {self.name} is not started")
        try:
            self._lines.tell(request)
            answer = self._lines.answer(ANSWER_S)
        except LinesBroken as error:
            said = self._process.stderr_tail().strip()
            raise DeploymentError(
                f"engine {self.name}: its process: {error}" + (f"\n{said}" if said else "")
            ) from error
        if "missing" in answer:
            raise CapabilityMissing(*answer["missing"])
        if "wrong" in answer:
            raise ConfigurationError(answer["wrong"])
        if "error" in answer:
            raise DeploymentError(f"engine {self.name}: {answer['error']}")
        ok: Mapping[str, Any] = answer["ok"]
        return ok
