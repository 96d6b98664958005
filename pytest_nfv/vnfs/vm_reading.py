"""What a guest's /proc says: its interfaces' counters, and what its processors did."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_nfv.errors import DeploymentError
from pytest_nfv.model.trial import GuestUse

_COLUMNS = 16  # of /proc/net/dev, eight each way
_TICKS_S = 0.01  # USER_HZ on x86, whatever the kernel's own tick


@dataclass(frozen=True, slots=True)
class NicCounters:
    """Counters of a vNIC as the guest's kernel tells them, since the guest's start.

    Attributes:
        rx_frames, tx_frames: taken in and put out; rx_octets, tx_octets: of them, without FCS.
        rx_drops, tx_drops, rx_errors, tx_errors: frames.
    """

    name: str
    rx_frames: int
    tx_frames: int
    rx_octets: int
    tx_octets: int
    rx_drops: int
    tx_drops: int
    rx_errors: int
    tx_errors: int


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """What all of a guest's virtual processors did, in seconds since its start, in steps of 10 ms.

    Attributes:
        stolen_s: time in which a virtual processor wanted to run and the host did not let it.
    """

    user_s: float
    system_s: float
    softirq_s: float
    irq_s: float
    idle_s: float
    stolen_s: float

    def since(self, before: CpuTimes, name: str) -> GuestUse:
        """Return what a guest of that name did since `before`.

        source: S16, table 2: "CPU use of the VNF".
        """
        return GuestUse(
            name,
            user_s=self.user_s - before.user_s,
            system_s=self.system_s - before.system_s + self.irq_s - before.irq_s,
            softirq_s=self.softirq_s - before.softirq_s,
            idle_s=self.idle_s - before.idle_s,
            steal_s=self.stolen_s - before.stolen_s,
        )


def nic_counters(text: str) -> dict[str, NicCounters]:
    """Read /proc/net/dev: interface to counters.

    Raises:
        DeploymentError: it is no such text.
    """
    found = {}
    try:
        for line in text.splitlines()[2:]:
            name, _, rest = line.strip().partition(":")
            numbers = [int(word) for word in rest.split()]
            if len(numbers) != _COLUMNS:
                raise ValueError(f"{len(numbers)} columns of {_COLUMNS}")
            received, sent = numbers[:8], numbers[8:]
            found[name] = NicCounters(
                name=name,
                rx_frames=received[1],
                tx_frames=sent[1],
                rx_octets=received[0],
                tx_octets=sent[0],
                rx_drops=received[3],
                tx_drops=sent[3],
                rx_errors=received[2],
                tx_errors=sent[2],
            )
    except ValueError as error:
        raise DeploymentError(f"a guest's /proc/net/dev cannot be read: {error}") from error
    return found


def cpu_times(text: str) -> CpuTimes:
    """Read the first line of /proc/stat, proc(5).

    Raises:
        DeploymentError: it is no such text.
    """
    words = text.partition("\n")[0].split()
    if words[:1] != ["cpu"] or len(words) < 9 or not all(word.isdecimal() for word in words[1:]):
        raise DeploymentError(f"a guest's /proc/stat cannot be read: {text[:80]!r}")
    user, nice, system, idle, waiting, irq, softirq, stolen = (int(word) * _TICKS_S for word in words[1:9])
    return CpuTimes(user + nice, system, softirq, irq, idle + waiting, stolen)
