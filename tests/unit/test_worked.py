"""What polling threads had frames for: a share of their time, and cycles a frame where they count cycles."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_nfv.deployment.device import _worked
from pytest_nfv.model.trial import CoreUse, Direction, FlowCounts, ThreadUse, TrialResult, TrialSpec
from pytest_nfv.records.account import Account
from pytest_nfv.records.core_table import core_lines
from pytest_nfv.records.reading import Node
from pytest_nfv.records.trial_json import decode_trial, encode_trial
from pytest_nfv.vswitches.protocol import PollCycles

NAMES = {7: "pmd-c00/id:8", 8: "vnf0 python", 9: "vnf1 rte-worker-1"}
THREADS = tuple(ThreadUse("device", name, 0.5, 0.25) for name in NAMES.values())
BEFORE = {7: PollCycles(100, 1000), 8: PollCycles(5, 10, counted=False, held_ns=10**9)}
AFTER = {7: PollCycles(400, 2000), 8: PollCycles(7, 20, counted=False, held_ns=3 * 10**9), 9: PollCycles(10, 20)}


def test_each_threads_share_and_cycles_are_those_of_the_trial() -> None:
    switch, ours, late = _worked(THREADS, NAMES, BEFORE, AFTER)
    assert [switch.worked_s, ours.worked_s] == pytest.approx([0.5 * 0.3, 0.5 * 0.2])
    assert (switch.worked_cycles, ours.worked_cycles) == (300, None), "ours counts ns"
    assert (switch.held_s, ours.held_s) == (None, 2.0)
    assert (late.worked_s, late.worked_cycles) == (None, None), "what it did before the trial is not known"


def test_another_threads_name_is_not_taken_for_the_devices() -> None:
    other = ThreadUse("other", "pmd-c00/id:8", 0.5, 0.0)
    assert _worked((other,), NAMES, BEFORE, AFTER) == (other,)


def trial() -> TrialResult:
    return TrialResult(
        TrialSpec(64, 1000.0, 1.0),
        (FlowCounts(Direction(0, 1), 1000, 1000, 100),),
        1.0,
        cores=(CoreUse("device", 0, 1.0, 0.9, 0.0, 0.0, 0.0),),
        threads=(*_worked(THREADS, NAMES, BEFORE, AFTER), ThreadUse("generator", "generator", 0.9, 0.0)),
    )


def test_cycles_a_frame_stand_beside_the_time_of_each_component_that_counts_them() -> None:
    lines = {line.split()[0]: line for line in core_lines(Account((1, 2), (trial(), trial())))}
    # Of 300 cycles for 100 frames, others had a third: it ran for 500 ms, and waited for its core for 250 ms.
    assert lines["switch"].endswith("1.5 ms, 2 cycles"), lines["switch"]
    for name in ("vnf0", "vnf1", "generator"):
        assert "cycles" not in lines[name]


def test_a_record_keeps_them_and_older_ones_have_none() -> None:
    made = trial()
    encoded = encode_trial(made)
    assert decode_trial(Node(encoded)).threads == made.threads
    for thread in encoded["threads"]:
        del thread["worked_cycles"], thread["held_s"]
    assert decode_trial(Node(encoded)).threads == tuple(
        replace(one, worked_cycles=None, held_s=None) for one in made.threads
    )
