"""What spoils a measurement: each thing alone, how bad it is, and what would put it right."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from pytest_nfv.deployment.readiness import Finding, Roles, beyond, compact, findings, lines
from pytest_nfv.hosts.facts import HostFacts, read_facts
from pytest_nfv.hosts.survey import CoreFacts, NicFacts, Survey
from pytest_nfv.model.machine import CHANGES
from tests.unit.test_hosts_facts import Files

FACTS = read_facts(Files({}))
QUIET = CoreFacts(
    core=0,
    node=0,
    socket=0,
    siblings=(),
    driver="acpi-cpufreq",
    governor="performance",
    min_khz=1_200_000,
    max_khz=2_400_000,
    c_states={"POLL": 0, "C1": 2},
    irqs=(),
    isolated=True,
    tickless=True,
    busy=0.0,
    steal=0.0,
)
NIC = NicFacts("eth1", "i40e", "9.20", "0000:3b:00.0", 0, 10_000, 8, 8, {})
ROLES = Roles((0,), (1,))


def found(
    facts: HostFacts = FACTS,
    *,
    device: CoreFacts = QUIET,
    generator: CoreFacts | None = None,
    nics: tuple[NicFacts, ...] = (),
    huge_page_use: str = "madvise",
    roles: Roles = ROLES,
) -> tuple[Finding, ...]:
    spinning = generator or replace(QUIET, core=1)
    return findings(facts, Survey((device, spinning), nics, huge_page_use), roles)


def test_a_quiet_machine_has_none() -> None:
    assert found(replace(FACTS, hypervisor=False, turbo=False, cpu_quota_cores=2.0), nics=(NIC,)) == ()
    assert compact(()) == "ready: nothing found that spoils a measurement"


@pytest.mark.parametrize(
    ("one", "severity", "text", "setting"),
    [
        (found(replace(FACTS, hypervisor=True)), "high", "this is a virtual machine: its host shares out", ""),
        (
            found(replace(FACTS, hypervisor=True), device=replace(QUIET, steal=0.02)),
            "high",
            "shares out the cores, and has taken 2.0% of the time so far",
            "",
        ),
        (
            found(replace(FACTS, cpu_quota_cores=1.5)),
            "high",
            "allows 1.5 cores' worth of time, and 2",
            "",
        ),
        (found(device=replace(QUIET, busy=0.5)), "high", "device core 0 is 50% busy with other work", ""),
        (found(generator=replace(QUIET, core=1, busy=0.07)), "high", "generator core 1 is 7% busy", ""),
        (
            found(device=replace(QUIET, siblings=(1,)), generator=replace(QUIET, core=1, siblings=(0,))),
            "high",
            "cores 0 and 1 are SMT siblings",
            "",
        ),
        (found(device=replace(QUIET, siblings=(8,))), "medium", "may be given other work: 8", "smt"),
        (found(nics=(replace(NIC, node=1),)), "high", "eth1 is on NUMA node 1, device cores are on 0", ""),
        (
            findings(
                FACTS,
                Survey((QUIET, replace(QUIET, core=1, node=1)), (), None),
                Roles((0, 1)),
            ),
            "low",
            "the device's cores are on NUMA nodes 0, 1",
            "",
        ),
        (
            found(device=replace(QUIET, governor="schedutil")),
            "medium",
            "governor of device cores",
            "governor",
        ),
        (found(replace(FACTS, turbo=True)), "medium", "turbo is on", "turbo"),
        (found(device=replace(QUIET, c_states={"C6": 133})), "medium", "wake late: C6 (133 us)", "c-states"),
        (
            found(device=replace(QUIET, irqs=(24, 25, 30))),
            "medium",
            "3 interrupts .* 0: 24-25,30",
            "irq-affinity",
        ),
        (found(device=replace(QUIET, isolated=False)), "low", "may give device cores 0 other work", ""),
        (found(huge_page_use="always"), "low", "khugepaged", ""),
    ],
)
def test_each_alone(one: tuple[Finding, ...], severity: str, text: str, setting: str) -> None:
    (finding,) = one
    assert (finding.severity, finding.setting) == (severity, setting)
    assert re.search(text.replace("(", r"\(").replace(")", r"\)"), finding.text), finding.text
    assert finding.remedy
    if setting:
        assert setting in CHANGES
        assert f'may_change = ["{setting}"]' in finding.remedy
        assert beyond(one, frozenset({setting})) == ()


def test_a_clock_that_is_held_needs_no_governor() -> None:
    assert found(device=replace(QUIET, governor="schedutil", min_khz=1_600_000, max_khz=1_600_000)) == ()


def test_what_the_generators_core_does_by_itself_is_no_matter() -> None:
    restless = replace(QUIET, core=1, governor="powersave", irqs=(1,), c_states={"C6": 133}, isolated=False)
    assert found(generator=restless) == ()


def test_the_worst_comes_first_and_is_told_in_one_line() -> None:
    many = found(
        replace(FACTS, turbo=True, hypervisor=True), device=replace(QUIET, busy=1.0), huge_page_use="always"
    )
    assert [one.severity for one in many] == ["high", "high", "medium", "low"]
    assert compact(many) == (
        "readiness: 2 high, 1 medium, 1 low; worst: this is a virtual machine: its host shares out the cores"
    )
    assert len(lines(many)) == 8
