"""The live line: there on a terminal, gone when the trial is over, and never in what a test printed."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

SUITE = """
from pytest_nfv import P2P, kpps
def test_it(deploy, vswitch):
    print("said by the test")
    assert deploy(P2P(vswitch)).sustains(400 * kpps, frame_size=64)
    assert False
"""


def on_a_terminal(pytester: pytest.Pytester, *options: str) -> str:
    """Run the suite with a terminal as its output, and return what it shows."""
    pytester.makepyfile(SUITE)
    mine, theirs = pty.openpty()
    argv = [sys.executable, "-m", "pytest", "--nfv-host=sim", "-p", "no:cacheprovider", *options]
    process = subprocess.Popen(argv, cwd=pytester.path, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(mine, 65536):
            shown += piece
    except OSError:  # Linux tells the end of a pseudo-terminal so
        pass
    finally:
        os.close(mine)
    process.wait(timeout=60)
    return shown.decode()


def test_a_trial_is_shown_while_it_runs_and_erased_after(pytester: pytest.Pytester) -> None:
    text = on_a_terminal(pytester)
    assert "64 B at 400 kpps: starting" in text
    assert text.count("\x1b[2K\x1b[1A") == 2  # one for each trial of the gate
    captured = text.split("Captured stdout call")[1]
    assert "said by the test" in captured
    assert "starting" not in captured


def test_quiet_and_no_terminal_show_nothing_live(pytester: pytest.Pytester) -> None:
    assert "starting" not in on_a_terminal(pytester, "-q")
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess("--nfv-host=sim", "-p", "no:cacheprovider")
    assert "starting" not in result.stdout.str()
