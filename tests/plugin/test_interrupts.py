"""Ctrl-C ends a measurement, wherever Python is when it comes."""

from __future__ import annotations

import pytest

# The first trial's start is when a finaliser runs, in which Python drops a KeyboardInterrupt.
DROPPED = """
from pytest_nfv import P2P, kpps
import os, signal

class Last:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass  # where the signal arrives

def test_first(deploy, vswitch):
    Last()
    deploy(P2P(vswitch)).sustains(1 * kpps, frame_size=64)

def test_second(deploy, vswitch):
    deploy(P2P(vswitch)).sustains(1 * kpps, frame_size=64)
"""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_drops_is_raised_at_the_next_trial(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(DROPPED)
    result = pytester.runpytest_subprocess("--nfv-host=sim", "-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*KeyboardInterrupt*"])
    assert "passed" not in result.stdout.str()


def test_the_handler_is_put_back(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from pytest_nfv import P2P, kpps

        def test_any(deploy, vswitch):
            assert deploy(P2P(vswitch)).sustains(1 * kpps, frame_size=64)
        """
    )
    pytester.makeconftest(
        """
        import signal

        def pytest_unconfigure():
            open("handler", "w").write(str(signal.getsignal(signal.SIGINT) is signal.default_int_handler))
        """
    )
    result = pytester.runpytest_subprocess("--nfv-host=sim", "-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.OK
    assert (pytester.path / "handler").read_text() == "True"
