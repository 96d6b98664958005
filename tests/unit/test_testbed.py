"""Testbed files: what is accepted, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.testbed import built_in
from pytest_nfv.model.testbed_file import load


def write(folder: Path, text: str) -> Path:
    path = folder / "lab.toml"
    path.write_text(text)
    return path


def test_a_file_declares_testbeds(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
[testbed.bench]
kind = "local"
link = "1GbE"
device_cores = [0]
generator_cores = [1]
mtu = 9000

[testbed.model]
kind = "sim"
simulation = { capacity = "12.5Mpps", noise = "0.3%", seed = 7 }
""",
    )
    found = load(path)
    assert str(found["bench"].link) == "1GbE"
    assert found["bench"].device_cores == (0,)
    assert found["bench"].frame_size_max == 9018
    simulation = found["model"].simulation
    assert simulation is not None
    assert simulation.capacity_pps == 12.5e6


def test_shipped_examples_are_valid() -> None:
    examples = sorted((Path(__file__).parents[2] / "fixtures" / "testbeds").glob("*.toml"))
    assert examples
    assert all(load(path) for path in examples)


def test_built_in_testbeds_need_no_file() -> None:
    assert set(built_in()) == {"local", "sim"}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[testbed.a]\nkind = 'local'\nlnik = '1GbE'\n", 3, "unknown key 'lnik'"),
        ("[testbed.a]\nkind = 'local'\nlink = '0GbE'\n", 3, "the speed is zero"),
        ("[testbed.a]\nkind = 'local'\nlink = 10\n", 3, "10 is not a text in quotes"),
        ("[testbed.a]\nkind = 'local'\ndevice_cores = 0\n", 3, "0 is not a list"),
        ("[testbed.a]\nkind = 'local'\ndevice_cores = [-1]\n", 3, "accepted: 0 or more"),
        ("[testbed.a]\nkind = 'local'\nmtu = '1500'\n", 3, "not a whole number"),
        ("[testbed.a]\nkind = 'local'\nmtu = 10\n", 3, "mtu = 10: accepted"),
        ("[testbed.a]\nkind = 'cloud'\n", 2, "kind = 'cloud': accepted: local, sim, lab"),
        ("[testbed.a]\nlink = '1GbE'\n", 1, "kind is missing"),
        ("[testbed.a]\nkind = 'local'\ndevice_cores = [1]\ngenerator_cores = [1]\n", 1, "shares core 1"),
        ("[testbed.local]\nkind = 'local'\n", 1, "other than the built-in"),
        ("[testbed.a]\nkind = 'sim'\nsimulation = { speed = 1 }\n", 3, "unknown key 'speed'"),
        ("[testbed.a]\nkind = 'sim'\n", 1, "simulation is missing; accepted: { capacity"),
        ("[testbeds.a]\nkind = 'sim'\n", 1, "unknown key 'testbeds'"),
        ("", 0, "at least one table"),
        ("[testbed", 0, "not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as raised:
        load(path)
    message = str(raised.value)
    assert str(path) in message
    assert says in message
    if line:
        assert f"line {line}" in message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path / "none.toml")
