"""What network functions ask of this machine: tried, named, and required where the run says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_nfv.deployment import capabilities
from pytest_nfv.deployment.vnf_capabilities import CAPABILITIES
from pytest_nfv.errors import CapabilityMissing
from pytest_nfv.hosts import userns

pytestmark = [
    pytest.mark.skipif(not userns.privileged(), reason="control groups and bpf(2) take root: run as root"),
    pytest.mark.usefixtures("nothing_left"),
]


@pytest.mark.parametrize("name", CAPABILITIES)
def test_what_is_there_is_found(name: str, lacks: Callable[[CapabilityMissing], None]) -> None:
    try:
        assert capabilities.probe(name)
    except CapabilityMissing as missing:
        if missing.capability != name:
            raise
        lacks(missing)


@pytest.mark.parametrize(("name", "remedy"), [("nftables", "nftables"), ("lxc", "lxc")])
def test_what_is_not_installed_names_its_package(
    name: str, remedy: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CapabilityMissing, match=rf"^{name}: .* not installed; apt-get install {remedy}$"):
        capabilities.probe(name)
