"""The layers of docs/design/layers.md, walked: who may import whom, and what must not come with the plugin."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "pytest_nfv"

LAYER_1 = {"errors", "units", "model"}
MAY_IMPORT = {
    "errors": set[str](),
    "units": {"errors"},
    "model": {"errors", "units"},
    "search": LAYER_1,
    "rings": LAYER_1,
    "hosts": LAYER_1,
    "trafgen": LAYER_1 | {"rings"},
    "nfproc": LAYER_1 | {"rings", "trafgen"},  # of trafgen: its JSON lines, how ports are read, learning frames
    "xdpfwd": LAYER_1 | {"rings"},  # as trafgen: a process of its own, that owns maps and programs
    "dpdk": LAYER_1 | {"hosts"},
    "vswitches": LAYER_1 | {"hosts", "dpdk"},
    "vnfs": LAYER_1 | {"hosts", "dpdk"},
    "generators": LAYER_1 | {"hosts"},
    "deployment": LAYER_1 | {"search", "rings", "hosts", "trafgen", "vswitches", "vnfs", "generators"},
    "testbeds": LAYER_1 | {"hosts", "vswitches"},
    "records": LAYER_1 | {"search"},
    "plugin": LAYER_1 | {"search", "rings", "hosts", "vswitches", "vnfs", "generators", "deployment", "records"},
    "__main__": LAYER_1 | {"hosts", "deployment", "records", "plugin", "vswitches", "testbeds"},
    "__init__": LAYER_1 | {"deployment"},
}
HEAVY = {"numpy", "scapy", "fabric", "pyroute2", "jinja2", "plotly"}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield parts[0], path


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (unit inside the package, whole name) of every import of ours, late ones too."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            if name.startswith("pytest_nfv."):
                yield name.split(".")[1], name


def test_nothing_imports_what_its_layer_may_not() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE.parent)} imports {name}"
        for unit, path in modules()
        for target, name in imported(path)
        if target not in {unit, "__version__"} and target not in MAY_IMPORT[unit]
    ]
    assert not wrong, "\n".join(wrong)


def test_records_take_only_statistics_from_search() -> None:
    names = {name for unit, path in modules() if unit == "records" for _, name in imported(path)}
    assert {name for name in names if name.startswith("pytest_nfv.search")} <= {
        "pytest_nfv.search.stats",
    }


@pytest.mark.parametrize("folder", ["vswitches", "vnfs", "generators"])
def test_drivers_never_import_one_another(folder: str) -> None:
    shared = {"protocol", "table", "templates", "kernel_rules", "__init__"}  # kernel_rules: text, for any kernel
    drivers = {path.stem for path in (PACKAGE / folder).glob("*.py")} - shared
    for path in (PACKAGE / folder).glob("*.py"):
        if path.stem in drivers:
            used = {name.split(".")[2] for unit, name in imported(path) if unit == folder}
            parts = {other for other in drivers if family(other) == family(path.stem)}
            assert not used & (drivers - parts), path


def family(module: str) -> str:
    """The driver that a module belongs to: `testpmd` and its parts, `testpmd_argv`, ..."""
    return module.partition("_")[0]


def test_only_the_plugin_imports_pytest() -> None:
    for unit, path in modules():
        if unit != "plugin":
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not [name for name in names if name.split(".")[0] in {"pytest", "_pytest"}], path


def test_an_unused_plugin_brings_nothing_heavy() -> None:
    code = (
        "import sys, pytest\n"
        "status = pytest.main(['-q', '--collect-only', '-p', 'no:cacheprovider', sys.argv[1]])\n"
        f"print('HEAVY', sorted(set(sys.modules) & {HEAVY!r}), 'pytest_nfv.plugin' in sys.modules)\n"
    )
    empty = Path(__file__).parents[1] / "unit" / "test_plan.py"
    result = subprocess.run([sys.executable, "-c", code, str(empty)], capture_output=True, text=True, check=False)
    assert "HEAVY [] True" in result.stdout, result.stdout + result.stderr
