"""Clock frequency and governor of cores, by cpufreq (kernel documentation, `admin-guide/pm/cpufreq`).

A frequency is held by making it both the lowest and the highest that the governor may choose. That is one way for
acpi-cpufreq, intel_pstate and amd-pstate, whatever the governor; a `userspace` governor is not needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.hosts.tuning.knob import FileKnob
from pytest_nfv.hosts.tuning.protocol import Scope, Step
from pytest_nfv.units import Frequency

CAPABILITY = "cpufreq"
TOLERANCE = 0.02
"""By how much a frequency may be off from what was asked: drivers count in steps of their own."""


class CpuFrequency:
    """`cpu-frequency`: the value is a frequency such as `1.2GHz`."""

    name = "cpu-frequency"

    def steps(self, value: str, scope: Scope) -> Iterator[Step]:
        """Yield the limits of each core's clock, in an order in which the lower never exceeds the upper."""
        wanted = Frequency.of(value)
        for core in scope.cores:
            folder = policy(core, scope)
            _available(core, folder, wanted)
            low, high = FileKnob(folder / "scaling_min_freq"), FileKnob(folder / "scaling_max_freq")
            upwards = wanted.khz > int(high.read())
            for knob in (high, low) if upwards else (low, high):
                yield Step(knob, str(wanted.khz), took=close_khz)


class Governor:
    """`governor`: the value is a governor's name, such as `performance`."""

    name = "governor"

    def steps(self, value: str, scope: Scope) -> Iterator[Step]:
        """Yield the governor of each core."""
        for core in scope.cores:
            folder = policy(core, scope)
            there = FileKnob(folder / "scaling_available_governors").read().split()
            if value not in there:
                raise DeploymentError(f"governor {value!r}: core {core} has {', '.join(there)}")
            yield Step(FileKnob(folder / "scaling_governor"), value)


def policy(core: int, scope: Scope) -> Path:
    """Return the folder of a core's clock; cores that share a clock have one.

    Raises:
        CapabilityMissing: there is no such.
    """
    folder = scope.cpu(core) / "cpufreq"
    if not (folder / "scaling_max_freq").exists():
        raise CapabilityMissing(
            CAPABILITY,
            f"core {core} has no {folder}: no cpufreq driver, as in most virtual machines",
            "run on the machine itself, with P-states on in its firmware and a driver such as intel_pstate, "
            "amd-pstate or acpi-cpufreq",
        )
    return folder.resolve()


def frequencies(folder: Path) -> tuple[Frequency, ...]:
    """Return the frequencies that a clock has, the lowest first; empty where it has any between two limits."""
    try:
        words = (folder / "scaling_available_frequencies").read_text().split()
    except FileNotFoundError:
        return ()
    return tuple(sorted(Frequency(int(word) * 1e3) for word in words))


def close_khz(wanted: str, reads: str) -> bool:
    """Whether a frequency in kHz is what was asked, as near as drivers come."""
    return abs(int(reads) - int(wanted)) <= TOLERANCE * int(wanted)


def _available(core: int, folder: Path, wanted: Frequency) -> None:
    """Raise where a core cannot be clocked so.

    Raises:
        DeploymentError: lists what it has.
    """
    listed = frequencies(folder)
    if listed:
        if wanted.khz not in [one.khz for one in listed]:
            raise DeploymentError(
                f"frequency {wanted}: core {core} has {', '.join(map(str, listed))} "
                f"({driver_of(folder)}, scaling_available_frequencies)"
            )
        return
    low, high = (Frequency(int((folder / f"cpuinfo_{end}_freq").read_text()) * 1e3) for end in ("min", "max"))
    if not low <= wanted <= high:
        raise DeploymentError(f"frequency {wanted}: core {core} has {low} to {high} ({driver_of(folder)})")


def driver_of(folder: Path) -> str:
    """Return the name of a clock's driver."""
    try:
        return (folder / "scaling_driver").read_text().strip()
    except FileNotFoundError:
        return "an unnamed driver"
