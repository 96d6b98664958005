"""What is said of a far host whose package is missing or of another version; and errors that name their host."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from pytest_nfv import __version__
from pytest_nfv.errors import CapabilityMissing, CommandError, DeploymentError
from pytest_nfv.hosts.protocol import MachineHost

NO_MODULE = "No module named "


def remedy(host: MachineHost) -> str:
    """Return the command that puts this package onto a host."""
    return f"python -m pytest_nfv provision {shlex.quote(host.address)}"


def check_found(host: MachineHost, python: str, found: str) -> None:
    """See that what an interpreter of a host has is this version.

    Raises:
        DeploymentError: it is another one.
    """
    if found != __version__:
        raise DeploymentError(
            f"{host.name} has pytest-nfv {found} at {python}, and here is {__version__}; run: {remedy(host)}"
        )


@contextmanager
def starting(host: MachineHost) -> Iterator[None]:
    """Have an error of a process of this package's own name what is to be done where the package is missing there.

    Raises:
        CapabilityMissing: with the host's name.
        DeploymentError: the same, or with the command to run.
    """
    try:
        yield
    except CapabilityMissing as error:
        raise _of(host, error) from error
    except DeploymentError as error:
        never_started = isinstance(error, CommandError) and "No such file" in str(error)
        if never_started or NO_MODULE in str(error):
            raise DeploymentError(f"{error}\npytest-nfv is not on {host.name}; run: {remedy(host)}") from error
        raise


@contextmanager
def named(host: MachineHost) -> Iterator[None]:
    """Have an error of a process there name its host."""
    try:
        yield
    except CapabilityMissing as error:
        raise _of(host, error) from error
    except DeploymentError as error:
        raise DeploymentError(f"on {host.name}: {error}") from error


def _of(host: MachineHost, error: CapabilityMissing) -> CapabilityMissing:
    return CapabilityMissing(error.capability, f"{error.missing} on {host.name}", error.remedy)
