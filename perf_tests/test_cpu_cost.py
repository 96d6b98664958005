"""What does forwarding cost in processor time? Paper: T20 T6 (figure 6)."""

from __future__ import annotations

from statistics import median

import pytest

from perf_tests import papers, shapes
from perf_tests.s16 import asked_again, needs_a_device
from perf_tests.t20 import Case, cases
from perf_tests.usage import used, wanted
from pytest_nfv import P2P, Deploy, Mpps, VSwitch, kpps

CASES = cases(Case("throughput", "linux-bridge", 64, 20 * Mpps, 32), sizes=(64, 1500), pairs=(1, 2, 4))
POLLING = ("basicfwd", "testpmd", "ovs-dpdk")
"""Switches whose threads poll, whatever comes; those of the kernel are woken."""


@pytest.mark.throughput
@pytest.mark.parametrize(("vswitch", "case"), [pytest.param(one.vswitch, one, id=str(one)) for one in CASES])
def test_cpu_cost(deploy: Deploy, vswitch: VSwitch, case: Case) -> None:
    """The processor time of all cores at as much as the switch forwards, 1vs1 to 4vs4.

    Steps:
        Put the switch between the pairs of generator ports; offer as much as the generator can; read the cores.

    Verify:
        Time was used, and accounted, on the device's cores and on the generator's. The generator polls, as the
        paper's applications do, and like them it has a whole core.
    """
    found = deploy(P2P(vswitch, pairs=case.pairs)).forwarding_rate(
        case.rate, frame_size=case.frame_size, burst=case.burst, rewrite=True
    )
    needs_a_device(found)
    valid = [trial for trial in found.trials if trial.valid]
    for trial in valid:
        busy = {
            role: sum(core.busy for core in trial.cores if core.role == role) for role in ("device", "generator")
        }
        assert all(0 < share <= len(trial.cores) for share in busy.values()), busy
    found.beside(papers.polling(median(wanted(trial, "generator") for trial in valid)))
    assert shapes.polls(median(wanted(trial, "generator") for trial in valid)) == ""


@pytest.mark.throughput
def test_polling_costs_a_core_at_any_load(deploy: Deploy, vswitch: VSwitch) -> None:
    """The paper's finding: fewer frames a second cost as much where a switch polls; what is woken by them saves.

    Steps:
        Put the switch between two ports; offer 10 kpps at 64 B; read what its threads used, and waited for.

    Verify:
        A switch that polls wants a whole core, one of the kernel's uses less than half of one.
    """
    traffic = deploy(P2P(vswitch))

    def question() -> str:
        found = traffic.forwarding_rate(10 * kpps, frame_size=64)
        needs_a_device(found)
        trials = [trial for trial in found.trials if trial.valid]
        if vswitch.name in POLLING:
            return shapes.polls(median(wanted(trial, "switch") for trial in trials))
        return shapes.saves(median(used(trial, "switch") for trial in trials))

    assert asked_again(question) == ""
