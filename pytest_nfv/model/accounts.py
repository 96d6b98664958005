"""What the machine took from the device: arithmetic on processor accounts, for verdicts and explanations."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_nfv.model.trial import CoreUse, ThreadUse

OTHER = "other"
"""Role of a thread that is no part of the trial and ran on a core of the device."""


def kept_waiting_s(threads: Iterable[ThreadUse]) -> float:
    """Return how long others had the device's cores while a thread of the device waited for one.

    What others ran there counts only as far as device threads were runnable meanwhile (their run delay); and the
    device's threads also wait for each other, which is their own business. All from the threads' own accounts, in
    ns: the cores' come in ticks of 10 ms, too coarse for a ring that fills in 2.
    """
    listed = list(threads)
    others_s = sum(thread.cpu_s for thread in listed if thread.role == OTHER)
    return min(others_s, sum(thread.run_delay_s for thread in listed if thread.role == "device"))


def stolen_from_device_s(cores: Iterable[CoreUse], threads: Iterable[ThreadUse]) -> float:
    """Return how long the device was kept off its cores: by the hypervisor (steal, whole), or by others."""
    accounts = [core for core in cores if core.role == "device"]
    return sum(core.steal_s for core in accounts) + kept_waiting_s(threads)
