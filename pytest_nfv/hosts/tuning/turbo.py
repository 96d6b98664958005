"""Turbo: clocks above the nominal one, while heat allows, so that two runs are not alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from pytest_nfv.errors import CapabilityMissing
from pytest_nfv.hosts.tuning.knob import FileKnob
from pytest_nfv.hosts.tuning.protocol import Scope, Step
from pytest_nfv.hosts.tuning.words import on_or_off


class Turbo:
    """`turbo`: the value is `on` or `off`, for the whole machine."""

    name = "turbo"

    def steps(self, value: str, scope: Scope) -> Iterator[Step]:
        """Yield intel_pstate's switch, or that of cpufreq.

        Without turbo, a clock's upper limit reads as the nominal one. Whoever sets the clock meanwhile takes that
        for the old value, and makes it the limit when they put it back.
        """
        on = on_or_off(self.name, value)
        intel, boost = scope.system / "intel_pstate/no_turbo", scope.system / "cpufreq/boost"
        if intel.exists():
            yield Step(FileKnob(intel), "0" if on else "1", alters=_limits(scope))
        elif boost.exists():
            yield Step(FileKnob(boost), "1" if on else "0", alters=_limits(scope))
        else:
            raise CapabilityMissing(
                self.name,
                f"neither {intel} nor {boost} is there: no driver that can switch turbo",
                "run on the machine itself, or switch it in the firmware",
            )


def _limits(scope: Scope) -> list[FileKnob]:
    """Return the upper limit of each clock of the machine."""
    limits = []
    for folder in sorted({path.resolve() for path in scope.system.glob("cpu[0-9]*/cpufreq")}):
        knob = FileKnob(folder / "scaling_max_freq")
        with suppress(OSError):  # EBUSY: all of its cores are off line
            knob.read()
            limits.append(knob)
    return limits
