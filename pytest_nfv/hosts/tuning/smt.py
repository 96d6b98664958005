"""SMT siblings: two logical cores of one physical core share its pipeline, and slow each other down."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts.cores import core_list
from pytest_nfv.hosts.tuning.knob import FileKnob
from pytest_nfv.hosts.tuning.protocol import Scope, Step


class Siblings:
    """`smt`: the value `off` takes the siblings of the cores in use off line."""

    name = "smt"

    def steps(self, value: str, scope: Scope) -> Iterator[Step]:
        """Yield each sibling that is not in use itself.

        Raises:
            DeploymentError: two cores in use are siblings of each other, or one cannot be taken off line.
        """
        if value != "off":
            raise DeploymentError(f"smt {value!r}: accepted: off (it is put back to what it was)")
        for core in scope.cores:
            for sibling in siblings(core, scope):
                if sibling in scope.cores:
                    raise DeploymentError(f"cores {core} and {sibling} are SMT siblings, and both in use")
                online = scope.cpu(sibling) / "online"
                if not online.exists():
                    raise DeploymentError(f"core {sibling}, sibling of {core}, cannot be taken off line")
                yield Step(FileKnob(online), "0")


def siblings(core: int, scope: Scope) -> tuple[int, ...]:
    """Return the other logical cores of a core's physical one that are on line; none where nothing is told."""
    try:
        listed = (scope.cpu(core) / "topology/thread_siblings_list").read_text()
    except OSError:
        return ()
    return tuple(one for one in core_list(listed) if one != core)
