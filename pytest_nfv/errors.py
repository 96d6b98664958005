"""The one error tree. Each branch has one pytest outcome; the plugin maps them, nobody else does.

| branch | outcome |
|---|---|
| `ConfigurationError` | usage error: the run stops before anything is deployed (exit status 4) |
| `CapabilityMissing` | skip, saying what is missing and how to get it; an error under `--nfv-require` |
| `DeploymentError` | error: the testbed could not be brought up, or broke |
| `InvalidMeasurement` | invalid: nothing was learnt about the device |
| `RequirementNotMet` | failure |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from shlex import join


class NfvError(Exception):
    """Anything that pytest-nfv raises on purpose."""

    @property
    def whole(self) -> str:
        """Its message, and what went wrong after it: of a test's error, pytest shows no notes otherwise."""
        return "\n".join((str(self), *getattr(self, "__notes__", ())))


class ConfigurationError(NfvError):
    """An option, marker, testbed file or argument is wrong.

    The message names the input, shows the offending value and says what is accepted.
    """


@contextmanager
def noted(first: BaseException) -> Iterator[None]:
    """Add what goes wrong while cleaning up after an error to that one as a note, as it must not replace it."""
    try:
        yield
    except (NfvError, OSError) as error:
        first.add_note(f"and then: {error}")


class UnitError(ConfigurationError, TypeError, ValueError):
    """A quantity is malformed, out of range, or mixed with another unit."""


class CapabilityMissing(NfvError):
    """This machine or testbed lacks something that the test needs.

    Attributes:
        capability: short name, as `--nfv-require` takes it: `netns`, `linux-bridge`.
        missing: what was looked for and what was found instead.
        remedy: what a person does to get it.
    """

    def __init__(self, capability: str, missing: str, remedy: str) -> None:
        self.capability = capability
        self.missing = missing
        self.remedy = remedy
        super().__init__(f"{capability}: {missing}; {remedy}")


class DeploymentError(NfvError):
    """The testbed could not be brought up, broke while in use, or could not be put back."""


class CommandError(DeploymentError):
    """A command on a host failed, timed out or could not be started."""

    def __init__(self, host: str, argv: Sequence[str], status: int | None, stderr: str, why: str = "") -> None:
        self.host = host
        self.argv = tuple(argv)
        self.status = status
        self.stderr = stderr
        ended = why or (f"exit status {status}" if status is not None else "could not be started")
        tail = "\n".join(stderr.strip().splitlines()[-20:])
        super().__init__(f"on {host}: {join(self.argv)}: {ended}" + (f"\n{tail}" if tail else ""))


class GeneratorError(DeploymentError):
    """The traffic generator died, answered nonsense, or refused a command."""


class InvalidMeasurement(NfvError):
    """A trial, or all repeats of it, taught nothing about the device under test."""


class RequirementNotMet(NfvError, AssertionError):
    """The device under test did not reach the stated goal."""
