"""The table of what network functions ask of a machine."""

from __future__ import annotations

import os
from importlib import import_module

import pytest

from pytest_nfv.deployment import capabilities
from pytest_nfv.deployment.cores import CAPABILITY as CORES
from pytest_nfv.deployment.vnf_capabilities import CAPABILITIES


@pytest.mark.parametrize("name", CAPABILITIES)
def test_each_is_known_and_its_probe_is_there(name: str) -> None:
    meaning, path = CAPABILITIES[name]
    assert capabilities.known()[name] == meaning
    module, _, function = path.partition(":")
    assert callable(getattr(import_module(module), function))


def test_their_names_are_nobody_elses() -> None:
    machine_and_switches = set(capabilities.known()) - set(CAPABILITIES)
    assert {"netns", "two-cores", "linux-bridge", "testpmd"} <= machine_and_switches


@pytest.mark.parametrize("name", ["two-cores", CORES])
def test_cores_are_tried_with_a_topology_that_can_be_placed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)))
    assert capabilities.probe(name) == "4 cores"
