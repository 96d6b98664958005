"""Interrupts of devices, kept off the cores that are measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts.cores import core_list, core_text
from pytest_nfv.hosts.tuning.knob import FileKnob
from pytest_nfv.hosts.tuning.protocol import Scope, Step


class IrqAffinity:
    """`irq-affinity`: the value `away` keeps interrupts off the cores in use."""

    name = "irq-affinity"

    def steps(self, value: str, scope: Scope) -> Iterator[Step]:
        """Yield the list of cores of each interrupt that may come on one in use; some refuse to be moved."""
        if value != "away":
            raise DeploymentError(f"irq-affinity {value!r}: accepted: away (it is put back to what it was)")
        every = core_list((scope.system / "online").read_text())
        elsewhere = [core for core in every if core not in scope.cores]
        if not elsewhere:
            raise DeploymentError("irq-affinity away: there is no core that is not in use")
        for path, cores in affinities(scope.root):
            if set(cores) & set(scope.cores):
                stay = [core for core in cores if core in elsewhere] or elsewhere
                yield Step(FileKnob(path), core_text(stay), optional=True)


def affinities(root: Path) -> list[tuple[Path, tuple[int, ...]]]:
    """Return the file of each interrupt, and the cores that it may come on."""
    found = []
    for path in sorted((root / "proc/irq").glob("[0-9]*/smp_affinity_list"), key=lambda one: int(one.parent.name)):
        try:
            text = path.read_text().strip()
        except OSError:
            continue  # went away meanwhile
        if text:
            found.append((path, core_list(text)))
    return found
