"""Turbo: clocks above the nominal one, while heat allows, so that two runs are not alike."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_nfv.errors import CapabilityMissing
from pytest_nfv.hosts.tuning.knob import FileKnob
from pytest_nfv.hosts.tuning.protocol import Scope, Step
from pytest_nfv.hosts.tuning.words import on_or_off


class Turbo:
    """`turbo`: the value is `on` or `off`, for the whole machine."""

    name = "turbo"

    def steps(self, value: str, scope: Scope) -> Iterator[Step]:
        """Yield intel_pstate's switch, or that of cpufreq."""
        on = on_or_off(self.name, value)
        intel, boost = scope.system / "intel_pstate/no_turbo", scope.system / "cpufreq/boost"
        if intel.exists():
            yield Step(FileKnob(intel), "0" if on else "1")
        elif boost.exists():
            yield Step(FileKnob(boost), "1" if on else "0")
        else:
            raise CapabilityMissing(
                self.name,
                f"neither {intel} nor {boost} is there: no driver that can switch turbo",
                "run on the machine itself, or switch it in the firmware",
            )
