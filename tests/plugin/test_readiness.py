"""What the terminal says of a host before the first trial, and of a lab's hosts at the end."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_nfv.plugin.terminal import Terminal

SUITE = """
    def test_it(testbed):
        assert testbed.name
"""
FOUND = {"severity": "high", "text": "core 2 is busy", "remedy": "end it"}


def head(pytester: pytest.Pytester, *options: str) -> list[str]:
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *options)
    return [line for line in result.stdout.lines if line.startswith("nfv:")]


def test_the_head_of_a_run_has_one_line_and_all_of_it_when_asked(pytester: pytest.Pytester) -> None:
    (told,) = [line for line in head(pytester, "--nfv-host=local") if "read" in line]
    assert told.startswith(("nfv:   readiness: ", "nfv:   ready: "))
    more = head(pytester, "--nfv-host=local", "-v")
    (first,) = [line for line in more if line.startswith(("nfv:   readiness: ", "nfv:   ready: "))]
    count = sum(int(number) for number in re.findall(r"(\d+) (?:high|medium|low)", first.partition(";")[0]))
    assert len([line for line in more if line.startswith("nfv:     ")]) == 2 * count


def test_a_simulated_testbed_has_no_host_to_tell_of(pytester: pytest.Pytester) -> None:
    assert not [line for line in head(pytester, "--nfv-host=sim") if "read" in line]


class Written:
    """pytest's terminal, as far as lines go."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write_line(self, line: str, **markup: bool) -> None:
        self.lines.append(line)


@pytest.mark.parametrize(
    ("verbosity", "more"), [(0, []), (1, ["nfv:   high   core 2 is busy", "nfv:          end it"])]
)
def test_a_lab_is_told_of_at_the_end(verbosity: int, more: list[str]) -> None:
    config: Any = SimpleNamespace(get_verbosity=lambda: verbosity)
    terminal, written = Terminal(config, cast(Any, None)), Written()
    kinds = {"dut1": "lab", "bench": "local"}
    used: dict[str, dict[str, Any]] = {
        name: {"testbed": {"kind": kind}, "host": {"readiness": [FOUND]}} for name, kind in kinds.items()
    }
    used["dut1"]["hosts"] = {"dut": used["dut1"]["host"], "gen": {"readiness": []}}
    report: Any = SimpleNamespace(nodeid="a", nfv_used={"environment": used})
    terminal.pytest_runtest_logreport(report)
    terminal.note(["file:/x is left at 7"])
    terminal.pytest_terminal_summary(cast(Any, written))
    assert written.lines == [
        "nfv: dut1, readiness: 1 high; worst: core 2 is busy",
        *more,
        "nfv: dut1/gen, ready: nothing found that spoils a measurement",
        "nfv: file:/x is left at 7",
    ]
