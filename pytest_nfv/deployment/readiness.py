"""What on a host will spoil a measurement, and what to do about it. Pure: facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pytest_nfv.hosts.cores import core_text
from pytest_nfv.hosts.facts import HostFacts
from pytest_nfv.hosts.survey import CoreFacts, Survey

Severity = Literal["high", "medium", "low"]
SEVERITIES: tuple[Severity, ...] = ("high", "medium", "low")

BUSY = 0.05
"""Share of a core's time from which on other work there is worth a word."""
SLOW_US = 10
"""Wake-up time of a C-state that a frame notices."""
STEAL = 0.001


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        severity: `high` makes figures worthless or changes what is measured, `medium` makes them vary from run to
            run, `low` shows in the last per cent and in the tail of latencies.
        setting: of `model.machine.CHANGES`, that a run may put right where it is let.
    """

    severity: Severity
    text: str
    remedy: str
    setting: str = ""

    def __str__(self) -> str:
        return f"{self.severity}: {self.text}; {self.remedy}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"severity": self.severity, "text": self.text, "remedy": self.remedy}


@dataclass(frozen=True, slots=True)
class Roles:
    """Which cores do what on a host."""

    device: tuple[int, ...] = ()
    generator: tuple[int, ...] = ()

    @property
    def cores(self) -> tuple[int, ...]:
        """All, the device's first."""
        return tuple(dict.fromkeys((*self.device, *self.generator)))

    def joined(self, other: Roles) -> Roles:
        """Return the roles of both; a core may have had two, one after the other."""
        device, generator = (*self.device, *other.device), (*self.generator, *other.generator)
        return Roles(tuple(dict.fromkeys(device)), tuple(dict.fromkeys(generator)))


def findings(facts: HostFacts, seen: Survey, roles: Roles) -> tuple[Finding, ...]:
    """Return what spoils a measurement, the worst first."""
    device = [core for core in seen.cores if core.core in roles.device]
    found = [
        *_machine(facts, seen, roles),
        *_load(seen, roles),
        *_siblings(seen, roles),
        *_nodes(seen, device),
        *_clocks(facts, device),
        *_interrupts(device),
        *_scheduling(seen, device),
    ]
    return tuple(sorted(found, key=lambda one: SEVERITIES.index(one.severity)))


def _machine(facts: HostFacts, seen: Survey, roles: Roles) -> Iterator[Finding]:
    if facts.hypervisor:
        steal = max((core.steal for core in seen.cores), default=0.0)
        said = f", and has taken {steal:.1%} of the time so far" if steal >= STEAL else ""
        yield Finding(
            "high",
            f"this is a virtual machine: its host shares out the cores{said}",
            "measure on the machine itself, or compare with runs of this one only",
        )
    quota = facts.cpu_quota_cores
    if quota is not None and quota < len(roles.cores):
        yield Finding(
            "high",
            f"the control group allows {quota:g} cores' worth of time, and {len(roles.cores)} cores will spin",
            "lift its cpu.max (docker run without --cpus)",
        )


def _load(seen: Survey, roles: Roles) -> Iterator[Finding]:
    for core in seen.cores:
        if core.busy >= BUSY:
            role = "device" if core.core in roles.device else "generator"
            yield Finding(
                "high",
                f"{role} core {core.core} is {core.busy:.0%} busy with other work",
                "end it, or keep it off by isolcpus= or taskset",
            )


def _siblings(seen: Survey, roles: Roles) -> Iterator[Finding]:
    told: set[frozenset[int]] = set()
    idle: list[int] = []
    for core in seen.cores:
        for sibling in core.siblings:
            pair = frozenset((core.core, sibling))
            if sibling in roles.cores and pair not in told:
                told.add(pair)
                yield Finding(
                    "high",
                    f"cores {min(pair)} and {max(pair)} are SMT siblings: they share one physical core",
                    "name cores of different physical ones in device_cores and generator_cores",
                )
            elif sibling not in roles.cores:
                idle.append(sibling)
    if idle:
        yield Finding(
            "medium",
            f"SMT siblings of the cores in use may be given other work: {core_text(idle)}",
            _allow("smt", "or turn SMT off in the firmware"),
            "smt",
        )


def _nodes(seen: Survey, device: Sequence[CoreFacts]) -> Iterator[Finding]:
    nodes = {core.node for core in device if core.node is not None}
    for nic in seen.nics:
        if nic.node is not None and nodes and nodes != {nic.node}:
            yield Finding(
                "high",
                f"{nic.interface} is on NUMA node {nic.node}, device cores are on {_listed(nodes)}: frames cross",
                f"name device_cores of node {nic.node}, unless that is what is measured",
            )
    if len(nodes) > 1:
        yield Finding(
            "low",
            f"the device's cores are on NUMA nodes {_listed(nodes)}",
            "name device_cores of one node, unless that is what is measured",
        )


def _clocks(facts: HostFacts, device: Sequence[CoreFacts]) -> Iterator[Finding]:
    governors = {core.governor for core in device if core.governor not in (None, "performance")}
    fixed = all(core.min_khz is not None and core.min_khz == core.max_khz for core in device)
    if governors and not fixed:
        yield Finding(
            "medium",
            f"the governor of device cores is {_listed(governors)}: their clock follows the load",
            _allow("governor", "or `cpupower frequency-set -g performance`"),
            "governor",
        )
    if facts.turbo:
        yield Finding(
            "medium",
            "turbo is on: the clock depends on heat and on other cores",
            _allow("turbo", "or hold a clock by --nfv-cpu-freq"),
            "turbo",
        )
    slow = {name: us for core in device for name, us in core.c_states.items() if us > SLOW_US}
    if slow:
        states = ", ".join(f"{name} ({us} us)" for name, us in slow.items())
        yield Finding(
            "medium",
            f"idle device cores may sleep deeply, and wake late: {states}",
            _allow("c-states", "or the kernel options intel_idle.max_cstate=1 processor.max_cstate=1"),
            "c-states",
        )


def _interrupts(device: Sequence[CoreFacts]) -> Iterator[Finding]:
    for core in device:
        if core.irqs:
            numbers = core_text(core.irqs)
            yield Finding(
                "medium",
                f"{len(core.irqs)} interrupts of devices may come on device core {core.core}: {numbers}",
                _allow("irq-affinity", "or stop irqbalance and set /proc/irq/N/smp_affinity_list"),
                "irq-affinity",
            )


def _scheduling(seen: Survey, device: Sequence[CoreFacts]) -> Iterator[Finding]:
    shared = [core.core for core in device if not core.isolated]
    if shared:
        cores = core_text(shared)
        yield Finding(
            "low",
            f"the scheduler may give device cores {cores} other work",
            f"kernel options isolcpus={cores} nohz_full={cores} rcu_nocbs={cores}",
        )
    if seen.huge_page_use == "always":
        yield Finding(
            "low",
            "transparent huge pages are made always: khugepaged moves memory meanwhile",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        )


def _allow(setting: str, otherwise: str) -> str:
    return f'let a run change it: may_change = ["{setting}"] in the testbed file, {otherwise}'


def _listed(values: set[Any] | set[int | None] | set[str | None]) -> str:
    return ", ".join(sorted(map(str, values)))


def beyond(found: Sequence[Finding], may_change: frozenset[str]) -> tuple[Finding, ...]:
    """Return what is left once a run has put right what it may."""
    return tuple(one for one in found if one.setting not in may_change)


def compact(found: Sequence[Finding]) -> str:
    """Return one line: how many there are, and the worst."""
    if not found:
        return "ready: nothing found that spoils a measurement"
    counts = [(severity, sum(one.severity == severity for one in found)) for severity in SEVERITIES]
    numbers = ", ".join(f"{count} {severity}" for severity, count in counts if count)
    return f"readiness: {numbers}; worst: {found[0].text}"


def lines(found: Sequence[Finding]) -> list[str]:
    """Return all of it, two lines each."""
    return [line for one in found for line in (f"{one.severity:6} {one.text}", f"       {one.remedy}")]
