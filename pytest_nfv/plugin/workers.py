"""pytest-xdist: every testbed's tests go to one worker, and no two workers measure on one host.

Workers collect, the controller only hands out, so what is wrong is found in a worker and told by the controller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_nfv.model.testbed import Testbed
    from pytest_nfv.plugin.settings import Settings

_BY_TESTBED, _REFUSED, _NOTES = "nfv_by_testbed", "nfv_refused", "nfv_notes"


def in_worker(config: pytest.Config) -> bool:
    """Whether tests run here that a controller hands out."""
    return hasattr(config, "workerinput")


def apart(testbeds: Iterable[Testbed]) -> list[list[Testbed]]:
    """Return the real testbeds, those that share a machine together."""
    groups: list[list[Testbed]] = []
    for testbed in testbeds:
        if testbed.addresses:
            touched = [group for group in groups if any(one.addresses & testbed.addresses for one in group)]
            groups = [group for group in groups if group not in touched]
            groups.append([*(one for group in touched for one in group), testbed])
    return groups


def by_testbed(config: pytest.Config, settings: Settings) -> bool:
    """On the controller: whether tests are handed out by testbed; not where another way was asked for."""
    return config.getoption("dist", "no") == "load" and len(apart(settings.testbeds)) > 1


def scheduler(config: pytest.Config, log: Any, settings: Settings) -> Any:
    """On the controller: return what hands out the tests of testbeds that share a host together."""
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped] # it ships no types

    groups = _groups(settings)

    class ByTestbed(LoadScopeScheduling):  # type: ignore[misc] # its documented way to group tests
        """As `--dist=loadscope`; a test that takes no testbed goes anywhere."""

        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid, groups) or nodeid

    return ByTestbed(config, log)


def brief(worker_input: dict[str, object], config: pytest.Config, settings: Settings) -> None:
    """On the controller: tell a worker how tests are handed out, which its own options do not say."""
    worker_input[_BY_TESTBED] = by_testbed(config, settings)


def check(config: pytest.Config, settings: Settings, items: Iterable[pytest.Item]) -> None:
    """In a worker: refuse what would let workers measure at the same time on one host.

    Raises:
        pytest.UsageError: says which testbeds there are and what is accepted.
    """
    count: int = config.workerinput["workercount"]  # type: ignore[attr-defined] # pytest-xdist's
    if settings.plan:
        raise pytest.UsageError("pytest-nfv: --nfv-plan with pytest-xdist: accepted: without -n")
    if count == 1 or not any(testbed and testbed.addresses for testbed in map(_testbed, items)):
        return
    groups = apart(settings.testbeds)
    if count > len(groups):
        raise pytest.UsageError(
            f"pytest-nfv: -n {count} with {_listed(groups)}: workers would measure on the same host at once; "
            f"accepted: -n {len(groups)}, or {count} testbeds that share no host, as --nfv-host=NAME,NAME"
        )
    if not config.workerinput.get(_BY_TESTBED):  # type: ignore[attr-defined] # pytest-xdist's
        raise pytest.UsageError(
            f"pytest-nfv: --dist with {_listed(groups)}: workers would share testbeds; "
            "accepted: --dist=load, or none"
        )
    _check_names(_groups(settings), items)


def _check_names(groups: Mapping[str, str], items: Iterable[pytest.Item]) -> None:
    """Refuse where the controller, which has the tests' ids alone, would take a testbed for another."""
    for item in items:
        testbed = _testbed(item)
        if testbed is not None and testbed.addresses and _group(item.nodeid, groups) != groups[testbed.name]:
            raise pytest.UsageError(
                f"pytest-nfv: {item.nodeid}: with pytest-xdist a test's id must begin with its testbed's name, "
                f"{testbed.name}, and with no other's; accepted: other names, or without -n"
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


def tell(config: pytest.Config, said: Iterable[str]) -> None:
    """In a worker: let the controller show sentences at the end."""
    config.workeroutput.setdefault(_NOTES, []).extend(said)  # type: ignore[attr-defined] # pytest-xdist's


def told(worker_output: Mapping[str, Any]) -> list[str]:
    """On the controller: return what a worker that has ended wants shown."""
    return list(worker_output.get(_NOTES, []))


def _groups(settings: Settings) -> dict[str, str]:
    """Return what each real testbed's tests are handed out as, by its name."""
    return {one.name: "+".join(each.name for each in group) for group in apart(settings.testbeds) for one in group}


def _group(nodeid: str, groups: Mapping[str, str]) -> str:
    """Return the group of a test, by the testbed that its parameters begin with; empty where that is none."""
    parameters = nodeid.partition("[")[2].rpartition("]")[0]
    names = [name for name in groups if f"{parameters}-".startswith(f"{name}-")]
    return groups[max(names, key=len)] if names else ""


def _testbed(item: pytest.Item) -> Testbed | None:
    callspec = getattr(item, "callspec", None)
    found: Testbed | None = callspec.params.get("testbed") if callspec is not None else None
    return found if hasattr(found, "addresses") else None


def _listed(groups: list[list[Testbed]]) -> str:
    names = [" and ".join(one.name for one in group) + " on one host" * (len(group) > 1) for group in groups]
    return f"{len(groups)} testbed{'s' * (len(groups) != 1)} ({', '.join(names)})"
