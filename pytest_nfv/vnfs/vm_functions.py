"""Network functions by a guest's kernel: one between each pair of its vNICs, what they counted and dropped.

One pair is in the guest's own network namespace. Of several each has one in the guest (`pair0`, ...), as routes,
settings and nftables' rules are a namespace's: so pairs never meet, and the vNICs in there are `nic0` and `nic1`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from pytest_nfv.errors import ConfigurationError, DeploymentError
from pytest_nfv.hosts.protocol import Completed
from pytest_nfv.model.nf import Firewall, Function
from pytest_nfv.model.routes import NICS
from pytest_nfv.vnfs.protocol import VnicCounters
from pytest_nfv.vnfs.vm_drops import asked, drops, firewall_drops
from pytest_nfv.vnfs.vm_napi import listed, pinned
from pytest_nfv.vnfs.vm_reading import nic_counters
from pytest_nfv.vnfs.vm_settings import Machine
from pytest_nfv.vnfs.vm_steps import LINKS, Step, not_ready, parted, space, steps

LINKS_S = 10.0
_COUNTERS = Step(("cat", "/proc/net/dev"))


class Run(Protocol):
    """Runs a command in the guest."""

    def __call__(self, argv: Sequence[str], *, stdin: str = "") -> Completed:
        """Return what it said.

        Raises:
            CommandError: it failed.
            DeploymentError: the guest is gone.
        """
        ...


class Functions:
    """The functions of one guest."""

    def __init__(self, name: str, machine: Machine, run: Run, last_words: Callable[[], str]) -> None:
        self._name, self._machine, self._run, self._last_words = name, machine, run, last_words
        self._functions: tuple[Function, ...] = ()

    def forward(self, functions: Sequence[Function]) -> None:
        """Let the guest's kernel do them, the first between the first two vNICs, and so on.

        Raises:
            ConfigurationError: the kernel has no such function, or they are not one for each pair of vNICs.
            CommandError: a command was refused; with its own words.
            DeploymentError: a vNIC does not come up.
        """
        vnics = len(self._machine.nics)
        if not functions or vnics != NICS * len(functions):
            raise ConfigurationError(
                f"{self._name}: {', '.join(map(str, functions)) or 'nothing'} between {vnics} vNICs: "
                f"accepted: one function for each pair of them, in and out"
            )
        wanted = [steps(function, self._machine.mtu) for function in functions]
        queues = [nic.queues for nic in self._machine.nics]
        if self._machine.vcpus > 1 and (len(functions) > 1 or max(queues) > 1):
            threads = self._run(["sh"], stdin=listed(vnics)).stdout
            self._run(["sh"], stdin=pinned(threads, queues, self._machine.vcpus))
        if len(functions) > 1:
            self._run(["ip", "-batch", "-"], stdin=parted(len(functions)))
        self._functions = tuple(functions)
        for pair, some in enumerate(wanted):
            for step in some:
                self._in(pair, step)
        # Frames that come before a port of the bridge forwards are dropped.
        deadline = time.monotonic() + LINKS_S
        for pair in range(len(functions)):
            while waiting := not_ready(self._in(pair, LINKS)):
                if time.monotonic() >= deadline:
                    raise DeploymentError(
                        f"{self._name}: after {LINKS_S:g} s {'; '.join(waiting)}{self._last_words()}"
                    )

    def _in(self, pair: int, step: Step) -> str:
        """Run a command where a pair is; return what it said."""
        where = space(pair) if len(self._functions) > 1 else ()
        return self._run([*where, *step.argv], stdin=step.stdin).stdout

    def counters(self, pair: int) -> tuple[VnicCounters, ...]:
        """Return the counters of a pair's two vNICs; a firewall's tell what it dropped of what came in by each.

        Raises:
            DeploymentError: the guest is gone, or does not tell.
        """
        found = nic_counters(self._in(pair, _COUNTERS))
        nics = [found[f"nic{nic}"] for nic in range(NICS)]
        return tuple(
            VnicCounters(
                nic.rx_frames, nic.tx_frames, {"guest drops": nic.rx_drops}, {"guest drops": nic.tx_drops}, own
            )
            for nic, own in zip(nics, self._dropped(pair), strict=True)
        )

    def _dropped(self, pair: int) -> tuple[dict[str, int], dict[str, int]]:
        function = self._functions[pair] if pair < len(self._functions) else None
        step = asked(function) if isinstance(function, Firewall) else None
        return ({}, {}) if step is None else firewall_drops(self._in(pair, step))

    def drops(self, pair: int) -> dict[str, int]:
        """Return the frames that a pair's function dropped, by reason; empty where there is none that drops.

        Raises:
            DeploymentError: the guest is gone, or does not tell.
        """
        if pair >= len(self._functions):
            return {}
        step = asked(self._functions[pair])
        return {} if step is None else drops(self._functions[pair], self._in(pair, step))
