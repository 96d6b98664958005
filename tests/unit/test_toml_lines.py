"""Lines of keys: what the scan says against where each value, all of them different, stands in the text."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_nfv.model.toml_lines import Path, key_lines

DRAW = st.DrawFn
NOISE = ["", "# [host.x]", '  # p0 = "v", ]', "\t", "# '''", '# """', "#]}"]
KEYS = ["{}", "k-{}", '"q.{}"', "'l [{}]'", '"\\"{}"', '"\\u00e9{}"']
VALUES = [
    '"v{}"',
    "'v{}'",
    '"v{} # no [x] {{"',
    '"v{}\\\\"',
    '"""v{}\n[no]\nno = 1\n"""',
    "'''v{}\n# no''\n'''",
    '"v{}\\""',
    '"""v{}"""""',
    "'''v{}''''",
]
OTHER = ["1", "-2.5e3", "true", "1979-05-27 07:32:00Z", "[]", "{}", "[ # none\n]", "07:32:00", '""', "0x1F"]


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield each of the numbered texts with its path, as tomllib has them."""
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(one, (*path, key))
    elif isinstance(value, str) and value.startswith("v"):
        yield path, value


@st.composite
def documents(draw: DRAW) -> str:
    """Return a TOML text; keys and values are numbered, so that none is there twice."""
    number = count()
    space = st.sampled_from(["", " ", "  ", "\t"])

    def key() -> str:
        return draw(st.sampled_from(KEYS)).format(next(number))

    def dotted(most: int) -> str:
        dot = f"{draw(space)}.{draw(space)}"
        return dot.join(key() for _ in range(draw(st.integers(1, most))))

    def gap() -> str:
        lines = draw(st.lists(st.sampled_from(NOISE), max_size=2))
        return "".join(f"{line}\n" for line in ["", *lines]) if draw(st.booleans()) else draw(space)

    def value(depth: int) -> str:
        kind = draw(st.integers(0, 5 if depth else 3))
        if kind == 4:
            items = [gap() + value(depth - 1) + gap() for _ in range(draw(st.integers(1, 3)))]
            return f"[{','.join(items)}{draw(st.sampled_from(['', ',']))}{gap()}]"
        if kind == 5:
            return "{ " + ", ".join(pair(depth - 1) for _ in range(draw(st.integers(1, 3)))) + " }"
        return draw(st.sampled_from(OTHER)) if kind == 3 else draw(st.sampled_from(VALUES)).format(next(number))

    def pair(depth: int) -> str:
        return f"{dotted(3)}{draw(space)}={draw(space)}{value(depth)}"

    def body() -> str:
        lines = draw(st.lists(st.sampled_from(["pair", *NOISE]), max_size=4))
        return "".join(f"{pair(2) + draw(space) if line == 'pair' else line}\n" for line in lines)

    text, heads = body(), [""]
    for _ in range(draw(st.integers(0, 5))):
        outer = draw(st.sampled_from(heads))
        head = f"{outer}.{dotted(2)}" if outer else dotted(2)
        array = draw(st.booleans())
        for _ in range(draw(st.integers(1, 3)) if array else 1):
            text += f"{draw(space)}[[{head}]] # x\n" if array else f"[{draw(space)}{head} ]\n"
            text += body()
        heads.append(head)
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@settings(deadline=None)
@given(documents())
def test_every_value_is_found_on_its_line(text: str) -> None:
    lines = key_lines(text)
    for path, value in leaves(tomllib.loads(text)):
        token = re.compile(rf"""["']{re.match(r"v[0-9]+", value)[0]}(?![0-9])""")  # type: ignore[index]
        assert [lines[path]] == [n for n, line in enumerate(text.split("\n"), 1) if token.search(line)]


@settings(deadline=None)
@given(documents())
def test_every_table_has_a_line_not_after_what_is_in_it(text: str) -> None:
    lines = key_lines(text)
    paths = {path[:size] for path, _ in leaves(tomllib.loads(text)) for size in range(1, len(path))}
    assert paths <= set(lines)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("host",), 2),
        (("host", "dut1"), 4),
        (("host", "dut1", "ports"), 2),
        (("host", "dut1", "ports", "p0"), 2),
        (("host", "dut1", "ports", "p0", "pci"), 3),
        (("host", "dut1", "ssh"), 5),
        (("host", "dut1", "cores", "1"), 6),
        (("link",), 8),
        (("link", 0), 8),
        (("link", 0, "ends", 1), 11),
        (("link", 1), 13),
        (("link", 1, "ends", 0), 14),
    ],
)
def test_heads_dotted_keys_and_arrays(path: Path, line: int) -> None:
    text = """\
# a table whose outer one comes later
[host.dut1.ports.p0]
pci = "0000:3b:00.0"
[host.dut1]   # pci = "x"
ssh = "dut1"
cores = { 0 = [1], 1 = [2] }

[[link]]
ends = [
  # "dut1.p0"
  "gen1.p0", "dut1.p0",
]
[[link]]
ends = ["gen1.p1", "dut1.p1"]
"""
    tomllib.loads(text)
    assert key_lines(text)[path] == line
