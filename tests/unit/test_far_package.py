"""What is said where a far host's package is missing or of another version; its Python is a script of the test."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from pytest_nfv import __version__
from pytest_nfv.deployment import deploy
from pytest_nfv.deployment.across import Labs
from pytest_nfv.deployment.device import Part
from pytest_nfv.deployment.far_device import FarDevice
from pytest_nfv.deployment.plan import Placement
from pytest_nfv.deployment.standing import Standing
from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.hosts.agent_link import FarLink
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.provision import far_version
from pytest_nfv.model.topology import P2P, VSwitch

PART = Part(P2P(VSwitch("linux-bridge")), 1500, (0,))
RUN = "run01"
PROVISION = "run: python -m pytest_nfv provision root@dut.example:2222"
MISSING = {"missing": ["netns", "no network namespaces", "run as root"]}


class Far(LocalHost):
    """This machine, which says that it is another one, and that this is its Python."""

    def __init__(self, python: Path) -> None:
        super().__init__(name="dut1")
        self._python = python

    @property
    def address(self) -> str:
        return "root@dut.example:2222"

    @property
    def python(self) -> str:
        return str(self._python)


def far(folder: Path, *answers: dict[str, Any], then: str = "") -> Far:
    """Return one whose processes give these answers, and then do something."""
    script = folder / "python"
    text = "".join(f"echo '{json.dumps(answer)}'\n" for answer in answers)
    script.write_text(f'#!/bin/sh\n[ "$4" = reap ] && exit 9\n{text}{then}\ncat > /dev/null\n')
    script.chmod(0o755)
    return Far(script)


def link(host: Far) -> FarLink:
    return FarLink(host, RUN)


def device(host: Far) -> FarDevice:
    return FarDevice(host, RUN, PART)


both = pytest.mark.parametrize("start", [link, device])
Start = Callable[[Far], Any]


@both
def test_no_python_there(start: Start) -> None:
    with pytest.raises(DeploymentError, match="No such file or directory") as caught:
        start(Far(Path("/nonexistent/python")))
    assert str(caught.value).endswith(f"pytest-nfv is not on dut1; {PROVISION}")


@both
def test_no_package_there(start: Start, tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="No module named 'pytest_nfv'") as caught:
        start(far(tmp_path, then="echo \"No module named 'pytest_nfv'\" >&2; exit 1"))
    assert str(caught.value).endswith(f"pytest-nfv is not on dut1; {PROVISION}")


@both
def test_other_trouble_is_not_for_provision(start: Start, tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="the disk is full") as caught:
        start(far(tmp_path, then="echo the disk is full >&2; exit 1"))
    assert "provision" not in str(caught.value)


@both
def test_other_version_there(start: Start, tmp_path: Path) -> None:
    told = {"version": "0.0.1", "pid": 1, "rootless": False, "directory": "/run/x"}
    with pytest.raises(DeploymentError, match=r"dut1 has pytest-nfv 0\.0\.1 at .*/python, and here is ") as caught:
        start(far(tmp_path, {"ok": told}))
    assert str(caught.value).endswith(PROVISION)


@both
def test_what_it_lacks_names_it(start: Start, tmp_path: Path) -> None:
    with pytest.raises(CapabilityMissing, match="netns: no network namespaces on dut1; run as root"):
        start(far(tmp_path, MISSING))


def test_what_it_lacks_later_names_it(tmp_path: Path) -> None:
    told = {"version": __version__, "pid": 1, "rootless": False, "directory": "/run/x"}
    made = link(far(tmp_path, {"ok": told}, MISSING, {"error": "refused"}, then="read a; read b; read c; exit 1"))
    with pytest.raises(CapabilityMissing, match="no network namespaces on dut1;"):
        made.ask("namespace", role="gen")
    with pytest.raises(DeploymentError, match="on dut1: refused"):
        made.ask("namespace", role="gen")
    with pytest.raises(DeploymentError, match=r"could not be put back: .*could not be reaped"):
        made.close()
    with pytest.raises(CapabilityMissing, match="no network namespaces on dut1;"):
        device(far(tmp_path, {"ok": told}, MISSING))


def test_far_version(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="pytest-nfv is not there; run: python -m") as caught:
        far_version(Far(tmp_path / "none"))
    assert str(caught.value).endswith(PROVISION)


def test_first_error_is_told_where_it_cannot_be_taken_down_either(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="the disk is full") as caught:
        device(far(tmp_path, then="echo the disk is full >&2; exit 1"))
    assert "and then: the device on dut1 could not be taken down: " in caught.value.whole


class Unreached(Far):
    """Is reached until its Python is asked for once more."""

    asked = 0

    @property
    def python(self) -> str:
        self.asked += 1
        if self.asked > 1:
            raise DeploymentError("dut1: cannot connect")
        return super().python


def test_host_that_is_out_of_reach_when_it_is_to_be_put_back(tmp_path: Path) -> None:
    told = {"version": __version__, "pid": 1, "rootless": False, "directory": "/run/x"}
    made = link(Unreached(Path(far(tmp_path, {"ok": told}, then="read a; exit 1").python)))
    with pytest.raises(DeploymentError, match=r"run01 on dut1 .*could not be reaped: dut1: cannot connect"):
        made.close()
    with pytest.raises(DeploymentError, match="no version is told") as caught:
        device(Unreached(Path(far(tmp_path, {"error": "no version is told"}, then="cat; exit 1").python)))
    assert "could not be reaped: dut1: cannot connect" in caught.value.whole


def test_deployment_tells_what_it_failed_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def across(placement: Placement, labs: Labs, undo: ExitStack) -> Standing:
        undo.callback(down)
        raise DeploymentError("the switch did not come up")

    def down() -> None:
        raise DeploymentError("a namespace stays")

    monkeypatch.setattr(deploy, "across", across)
    with pytest.raises(DeploymentError, match="the switch did not come up") as caught:
        deploy.Deployment(cast(Placement, None), cast(Labs, None))
    assert caught.value.whole == "the switch did not come up\nand then: a namespace stays"
