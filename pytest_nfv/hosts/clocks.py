"""At which frequency cores were clocked during a trial, whatever they had been asked for.

Best by their own counters of cycles, APERF over MPERF (Intel SDM volume 3, "Power and thermal management"),
which the `msr` module shows to root: the mean over all of the trial in which the core was awake. Else as cpufreq
tells it at the end of the trial.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

_TSC, _MPERF, _APERF = 0x10, 0xE7, 0xE8
_WIDTH = 1 << 64
# cpuinfo_avg_freq: measured by the hardware (kernel 6.16); scaling_cur_freq: measured on x86, elsewhere what was
# asked of the hardware last; cpuinfo_cur_freq: what the hardware says, to root alone.
_TOLD_BY = ("cpuinfo_avg_freq", "scaling_cur_freq", "cpuinfo_cur_freq")


@dataclass(frozen=True, slots=True)
class Cycles:
    """Counters of a core at a moment: of time, of time awake, and of cycles awake.

    Attributes:
        at_s: CLOCK_MONOTONIC.
    """

    at_s: float
    tsc: int
    mperf: int
    aperf: int


def read_cycles(core: int, root: Path) -> Cycles | None:
    """Return a core's counters; None where it does not show them."""
    try:
        descriptor = os.open(root / f"dev/cpu/{core}/msr", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        values = [struct.unpack("<Q", os.pread(descriptor, 8, place))[0] for place in (_TSC, _MPERF, _APERF)]
        return Cycles(time.monotonic(), *values)
    except (OSError, struct.error):
        return None  # a hypervisor that keeps them to itself
    finally:
        os.close(descriptor)


class Clocks:
    """The clocks of some cores: `start`, the trial, `stop`."""

    def __init__(
        self,
        cores: Iterable[int],
        root: Path = Path("/"),
        read: Callable[[int, Path], Cycles | None] = read_cycles,
    ) -> None:
        """Watch `cores`; `root` is where /sys and /dev are, `read` reads a core's counters."""
        self._cores = tuple(cores)
        self._root = root
        self._read = read
        self._before: dict[int, Cycles] = {}

    def start(self) -> None:
        """Begin."""
        self._before = {core: cycles for core in self._cores if (cycles := self._read(core, self._root))}

    def stop(self) -> dict[int, float]:
        """Return the frequency of each core in Hz; one that does not tell is left out."""
        found = {}
        for core in self._cores:
            hz = self._counted(core) or self._told(core)
            if hz:
                found[core] = hz
        return found

    def _counted(self, core: int) -> float | None:
        before, after = self._before.get(core), self._read(core, self._root)
        if before is None or after is None or after.at_s <= before.at_s:
            return None
        tsc, mperf, aperf = (
            (getattr(after, name) - getattr(before, name)) % _WIDTH for name in ("tsc", "mperf", "aperf")
        )
        # MPERF counts as the time stamp counter does while the core is awake, APERF as the core is clocked.
        return tsc / (after.at_s - before.at_s) * aperf / mperf if mperf else None

    def _told(self, core: int) -> float | None:
        folder = self._root / f"sys/devices/system/cpu/cpu{core}/cpufreq"
        for name in _TOLD_BY:
            try:
                return int((folder / name).read_text()) * 1e3
            except (OSError, ValueError):  # not there, or `<unknown>`
                continue
        return None
