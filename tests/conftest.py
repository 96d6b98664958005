"""What all tests share: a capability that is missing, Ctrl-C, and patience.

Ctrl-C is tested, too: a run that was started in the background ignores it, and its children inherit that.
An example of Hypothesis takes as long as a busy machine lets it: a deadline of 0.2 s says nothing about the code.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import NoReturn

import pytest
from hypothesis import settings

from pytest_nfv.deployment import capabilities
from pytest_nfv.errors import CapabilityMissing

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def lacks(request: pytest.FixtureRequest) -> Callable[[CapabilityMissing], NoReturn]:
    """Return a function that skips the test for want of a capability; a failure under `--nfv-require`."""
    from pytest_nfv.plugin import settings_of

    def lack(missing: CapabilityMissing) -> NoReturn:
        if missing.capability in settings_of(request.config).require:
            pytest.fail(f"required, and missing: {missing}")
        pytest.skip(str(missing))

    return lack


@pytest.fixture(scope="session")
def needs(lacks: Callable[[CapabilityMissing], NoReturn]) -> Callable[[str], None]:
    """Return a function that skips the test where a capability is missing; a failure under `--nfv-require`."""

    def need(name: str) -> None:
        try:
            capabilities.probe(name)
        except CapabilityMissing as missing:
            lacks(missing)

    return need
