"""The subcommands around testbed files: which host a word means, and what they print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_nfv.__main__ import main
from pytest_nfv.deployment import capabilities
from pytest_nfv.errors import CapabilityMissing, ConfigurationError
from pytest_nfv.testbeds import schema
from pytest_nfv.testbeds.hosts import named

FILE = '[host.dut1]\nssh = "nfv@192.0.2.7"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lab.toml"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize(
    ("word", "name", "found"),
    [
        ("dut1", "", ("dut1", "nfv@192.0.2.7")),
        ("root@gen1.lab:2222", "", ("gen1", "root@gen1.lab:2222")),
        ("192.0.2.8", "gen", ("gen", "192.0.2.8")),
        ("local", "here", ("here", "")),
    ],
)
def test_a_word_means_a_host(file: Path, word: str, name: str, found: tuple[str, str]) -> None:
    machine = named(word, file, name)
    assert (machine.name, machine.address) == found


def test_without_a_file_a_name_is_what_ssh_takes() -> None:
    assert named("dut1", None, "").address == "dut1"


def test_a_word_that_means_none(file: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"host 'a;b': ssh = 'a;b': accepted: .*; or one of local, dut1"):
        named("a;b", file, "")


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["testbed", "schema"]) == 0
    assert capsys.readouterr().out == schema.text()


def test_capabilities_by_name_as_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def probe(name: str) -> str:
        if name == "ovs":
            raise CapabilityMissing("ovs", "no ovs-vswitchd", "apt-get install openvswitch-switch")
        return "6.8"

    monkeypatch.setattr(capabilities, "probe", probe)
    assert main(["capabilities", "--json", "linux-bridge", "ovs"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "linux-bridge": {"found": "6.8", "missing": "", "remedy": ""},
        "ovs": {"found": "", "missing": "no ovs-vswitchd", "remedy": "apt-get install openvswitch-switch"},
    }
    assert main(["capabilities", "ovs"]) == 0
    assert capsys.readouterr().out.startswith("ovs              no   ")


def test_a_capability_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capabilities", "vpp"]) == 1
    assert "unknown capability 'vpp'; known: netns, rootless" in capsys.readouterr().err
