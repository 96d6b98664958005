"""How long a trial takes beside its load: on a lab's hosts by SSH, and on this machine."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pytest_nfv.deployment.deploy import Deployment
from pytest_nfv.deployment.frames import load_of
from pytest_nfv.deployment.labs import RigLabs
from pytest_nfv.deployment.plan import place
from pytest_nfv.deployment.rig_plan import place_on_rig
from pytest_nfv.deployment.runner import TrialRunner
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.machine import Cable, Machine, NicPort, Rig
from pytest_nfv.model.testbed import Testbed, built_in
from pytest_nfv.model.topology import P2P, VSwitch
from pytest_nfv.model.trial import TrialResult, TrialSpec
from pytest_nfv.units import FrameSize, Link
from tests.functional.ssh_lab import SshLab

TRIALS, RATE_PPS, DURATION_S = 20, 1000.0, 0.1
TOPOLOGY = P2P(VSwitch("linux-bridge"))


class Silent:
    """An observer that shows nothing."""

    def deploying(self, what: str) -> None:
        """Show nothing."""

    def trial_started(self, spec: TrialSpec) -> None:
        """Show nothing."""

    def trial_progress(self, spec: TrialSpec, elapsed_s: float, sent: int, received: int) -> None:
        """Show nothing."""

    def trial_done(self, result: TrialResult) -> None:
        """Show nothing."""


@contextmanager
def on_a_lab(lab: SshLab) -> Iterator[Deployment]:
    """Deploy the bridge on `dut`, and the generator on `gen`, by SSH alone."""
    ports = tuple(NicPort(name, interface=name) for name in ("eth1", "eth2"))
    machines = {
        "dut": Machine("dut", "dut", sys.executable, ports, device_cores=(0,)),
        "gen": Machine("gen", "gen", sys.executable, ports, generator_cores=(1,)),
    }
    link = Link.of("1GbE")
    cables = tuple(Cable(("gen", port.name), ("dut", port.name), link) for port in ports)
    rig = Rig(("dut",), "gen", cables, machines)
    labs = RigLabs(rig, lab.config)
    try:
        testbed = Testbed("lab", "lab", link, rig=rig)
        deployment = Deployment(place_on_rig(TOPOLOGY, testbed, labs.cores()), labs)
        try:
            yield deployment
        finally:
            deployment.close()
    finally:
        labs.close()


@contextmanager
def on_this_machine() -> Iterator[Deployment]:
    """Deploy both here."""
    run_id = new_run_id()
    lab = Lab(LocalHost(run_id), run_id)
    try:
        deployment = Deployment(place(TOPOLOGY, built_in()["local"], sorted(os.sched_getaffinity(0))), lab)
        try:
            yield deployment
        finally:
            deployment.close()
    finally:
        lab.close()


def beside_the_load(deployment: Deployment) -> float:
    """Return the median of what a trial took beyond its load, in ms: learning, counters, accounts, settling."""
    load = load_of(TOPOLOGY, deployment.addresses, FrameSize(64), None, 1, 0)
    runner = TrialRunner(deployment, load, Silent())
    taken = []
    for _ in range(TRIALS):
        started = time.perf_counter()
        result = runner.measure(RATE_PPS, DURATION_S)
        taken.append(time.perf_counter() - started - result.offered_for_s)
    return statistics.median(taken) * 1e3
