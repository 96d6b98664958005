"""pytest-xdist: every testbed's tests go to one worker, and no two workers measure on one host.

Workers collect, the controller only hands out, so what is wrong is found in a worker and told by the controller.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_nfv.model.testbed import Testbed
    from pytest_nfv.plugin.settings import Settings

_GROUP = "nfv:"
_DIST, _REFUSED = "nfv_dist", "nfv_refused"


def in_worker(config: pytest.Config) -> bool:
    """Whether tests run here that a controller hands out."""
    return hasattr(config, "workerinput")


def apart(testbeds: Iterable[Testbed]) -> list[list[Testbed]]:
    """Return the real testbeds, those that share a machine together."""
    groups: list[list[Testbed]] = []
    for testbed in testbeds:
        if testbed.machines:
            touched = [group for group in groups if any(one.machines & testbed.machines for one in group)]
            groups = [group for group in groups if group not in touched]
            groups.append([*(one for group in touched for one in group), testbed])
    return groups


def lead(config: pytest.Config, settings: Settings) -> None:
    """On the controller: hand out by groups where there are several real testbeds, as `assign` groups them."""
    if config.getoption("dist", "no") == "load" and len(apart(settings.testbeds)) > 1:
        config.option.dist = "loadgroup"


def brief(config: pytest.Config, worker_input: dict[str, object]) -> None:
    """On the controller: tell a worker how tests are handed out, which its own options do not say."""
    worker_input[_DIST] = config.getoption("dist", "no")


def assign(config: pytest.Config, settings: Settings, items: Iterable[pytest.Item]) -> None:
    """In a worker: put the tests of each real testbed into one group, which one worker gets.

    Raises:
        pytest.UsageError: a test is in another group already.
    """
    if config.workerinput.get(_DIST) != "loadgroup":  # type: ignore[attr-defined] # pytest-xdist's
        return
    config.option.loadgroup = True  # the controller may have chosen it after the command line
    for group in apart(settings.testbeds):
        mark = pytest.mark.xdist_group(_GROUP + "+".join(one.name for one in group))
        for item in items:
            if _testbed(item) in group:
                if item.get_closest_marker("xdist_group"):
                    raise pytest.UsageError(
                        f"pytest-nfv: {item.nodeid}: marked xdist_group; accepted: no such marker on a test that "
                        "takes a testbed: all tests of a testbed go to one worker"
                    )
                item.add_marker(mark)


def check(config: pytest.Config, settings: Settings, items: Iterable[pytest.Item]) -> None:
    """In a worker: refuse what would let workers measure at the same time on one host.

    Raises:
        pytest.UsageError: says which testbeds there are and what is accepted.
    """
    count: int = config.workerinput["workercount"]  # type: ignore[attr-defined] # pytest-xdist's
    if settings.plan:
        raise pytest.UsageError("pytest-nfv: --nfv-plan with pytest-xdist: accepted: without -n")
    if count == 1 or not any(testbed and testbed.machines for testbed in map(_testbed, items)):
        return
    groups = apart(settings.testbeds)
    if count > len(groups):
        raise pytest.UsageError(
            f"pytest-nfv: -n {count} with {_listed(groups)}: workers would measure on the same host at once; "
            f"accepted: -n {len(groups)}, or {count} testbeds that share no host, as --nfv-host=NAME,NAME"
        )
    dist = config.workerinput.get(_DIST)  # type: ignore[attr-defined] # pytest-xdist's
    if dist != "loadgroup":
        raise pytest.UsageError(
            f"pytest-nfv: --dist={dist} with {_listed(groups)}: workers would share testbeds; "
            "accepted: --dist=loadgroup, or none"
        )


def refuse(config: pytest.Config, error: pytest.UsageError) -> None:
    """In a worker: let the controller stop the run for this error."""
    config.workeroutput[_REFUSED] = str(error)  # type: ignore[attr-defined] # pytest-xdist's


def refused(worker_output: dict[str, object]) -> None:
    """On the controller: stop the run where a worker refused it.

    Raises:
        pytest.UsageError: the worker's.
    """
    if worker_output.get(_REFUSED):
        raise pytest.UsageError(str(worker_output[_REFUSED]))


def plain(nodeid: str) -> str:
    """Return a test's id as it is without pytest-xdist, for records, reports and `--last-failed`."""
    test, at, group = nodeid.rpartition("@")
    return test if at and group.startswith(_GROUP) else nodeid


def _testbed(item: pytest.Item) -> Testbed | None:
    callspec = getattr(item, "callspec", None)
    found: Testbed | None = callspec.params.get("testbed") if callspec is not None else None
    return found if hasattr(found, "machines") else None


def _listed(groups: list[list[Testbed]]) -> str:
    names = [" and ".join(one.name for one in group) + " on one host" * (len(group) > 1) for group in groups]
    return f"{len(groups)} testbed{'s' * (len(groups) != 1)} ({', '.join(names)})"
