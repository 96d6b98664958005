"""Lists of cores, and those that the scheduler leaves alone."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.hosts.cores import core_list, core_text, usable_cores, with_isolated


@given(st.sets(st.integers(0, 300), min_size=1))
def test_lists_are_read_as_they_are_written(cores: set[int]) -> None:
    assert core_list(core_text(cores)) == tuple(sorted(cores))


def test_isolated_cores_may_be_used_where_they_are_on_line() -> None:
    assert with_isolated([0, 1], "0-5\n", "2-3,7\n") == (0, 1, 2, 3)
    assert with_isolated([0, 1], "0-1\n", "\n") == (0, 1)
    assert with_isolated([0, 1], "", "") == (0, 1)


def test_those_that_cannot_be_had_are_left_out_and_we_stay_where_we_were(tmp_path: Path) -> None:
    allowed = os.sched_getaffinity(0)
    (tmp_path / "online").write_text("0-4095\n")
    (tmp_path / "isolated").write_text("4095\n")  # no machine of ours has as many
    assert usable_cores(tmp_path) == sorted(allowed)
    assert os.sched_getaffinity(0) == allowed
