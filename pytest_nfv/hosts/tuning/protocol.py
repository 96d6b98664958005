"""What a setting is: a word of `may_change`, and the steps from a value that a person names to knobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import eq
from pathlib import Path
from typing import Protocol

from pytest_nfv.hosts.tuning.knob import Knob


@dataclass(frozen=True, slots=True)
class Step:
    """One knob to be set.

    Attributes:
        optional: that it refuses is a note, not an error: some interrupts cannot be moved.
        took: whether what it reads afterwards is what was asked.
        alters: what the machine changes by itself then, to be put back behind the knob.
    """

    knob: Knob
    value: str
    optional: bool = False
    took: Callable[[str, str], bool] = eq
    alters: Sequence[Knob] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """What of a machine is meant.

    Attributes:
        cores: that device and generator run on; interfaces: that frames go through.
        root: where /sys and /proc are.
    """

    cores: Sequence[int] = ()
    interfaces: Sequence[str] = ()
    root: Path = Path("/")

    def cpu(self, core: int) -> Path:
        """Return the folder of a core."""
        return self.system / f"cpu{core}"

    @property
    def system(self) -> Path:
        """The folder of all cores."""
        return self.root / "sys/devices/system/cpu"


class Setting(Protocol):
    """One word of `model.machine.CHANGES`."""

    @property
    def name(self) -> str: ...

    def steps(self, value: str, scope: Scope) -> Iterator[Step]:
        """Yield what has to be set, in this order; a step is taken before the next is asked for.

        Raises:
            CapabilityMissing: the machine has no such thing.
            DeploymentError: it does not have this value; names those that it has.
        """
        ...
