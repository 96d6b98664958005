"""What engines tell of themselves, as a deployment asks it: whose cycles, and whose drops."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_nfv.deployment.engines import _Numpy
from pytest_nfv.deployment.guests import _Pair
from pytest_nfv.vnfs.protocol import VnicCounters
from pytest_nfv.vswitches.protocol import PollCycles


def numpy_with(worker: int) -> _Numpy:
    told = SimpleNamespace(busy_ns=3, ran_ns=10, held_ns=7)
    made = object.__new__(_Numpy)
    engine: Any = SimpleNamespace(
        counters=lambda: told, worker=lambda: worker, threads=lambda: {40_000: "sh", 12: "python3"}
    )
    made._engine = engine
    return made


def test_ids_that_began_anew_do_not_hide_which_thread_polls() -> None:
    assert numpy_with(12).poll_cycles() == {12: PollCycles(3, 10, counted=False, held_ns=7)}
    assert numpy_with(13).poll_cycles() == {}


@pytest.mark.parametrize(("own", "whole"), [({"policy": 3}, {}), ({}, {"policy": 3})])
def test_what_a_guest_tells_of_each_vnic_is_not_told_of_both_again(
    own: dict[str, int], whole: dict[str, int]
) -> None:
    nics = (VnicCounters(9, 0, dropped=own), VnicCounters(0, 6))
    machine: Any = SimpleNamespace(counters=lambda pair: nics, drops=lambda pair: {"policy": 3})
    told = _Pair(machine, 0).counters()
    assert (told.nics, told.dropped) == (nics, whole)
