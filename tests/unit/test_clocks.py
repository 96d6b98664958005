"""At which frequency a core was clocked, from made counters and made files."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_nfv.hosts.accounting import Accounts
from pytest_nfv.hosts.clocks import Clocks, Cycles, read_cycles
from tests.unit.cpu_tree import CPU, make_tree, write

WRAP = 1 << 64


class Counters:
    """Readings, one after the other."""

    def __init__(self, *readings: Cycles | None) -> None:
        self.left = list(readings)

    def __call__(self, core: int, root: Path) -> Cycles | None:
        return self.left.pop(0)


def test_cycles_tell_the_mean_while_awake(tmp_path: Path) -> None:
    # Two seconds at a nominal 2 GHz, awake for half of it, at 1.6 GHz; one of the counters went round.
    counters = Counters(
        Cycles(10.0, 5, WRAP - 1_000_000_000, 7), Cycles(12.0, 4_000_000_005, 1_000_000_000, 1_600_000_007)
    )
    clocks = Clocks([3], tmp_path, counters)
    clocks.start()
    assert clocks.stop() == {3: pytest.approx(1.6e9)}


def test_files_tell_where_cycles_do_not(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "root")
    cpufreq = f"{CPU}/cpu0/cpufreq"
    clocks = Clocks([0, 1, 9], tree)
    clocks.start()
    write(tree, {f"{cpufreq}/cpuinfo_cur_freq": "1500000"})
    assert clocks.stop() == {0: 2.4e9, 1: 2.4e9}, "core 9 does not tell"
    (tree / cpufreq / "scaling_cur_freq").unlink()
    write(tree, {f"{cpufreq}/scaling_cur_freq": "<unknown>"})
    assert clocks.stop()[0] == 1.5e9
    write(tree, {f"{cpufreq}/cpuinfo_avg_freq": "1400000"})
    assert clocks.stop()[0] == 1.4e9


def test_a_core_that_slept_throughout_is_told_by_files(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "root")
    clocks = Clocks([0], tree, Counters(Cycles(1.0, 0, 5, 5), Cycles(2.0, 9, 5, 5)))
    clocks.start()
    assert clocks.stop() == {0: 2.4e9}


def test_counters_that_are_kept_from_us(tmp_path: Path) -> None:
    assert read_cycles(0, tmp_path) is None
    (tmp_path / "dev/cpu/0").mkdir(parents=True)
    (tmp_path / "dev/cpu/0/msr").write_bytes(bytes(20))
    assert read_cycles(0, tmp_path) is None


def test_the_clock_is_in_the_accounts_of_a_trial(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "root", cores=(0,))
    accounts = Accounts(device_cores=(0,), generator_cores=(), device_threads={}, root=tree)
    accounts.start()
    cores, _ = accounts.stop()
    assert [core.frequency_hz for core in cores] == [2.4e9]
