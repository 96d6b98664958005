"""Processor accounts: differences of counters, in seconds."""

from __future__ import annotations

import os
import time

import pytest

from pytest_nfv.hosts.accounting import (
    Accounts,
    Snapshot,
    Task,
    core_use,
    others_on,
    read_backlog_drops,
    read_cores,
    read_tasks,
    thread_use,
)
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.model.accounts import OTHER

STAT = """cpu  30 0 30 200 0 0 0 0 0 0
cpu0 10 1 20 100 5 2 30 4 0 0
cpu1 20 0 10 100 0 0 0 0 0 0
intr 12345
"""


class Files(LocalHost):
    """A host whose files are given."""

    def __init__(self, **files: str) -> None:
        super().__init__()
        self.files = files

    def read_text(self, path: str) -> str:
        name = path.strip("/").replace("/", "_")
        if name not in self.files:
            raise FileNotFoundError(path)
        return self.files[name]


def test_cores_are_read_without_their_sum() -> None:
    cores = read_cores(Files(proc_stat=STAT))
    assert sorted(cores) == [0, 1]
    assert cores[0][:8] == (10, 1, 20, 100, 5, 2, 30, 4)


def test_core_use_is_the_difference_in_seconds() -> None:
    before = Snapshot(10.0, {0: (10, 1, 20, 100, 5, 2, 30, 4)})
    after = Snapshot(12.0, {0: (60, 3, 40, 100, 5, 12, 130, 9)})
    use = core_use("device", 0, before, after, ticks_per_s=100.0)
    assert (use.role, use.core, use.wall_s) == ("device", 0, 2.0)
    assert use.user_s == pytest.approx(0.52)
    assert use.system_s == pytest.approx(0.30)
    assert use.softirq_s == pytest.approx(1.00)
    assert use.steal_s == pytest.approx(0.05)
    assert use.busy == pytest.approx(0.91)


def test_thread_use_is_in_nanoseconds() -> None:
    before = Snapshot(0.0, {}, {7: (1_000, 500)})
    after = Snapshot(1.0, {}, {7: (1_000_001_000, 2_000_500)})
    use = thread_use("device", "napi/s0", 7, before, after)
    assert use is not None
    assert (use.cpu_s, use.run_delay_s) == (1.0, 0.002)


def test_thread_that_ended_or_has_no_account_has_no_use() -> None:
    with_it, without = Snapshot(0.0, {}, {7: (1, 1)}), Snapshot(1.0, {}, {})
    assert thread_use("device", "napi/s0", 7, with_it, without) is None
    assert thread_use("device", "napi/s0", 7, without, with_it) is None


def test_backlog_drops_by_core() -> None:
    row = "00000064 0000000{drops} " + "00000000 " * 10 + "0000000{core} 00000000 00000000"
    text = "\n".join(row.format(drops=drops, core=core) for drops, core in ((3, 0), (9, 4)))
    assert read_backlog_drops(Files(proc_net_softnet_stat=text)) == {0: 3, 4: 9}
    assert read_backlog_drops(Files(proc_net_softnet_stat="00000064 00000002\n00000001 00000005\n")) == {
        0: 2,
        1: 5,
    }
    assert read_backlog_drops(Files()) == {}


def test_accounts_of_a_trial() -> None:
    host = Files(proc_stat=STAT, proc_7_schedstat="1000 10 5\n", proc_9_schedstat="0 0 0\n")
    accounts = Accounts(
        device_cores=(0,),
        generator_cores=(1, 5),
        device_threads={7: "napi/s0"},
        generator_threads={9: "generator"},
        host=host,
    )
    accounts.start()
    host.files["proc_stat"] = STAT.replace("cpu1 20 0 10", f"cpu1 {20 + os.sysconf('SC_CLK_TCK')} 0 10")
    host.files["proc_7_schedstat"] = "500001000 2000010 9\n"
    del host.files["proc_9_schedstat"]
    cores, threads = accounts.stop()
    assert [(use.role, use.core, use.user_s) for use in cores] == [("device", 0, 0.0), ("generator", 1, 1.0)]
    assert [(use.role, use.name, use.cpu_s, use.run_delay_s) for use in threads if use.role != OTHER] == [
        ("device", "napi/s0", 0.5, 0.002)
    ]


def test_accounts_of_this_machine() -> None:
    accounts = Accounts(
        device_cores=sorted(os.sched_getaffinity(0))[:1],
        generator_cores=(),
        device_threads={},
        generator_threads={os.getpid(): "generator"},
    )
    accounts.start()
    enough = time.process_time() + 0.1  # many ticks: a running thread's account moves at ticks only
    while time.process_time() < enough:
        pass
    cores, threads = accounts.stop()
    assert len(cores) == 1
    assert cores[0].wall_s > 0
    assert all(use.cpu_s > 0 for use in threads)


def test_what_ran_on_the_devices_core_and_is_not_ours_is_named() -> None:
    before = Snapshot(0.0, {}, tasks={1: Task("kworker/0:1", 0, 5_000_000), 7: Task("napi/s0", 0, 0)})
    after = Snapshot(
        1.0,
        {},
        tasks={
            1: Task("kworker/0:1", 0, 8_000_000),
            2: Task("python", 0, 20_000_000),  # new
            3: Task("elsewhere", 1, 90_000_000),
            4: Task("short", 0, 50_000),
            7: Task("napi/s0", 0, 400_000_000),
        },
    )
    found = others_on([0], {7}, before, after)
    assert [(one.role, one.name, one.cpu_s) for one in found] == [
        (OTHER, "python (2)", 0.02),
        (OTHER, "kworker/0:1 (1)", 0.003),
    ]


def test_every_thread_of_this_machine_is_seen() -> None:
    found = read_tasks()
    mine = found[os.getpid()]
    assert mine.cpu_ns > 0
    assert mine.core in range(os.cpu_count() or 1)
