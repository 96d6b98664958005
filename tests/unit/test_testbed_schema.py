"""docs/testbeds.md and the tables of keys say what the reader does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from pytest_nfv.model.testbed_file import load, read
from pytest_nfv.model.testbed_keys import HOST, LINK, PORT, TESTBED
from pytest_nfv.model.toml_file import Key
from pytest_nfv.testbeds.schema import text

DOC = Path(__file__).parents[2] / "docs" / "testbeds.md"
TABLES = {"host": HOST, "port": PORT, "link": LINK, "testbed": TESTBED}
KEYS = [pytest.param(key, id=f"{name}-{key.name}") for name, keys in TABLES.items() for key in keys]


def test_the_page_has_every_key() -> None:
    found = DOC.read_text().partition("<!-- schema -->\n\n")[2].partition("\n<!-- end of schema -->")[0]
    assert found == text(), "accepted: the output of `python -m pytest_nfv testbed schema`"


@pytest.mark.parametrize("key", KEYS)
def test_the_forms_that_are_shown_are_accepted(key: Key) -> None:
    for form in key.form.split(" or "):
        key.read(tomllib.loads(f"key = {form}")["key"])


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_needed_or_has_a_default(key: Key) -> None:
    assert key.needed != bool(key.default)


def test_defaults(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text('[host.a]\n[testbed.t]\nkind = "local"\n[testbed.s]\nkind = "sim"\nsimulation = ""\n')
    found = read(path)
    host, local, model = found.machines["a"], found.testbeds["t"], found.testbeds["s"]
    assert (host.address, host.python, host.ports, host.may_change, host.tags) == ("", "", (), frozenset(), ())
    assert (str(local.link), str(model.link), local.vswitches, local.mtu) == (
        "100MbE",
        "10GbE",
        ("linux-bridge",),
        1500,
    )


def test_the_lab_of_the_page_can_be_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", DOC.read_text(), re.DOTALL)
    (tmp_path / "lab.toml").write_text(example)
    assert load(tmp_path / "lab.toml")["dut1"].rig is not None


def test_the_examples_that_the_page_names_are_there() -> None:
    names = re.findall(r"\]\((\.\./fixtures/[^)]+)\)", DOC.read_text())
    assert {(DOC.parent / name).resolve() for name in names} == set(
        (DOC.parents[1] / "fixtures" / "testbeds").glob("*.toml")
    )
