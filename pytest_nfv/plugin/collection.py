"""What happens to our tests at collection: parametrising, selecting, checking."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.mix import Mix, sizes_of
from pytest_nfv.model.topology import VSwitch
from pytest_nfv.plugin import markers
from pytest_nfv.plugin.workers import in_worker

if TYPE_CHECKING:
    from pytest_nfv.plugin.settings import Settings
    from pytest_nfv.units import FrameSize


AS_IT_IS = "clock-as-it-is"
"""Parameter id of a test that takes `cpu_freq` where no frequency is asked for."""


def parametrise(metafunc: pytest.Metafunc, names: frozenset[str], settings: Settings) -> None:
    """Give a test its testbeds, switches, hosts of VNFs, clocks and, where it has no list of its own, frame sizes.

    Testbed and switch are session-scoped parameters, so that pytest's own ordering keeps tests of one switch
    together and redeployments few.
    """
    if "vswitch" in names and not _parametrised(metafunc, "vswitch"):
        pairs = [(testbed, name) for testbed in settings.testbeds for name in settings.switches_of(testbed)]
        ids = [f"{testbed.name}-{name}" for testbed, name in pairs]
        metafunc.parametrize(("testbed", "vswitch"), pairs, indirect=True, scope="session", ids=ids)
    elif "testbed" in names:
        ids = [testbed.name for testbed in settings.testbeds]
        metafunc.parametrize("testbed", settings.testbeds, indirect=True, scope="session", ids=ids)
    if "vnf_host" in names and not _parametrised(metafunc, "vnf_host"):
        metafunc.parametrize("vnf_host", settings.vnf_hosts, indirect=True, scope="session")
    if "cpu_freq" in names and not _parametrised(metafunc, "cpu_freq"):
        clocks = settings.cpu_freqs or (None,)
        named = [AS_IT_IS if one is None else str(one).replace(" ", "") for one in clocks]
        metafunc.parametrize("cpu_freq", clocks, indirect=True, ids=named)
    if "frame_size" in names and not _parametrised(metafunc, "frame_size"):
        sizes = settings.fallback_frame_sizes
        names_of = [size.name if isinstance(size, Mix) else str(size) for size in sizes]
        metafunc.parametrize("frame_size", sizes, indirect=True, ids=names_of)


def _parametrised(metafunc: pytest.Metafunc, name: str) -> bool:
    for marker in metafunc.definition.iter_markers("parametrize"):
        names = marker.args[0] if marker.args else marker.kwargs.get("argnames", "")
        listed = [one.strip() for one in names.split(",")] if isinstance(names, str) else list(names)
        if name in listed:
            return True
    return False


def select(config: pytest.Config, items: list[pytest.Item], settings: Settings) -> None:
    """Drop tests that parametrise `vswitch`, `vnf_host` or `frame_size` themselves, by values that are not used.

    Switches are those of `--nfv-vswitch`, or the testbed's; hosts of VNFs and sizes count where `--nfv-vnf-host`
    and `--nfv-frame-size` are given.
    """
    keep: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        values = _parameters(item)
        size, switch, testbed, host = (values.get(one) for one in ("frame_size", "vswitch", "testbed", "vnf_host"))
        wanted = size is None or not settings.frame_sizes or _octets_or_mix(size) in settings.frame_sizes
        wanted = wanted and (host is None or "vnf-host" not in settings.command or host in settings.vnf_hosts)
        if isinstance(switch, VSwitch) and testbed is not None:
            wanted = wanted and switch.name in settings.switches_of(testbed)
        (keep if wanted else dropped).append(item)
    if dropped:
        items[:] = keep
        config.hook.pytest_deselected(items=dropped)


@contextmanager
def counted_as_benchmarks(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Let pytest-benchmark's own selection (`--benchmark-only`, `--benchmark-skip`) count our tests as benchmarks.

    They take its fixture only when there is a row to make, so that it never complains of a test without one. Under
    pytest-xdist there are no rows, which it tells those who want something of it, and only those.
    """
    wanted = ("skip", "json", "save", "autosave", "compare")
    if in_worker(config) and not any(config.getoption(f"benchmark_{name}", None) for name in wanted):
        items = []
    lists = [getattr(item, "fixturenames", ["benchmark"]) for item in items]
    added = [names for names in lists if "benchmark" not in names]
    for names in added:
        names.append("benchmark")
    try:
        yield
    finally:
        for names in added:
            names.remove("benchmark")


def check(items: list[pytest.Item], settings: Settings) -> None:
    """Check the markers' arguments before anything runs.

    Raises:
        pytest.UsageError: names test, marker and argument.
    """
    for item in items:
        try:
            markers.defaults(item, settings)
        except ConfigurationError as error:
            raise pytest.UsageError(f"pytest-nfv: {error}") from error


def _octets_or_mix(size: FrameSize | Mix | int | str) -> int | Mix:
    sizes = sizes_of(size)
    return sizes if isinstance(sizes, Mix) else sizes.octets


def _parameters(item: pytest.Item) -> dict[str, Any]:
    callspec = getattr(item, "callspec", None)
    return dict(callspec.params) if callspec is not None else {}
