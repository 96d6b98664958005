"""What a device's cores could have done, from what they did: plain arithmetic on processor time and frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytest_nfv.model.accounts import kept_waiting_s
from pytest_nfv.records.account import Account
from pytest_nfv.units import FRAME_SIZE_MAX, line_rate

# A core that is this busy in the time that it was given had nothing left: the kernel accounts in ticks of 10 ms.
SATURATED = 0.95
COMMON_FRAME_SIZES = (64, 128, 256, 512, 1024, 1280, 1518)


@dataclass(frozen=True, slots=True)
class DeviceCores:
    """Summed processor time of the device's cores and what they got done.

    Attributes:
        cores: their numbers; full: those that had nothing left.
        busy_s, wall_s: summed over cores and trials; steal_s: what the machine took.
        offered_s: of `wall_s`, while frames were offered: accounts begin before the load, and go on until the
            counters are at rest.
        waited_s: how long the device's threads waited while something else had their core; they also wait for each
            other, which is their own business.
        forwarded: frames, all directions.
        ways: how many directions were loaded at once.
    """

    cores: tuple[int, ...]
    full: tuple[int, ...]
    busy_s: float
    wall_s: float
    offered_s: float
    steal_s: float
    waited_s: float
    forwarded: int
    ways: int

    @property
    def saturated(self) -> bool:
        """Whether none of the cores had anything left."""
        return self.full == self.cores

    @property
    def busy(self) -> float:
        """The part of the time of offering that they worked: what was worked off later came before."""
        return min(1.0, self.busy_s / self.offered_s)

    @property
    def frame_s(self) -> float:
        """Processor time for each frame that was forwarded, work on lost ones included."""
        return self.busy_s / self.forwarded

    def budget_s(self, load_pps: float) -> float:
        """Return the processor time for a frame that `load_pps` per direction leaves."""
        return len(self.cores) / (load_pps * self.ways)

    def cores_needed(self, load_pps: float) -> int:
        """Return how many such cores `load_pps` per direction takes."""
        return math.ceil(self.frame_s * load_pps * self.ways - 1e-9)

    @property
    def capacity_pps(self) -> float:
        """Load per direction that fills the cores at this time for a frame."""
        return len(self.cores) / (self.frame_s * self.ways)

    @property
    def taken_s(self) -> float:
        """Time that the machine kept from the device."""
        return self.steal_s + self.waited_s

    def frame_size_for(self, link: str, line_share: float, above: int) -> int | None:
        """Return the smallest common frame size whose share of line rate fits the cores; None where none does.

        Args:
            link: the link whose line rate is meant.
            line_share: the load as a share of line rate.
            above: the frame size that did not fit.
        """
        sizes = [size for size in COMMON_FRAME_SIZES if above < size <= FRAME_SIZE_MAX]
        return next((size for size in sizes if line_rate(link, size).pps * line_share <= self.capacity_pps), None)


def device_cores(account: Account) -> DeviceCores | None:
    """Return the device's cores; None where they were not accounted or nothing was forwarded."""
    cores = account.cores("device")
    if not cores or not account.received:
        return None
    busy = {core.core: core.user_s + core.system_s + core.softirq_s for core in cores}
    idle_s = _polled_in_vain_s(account)
    busy = {core: max(0.0, spent - idle_s / len(busy)) for core, spent in busy.items()}
    offered = _offered_s(account)
    given = {core.core: max(offered[core.core] - core.steal_s, 1e-9) for core in cores}
    made = DeviceCores(
        cores=tuple(busy),
        full=tuple(core for core in busy if busy[core] >= SATURATED * given[core]),
        busy_s=sum(busy.values()),
        wall_s=sum(core.wall_s for core in cores),
        offered_s=sum(offered.values()),
        steal_s=sum(core.steal_s for core in cores),
        waited_s=kept_waiting_s(account.threads()),
        forwarded=account.received,
        ways=len(account.flows),
    )
    return made if made.busy_s > 0 else None


def _offered_s(account: Account) -> dict[int, float]:
    """Return for how long frames were offered while each of the device's cores was accounted."""
    offered: dict[int, float] = {}
    for trial in account.trials:
        for core in (one for one in trial.cores if one.role == "device"):
            offered[core.core] = offered.get(core.core, 0.0) + min(core.wall_s, trial.offered_for_s)
    return offered


def _polled_in_vain_s(account: Account) -> float:
    """Return how long the device's polling threads found nothing to do, by their own counters."""
    return sum(one.cpu_s - one.worked_s for one in account.threads("device") if one.worked_s is not None)


def named(cores: tuple[int, ...]) -> str:
    """Return `device core 0`, `device cores 0, 2`."""
    return f"device core{'s' if len(cores) > 1 else ''} {', '.join(map(str, cores))}"
