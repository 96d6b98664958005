"""Processor time of the cores and threads behind a measurement."""

from __future__ import annotations

from pytest_nfv.model.trial import CoreUse
from pytest_nfv.records.account import Account
from pytest_nfv.records.text import table
from pytest_nfv.records.wording import numbered, percent, span


def core_lines(account: Account) -> list[str]:
    """Return what cores and threads did, where it was accounted."""
    lines = []
    cores = account.cores()
    if cores:
        wall = span(max(core.wall_s for core in cores))
        lines.append(f"  cores, over {wall} ({numbered(account.numbers)})")
        lines += table((), [_core(core) for core in cores], left=(0,), indent=4)
    threads = [
        [
            f"{one.role} thread {one.name}",
            f"{span(one.cpu_s)} on a core",
            f"kept waiting for one {span(one.run_delay_s)}",
        ]
        for one in account.threads()
    ]
    return lines + table((), threads, left=(0,), indent=4)


def _core(core: CoreUse) -> list[str]:
    parts = (("user", core.user_s), ("system", core.system_s), ("softirq", core.softirq_s))
    shares = ", ".join(f"{name} {percent(part / core.wall_s)}" for name, part in parts)
    return [f"{core.role} core {core.core}", f"{percent(core.busy)} busy", f"{shares}; steal {span(core.steal_s)}"]
