"""The pytest plugin: options, markers, fixtures, hooks, reporting.

This module is imported at every start of pytest, so it imports nothing of weight. Only when a collected test
uses a fixture or marker of ours, or an option of ours is given, is the rest brought in and registered.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_nfv.plugin import fixtures, markers, options, workers
from pytest_nfv.plugin.fixtures import (
    FIXTURES,
    cpu_freq,
    deploy,
    frame_size,
    hosts,
    link,
    nfv_bench,
    testbed,
    vnf_host,
    vswitch,
)

if TYPE_CHECKING:
    from pytest_nfv.plugin.settings import Settings

__all__ = ["cpu_freq", "deploy", "frame_size", "hosts", "link", "nfv_bench", "testbed", "vnf_host", "vswitch"]

SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--nfv-*` and its twins."""
    options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers; check options at once where any was given."""
    markers.register(config)
    if options.given(config):
        settings_of(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist what it cannot know."""
    if SETTINGS in node.config.stash:
        workers.brief(node.workerinput, node.config, node.config.stash[SETTINGS])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out tests by testbed, where several were chosen."""
    if SETTINGS in config.stash and workers.by_testbed(config, config.stash[SETTINGS]):
        return workers.scheduler(config, log, config.stash[SETTINGS])
    return None


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Stop where a worker of pytest-xdist refused the run; keep what one that ended wants shown."""
    said = getattr(node, "workeroutput", {})
    workers.refused(said)
    terminal = node.config.pluginmanager.getplugin("nfv-terminal")
    if terminal is not None:
        terminal.note(workers.told(said))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Bring in the reporting on pytest-xdist's controller, with the first report of ours that a worker sends."""
    worker = getattr(report, "node", None)
    if worker is not None and hasattr(report, "nfv_used"):
        config: pytest.Config = worker.config
        if not config.pluginmanager.hasplugin("nfv-terminal"):
            from pytest_nfv.plugin.session import activate_reporting

            activate_reporting(config, settings_of(config), report)


def settings_of(config: pytest.Config) -> Settings:
    """Return the checked options, read at the first call.

    Raises:
        pytest.UsageError: an option is wrong.
    """
    if SETTINGS not in config.stash:
        from pytest_nfv.errors import ConfigurationError
        from pytest_nfv.plugin.settings import settings

        try:
            config.stash[SETTINGS] = settings(config)
        except ConfigurationError as error:
            raise pytest.UsageError(f"pytest-nfv: {error}") from error
    return config.stash[SETTINGS]


@pytest.hookimpl(tryfirst=True)  # so that a test's id begins with its testbed
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise what a test takes from us and does not parametrise itself."""
    names = _ours(metafunc.definition)
    if names:
        from pytest_nfv.plugin import collection

        collection.parametrise(metafunc, names, settings_of(metafunc.config))


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, object, object]:
    """Select and check our tests, and bring in the rest of the plugin if there are any."""
    ours = [item for item in items if _ours(item)]
    if not ours:
        return (yield)
    from pytest_nfv.plugin import collection
    from pytest_nfv.plugin.session import activate

    settings = settings_of(config)
    try:
        collection.check(ours, settings)
        with collection.counted_as_benchmarks(config, ours):
            result = yield
        collection.select(config, items, settings)
        ours = [item for item in items if _ours(item)]
        if workers.in_worker(config):
            workers.check(config, settings, ours)
        activate(config, settings, ours)
    except pytest.UsageError as error:
        if workers.in_worker(config):
            workers.refuse(config, error)
        raise
    return result


def _ours(item: pytest.Item) -> frozenset[str]:
    """Return which of our fixtures a test takes: ours, not another's of the same name."""
    info = getattr(item, "_fixtureinfo", None)
    if info is None or FIXTURES.isdisjoint(info.names_closure):
        return frozenset()
    return frozenset(
        name
        for name in FIXTURES.intersection(info.names_closure)
        if any(one.func.__module__ == fixtures.__name__ for one in info.name2fixturedefs.get(name, ())[-1:])
    )
