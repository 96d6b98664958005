"""The settings by name, and how one is made."""

from __future__ import annotations

from errno import EACCES, EPERM, EROFS
from pathlib import Path

from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.hosts.tuning.cpufreq import CpuFrequency, Governor
from pytest_nfv.hosts.tuning.cstates import CStates
from pytest_nfv.hosts.tuning.irqs import IrqAffinity
from pytest_nfv.hosts.tuning.journal import Journal
from pytest_nfv.hosts.tuning.nic import AutoNegotiation, FlowControl, Offloads
from pytest_nfv.hosts.tuning.protocol import Scope, Setting
from pytest_nfv.hosts.tuning.smt import Siblings
from pytest_nfv.hosts.tuning.turbo import Turbo

_ALL: tuple[Setting, ...] = (
    CpuFrequency(),
    Governor(),
    Turbo(),
    CStates(),
    Siblings(),
    IrqAffinity(),
    Offloads(),
    AutoNegotiation(),
    FlowControl(),
)
SETTINGS = {setting.name: setting for setting in _ALL}
"""All of `model.machine.CHANGES` but huge pages, which runs share (`hosts.hugepages`)."""


def tune(directory: Path, name: str, value: str | None, scope: Scope) -> list[str]:
    """Set something, or with None put it back; return notes: what refused, or was changed by somebody else.

    Args:
        directory: the run's own, which holds the journal.
        name: of `SETTINGS`.
        value: in the setting's own words.
        scope: cores and interfaces that it is for.

    Raises:
        CapabilityMissing: the machine has no such thing.
        DeploymentError: refused, or it did not take the value; what was set for it is put back.
    """
    if name not in SETTINGS:
        raise DeploymentError(f"setting {name!r}: accepted: {', '.join(SETTINGS)}")
    journal = Journal(directory)
    if value is None:
        back = journal.put_back(name)
        if back.trouble:
            raise DeploymentError("; ".join(back.trouble))
        return back.left
    try:
        return _set(journal, SETTINGS[name], value, scope)
    except OSError as error:
        journal.put_back(name)
        raise DeploymentError(f"{name} cannot be set to {value}: {error.strerror or error}") from error
    except BaseException:
        journal.put_back(name)
        raise


def _set(journal: Journal, setting: Setting, value: str, scope: Scope) -> list[str]:
    notes = []
    for step in setting.steps(value, scope):
        try:
            reads = journal.change(setting.name, step.knob, step.value, step.alters)
        except OSError as error:
            said = f"{step.knob.key} cannot be set to {step.value}: {error.strerror}"
            if not step.optional:
                raise _refused(setting.name, said, error) from error
            notes.append(said)
            continue
        if not step.took(step.value, reads):
            said = f"{step.knob.key} was set to {step.value}, and reads {reads}"
            if not step.optional:
                raise DeploymentError(said)
            notes.append(said)
    return notes


def _refused(name: str, said: str, error: OSError) -> CapabilityMissing | DeploymentError:
    if error.errno in (EACCES, EPERM, EROFS):
        return CapabilityMissing(name, said, "run as root, with /sys and /proc writable (no container)")
    return DeploymentError(said)


def standing(directory: Path) -> list[str]:
    """Return what the run of this directory has changed and not put back, a phrase a thing."""
    knobs = dict.fromkeys(change.knob for change in Journal(directory).standing)
    return [f"change of {knob}" for knob in knobs]


def put_back(directory: Path) -> list[str]:
    """Put back everything that the run of this directory changed; return what was done, a phrase a thing.

    Raises:
        OSError: something could not be; the journal keeps it.
    """
    back = Journal(directory).put_back()
    if back.trouble:
        raise OSError("; ".join(back.trouble))
    return [
        *(f"change of {knob}" for knob in dict.fromkeys(back.done)),
        *(f"nothing: {one}" for one in back.left),
    ]
