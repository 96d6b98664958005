"""The readiness of this machine, whatever it is: cores by name, by testbed, and from the command line."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from pytest_nfv.__main__ import main
from pytest_nfv.deployment.readiness import SEVERITIES
from pytest_nfv.deployment.ready import of_testbed, roles_named
from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.testbed import built_in

CORES = sorted(os.sched_getaffinity(0))

two_cores = pytest.mark.skipif(len(CORES) < 2, reason="device and generator take a core each: give us two")


@two_cores
def test_cores_that_are_named_and_those_that_a_run_would_take() -> None:
    chosen = roles_named("", "")
    assert not set(chosen.device) & set(chosen.generator)
    other = roles_named(str(CORES[-1]), str(CORES[0]))
    assert (other.device, other.generator) == ((CORES[-1],), (CORES[0],))


@pytest.mark.parametrize("wrong", ["x", "-1", "4096"])
def test_lists_that_are_none_and_cores_that_are_not_ours(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="accepted: "):
        roles_named(wrong, "")


def test_a_testbed_elsewhere_or_without_cores_has_no_findings_here() -> None:
    assert of_testbed(built_in()["sim"]) == ()
    assert of_testbed(replace(built_in()["local"], device_cores=(4096,))) == ()


@two_cores
def test_what_a_run_may_put_right_is_left_out() -> None:
    settings = {one.setting for one in of_testbed(built_in()["local"])} - {""}
    left = of_testbed(replace(built_in()["local"], may_change=frozenset(settings)))
    assert not settings & {one.setting for one in left}


@two_cores
def test_the_command_line_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ready", "--json", "--interface", "lo"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert all(one["severity"] in SEVERITIES and one["text"] and one["remedy"] for one in found)
    assert main(["ready"]) == 0
    assert capsys.readouterr().out.startswith("read")
    assert main(["ready", "--device-cores", "x"]) == 1
    assert "cores 'x': accepted: a list such as 2-3,8" in capsys.readouterr().err
