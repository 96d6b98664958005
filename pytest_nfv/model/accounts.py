"""What the machine took from the device: arithmetic on processor accounts, for verdicts and explanations."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_nfv.model.trial import CoreUse, ThreadUse


def kept_waiting_s(cores: Iterable[CoreUse], threads: Iterable[ThreadUse]) -> float:
    """Return how long others had the device's cores while a thread of the device waited for one.

    What others took counts only as far as a device thread was waiting meanwhile (its run delay); and the device's
    threads also wait for each other, which is their own business.
    """
    busy_s = sum(core.user_s + core.system_s + core.softirq_s for core in cores if core.role == "device")
    own = [thread for thread in threads if thread.role == "device"]
    if not own:
        return 0.0
    others_s = busy_s - sum(thread.cpu_s for thread in own)
    return min(max(0.0, others_s), sum(thread.run_delay_s for thread in own))


def stolen_from_device_s(cores: Iterable[CoreUse], threads: Iterable[ThreadUse]) -> float:
    """Return how long the device was kept off its cores: by the hypervisor (steal, whole), or by others."""
    accounts = [core for core in cores if core.role == "device"]
    return sum(core.steal_s for core in accounts) + kept_waiting_s(accounts, threads)
