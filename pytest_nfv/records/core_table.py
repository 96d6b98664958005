"""Processor time of the cores and threads behind a measurement."""

from __future__ import annotations

from pytest_nfv.model.accounts import OTHER
from pytest_nfv.model.bottleneck import component_of_thread
from pytest_nfv.model.trial import CoreUse, GuestUse, ThreadUse
from pytest_nfv.records.account import Account
from pytest_nfv.records.text import table
from pytest_nfv.records.wording import numbered, percent, span
from pytest_nfv.units import Frequency

OTHERS_FROM_S = 1e-3
OTHERS_MOST = 5
OURS_MOST = 8
_WITH_VNFS = 3  # components: generator, switch, and a VNF at least


def core_lines(account: Account) -> list[str]:
    """Return what cores and threads did, where it was accounted."""
    lines = []
    cores = account.cores()
    if cores:
        wall = span(max(core.wall_s for core in cores))
        lines.append(f"  cores, over {wall} ({numbered(account.numbers)})")
        lines += table((), [_core(core) for core in cores], left=(0,), indent=4)
    lines += _component_lines(account)
    lines += table((), [_thread(one) for one in _told(account)], left=(0,), indent=4)
    return lines + table((), [_guest(one) for one in account.guests()], left=(0,), indent=4)


def _component_lines(account: Account) -> list[str]:
    """Return what switch, VNFs and generator cost, where there are VNFs: a component's threads, summed."""
    parts: dict[str, list[ThreadUse]] = {}
    for one in account.threads():
        if one.role != OTHER:
            parts.setdefault(component_of_thread(one), []).append(one)
    if len(parts) < _WITH_VNFS or not account.received:
        return []
    head = ("component", "on a core", "in the kernel", "with frames", "kept waiting", "a frame forwarded")
    return table(
        head, [_component(name, threads, account.received) for name, threads in parts.items()], left=(0,), indent=4
    )


def _component(name: str, threads: list[ThreadUse], forwarded: int) -> list[str]:
    cpu_s = sum(one.cpu_s for one in threads)
    work_s = sum(one.cpu_s if one.worked_s is None else one.worked_s for one in threads)
    told = [one.system_s for one in threads if one.system_s is not None]
    polls = any(one.worked_s is not None for one in threads)
    return [
        name,
        span(cpu_s),
        percent(min(1.0, sum(told) / cpu_s)) if told and cpu_s else "-",
        percent(work_s / cpu_s) if polls and cpu_s else "-",
        span(sum(one.run_delay_s for one in threads)),
        span(work_s / forwarded) + _cycles(threads, forwarded),
    ]


def _cycles(threads: list[ThreadUse], forwarded: int) -> str:
    """Return the cycles a frame, where a thread counts them: those with frames, lost ones among these.

    They are of the time stamp counter, which goes on while others have the core: of those, the thread's own part.
    """
    told = [
        one.worked_cycles * one.cpu_s / (one.cpu_s + one.run_delay_s)
        for one in threads
        if one.worked_cycles is not None and one.cpu_s > 0
    ]
    return f", {sum(told) / forwarded:,.0f} cycles" if told else ""


def _core(core: CoreUse) -> list[str]:
    parts = (("user", core.user_s), ("system", core.system_s), ("softirq", core.softirq_s))
    shares = ", ".join(f"{name} {percent(part / core.wall_s)}" for name, part in parts)
    clock = "" if core.frequency_hz is None else f"; at {Frequency(core.frequency_hz)}"
    told = f"{shares}; steal {span(core.steal_s)}{clock}"
    return [f"{core.role} core {core.core}", f"{percent(core.busy)} busy", told]


def _thread(one: ThreadUse) -> list[str]:
    if one.role == OTHER:
        return [f"{one.name}, not ours", f"{span(one.cpu_s)} on the device's core", ""]
    waited = f"kept waiting for one {span(one.run_delay_s)}"
    on_core = f"{span(one.cpu_s)} on a core"
    if one.worked_s is not None and one.cpu_s > 0:
        on_core += f", {percent(one.worked_s / one.cpu_s)} of it with frames"
    return [f"{one.role} thread {one.name}", on_core, waited]


def _guest(one: GuestUse) -> list[str]:
    parts = (
        *(("user", one.user_s), ("system", one.system_s), ("softirq", one.softirq_s)),
        *(("idle", one.idle_s), ("steal", one.steal_s)),
    )
    said = ", ".join(f"{name} {span(part)}" for name, part in parts)
    return [f"guest {one.name}", f"{percent(one.busy)} busy by its own account", said]


def _told(account: Account) -> list[ThreadUse]:
    """Return the threads worth a line: ours, of many those that ran, and of the others the few that took most."""
    others = sorted(account.threads(OTHER), key=lambda one: -one.cpu_s)
    worth = [one for one in others if one.cpu_s >= OTHERS_FROM_S][:OTHERS_MOST]
    ours = [one for one in account.threads() if one.role != OTHER]
    many = len(ours) > OURS_MOST
    return [one for one in ours if not many or one.cpu_s >= OTHERS_FROM_S] + worth
