"""Sleep states of idle cores (cpuidle): a deep one takes longer to wake from than a frame may wait."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.hosts.tuning.knob import FileKnob
from pytest_nfv.hosts.tuning.protocol import Scope, Step


class CStates:
    """`c-states`: the value is the longest wake-up time that is let, in microseconds, such as `2`."""

    name = "c-states"

    def steps(self, value: str, scope: Scope) -> Iterator[Step]:
        """Yield the states of each core that take longer, off, and the others, on."""
        if not value.isdecimal():
            raise DeploymentError(f"c-states {value!r}: accepted: a whole number of microseconds, such as 2")
        for core in scope.cores:
            found = states(scope.cpu(core))
            if not found:
                raise CapabilityMissing(
                    self.name,
                    f"core {core} has no states in {scope.cpu(core) / 'cpuidle'}",
                    "run on the machine itself, with a cpuidle driver",
                )
            for state in found:
                slow = int((state / "latency").read_text()) > int(value)
                yield Step(FileKnob(state / "disable"), "1" if slow else "0")


def states(cpu: Path) -> list[Path]:
    """Return the folders of a core's states, the lightest first."""
    return sorted((cpu / "cpuidle").glob("state[0-9]*"), key=lambda path: int(path.name.removeprefix("state")))
