"""The reference of options, markers and fixtures, made from the code that defines them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest_nfv
from pytest_nfv.deployment import capabilities
from pytest_nfv.deployment.traffic import Traffic
from pytest_nfv.plugin import fixtures
from pytest_nfv.plugin.markers import MARKERS
from pytest_nfv.plugin.options import OPTIONS


def text() -> str:
    """Return the reference as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Reference"
    yield ""
    yield "Made from the code by `python -m pytest_nfv reference`; CI fails where the two differ."
    yield ""
    yield "## Options"
    yield ""
    yield "The command line wins over the environment, that over the ini file, that over the default."
    yield ""
    yield "| option | ini | environment | default | meaning |"
    yield "|---|---|---|---|---|"
    for option in OPTIONS:
        flag = f"`{option.flag}{' ' + option.form if option.form else ''}`"
        default = f"`{option.default}`" if option.default else ""
        yield f"| {flag} | `{option.ini}` | `{option.env}` | {default} | {option.help} |"
    yield ""
    yield "## Markers"
    yield ""
    yield "| marker | meaning |"
    yield "|---|---|"
    for form, meaning in MARKERS:
        yield f"| `{form}` | {meaning} |"
    yield ""
    yield "## Fixtures"
    yield ""
    yield "| fixture | what it is |"
    yield "|---|---|"
    for name in sorted(fixtures.FIXTURES):
        function = getattr(fixtures, name)
        doc = inspect.getdoc(getattr(function, "__wrapped__", function)) or ""
        yield f"| `{name}` | {' '.join(doc.split())} |"
    yield ""
    yield "`deploy` is for one test; tests that deploy equal topologies share one deployment all the same."
    yield ""
    yield "## Traffic"
    yield ""
    yield "What `deploy(topology)` returns. Every rate is per direction."
    yield ""
    yield "| call | what it does |"
    yield "|---|---|"
    for name, method in inspect.getmembers(Traffic, inspect.isfunction):
        if not name.startswith("_"):
            arguments = ", ".join(list(inspect.signature(method).parameters)[1:])
            yield f"| `{name}({arguments})` | {_first_sentence(method)} |"
    yield ""
    yield "## Names to import"
    yield ""
    yield "From `pytest_nfv`."
    yield ""
    yield "| name | what it is |"
    yield "|---|---|"
    for name in pytest_nfv.__all__:
        value = getattr(pytest_nfv, name)
        told = _first_sentence(value) if inspect.isclass(value) or inspect.isfunction(value) else f"`{value!r}`"
        yield f"| `{name}` | {told} |"
    yield ""
    yield "## Capabilities"
    yield ""
    yield "Names that `--nfv-require` takes, and what each stands for."
    yield ""
    yield "| capability | what must be there |"
    yield "|---|---|"
    for name, meaning in capabilities.known().items():
        yield f"| `{name}` | {meaning} |"


def _first_sentence(thing: object) -> str:
    """Return the first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
