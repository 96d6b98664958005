"""The plugin once it is needed: testbeds in use, measurements by test, the record of the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_nfv.deployment import capabilities
from pytest_nfv.deployment.bench import Bench
from pytest_nfv.deployment.planning import Planner
from pytest_nfv.deployment.traffic import Traffic
from pytest_nfv.errors import CapabilityMissing, ConfigurationError
from pytest_nfv.hosts.hold import Claim, hold
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.plugin import markers
from pytest_nfv.plugin.benchmark import Rows
from pytest_nfv.plugin.outcome import MEASURED, USED, Outcomes, Statuses
from pytest_nfv.plugin.planned import Planned
from pytest_nfv.plugin.recording import Recording
from pytest_nfv.plugin.terminal import Terminal
from pytest_nfv.plugin.workers import in_worker
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.records.store import Store

if TYPE_CHECKING:
    from pytest_nfv.deployment.system import System
    from pytest_nfv.deployment.traffic import Deploy, Result
    from pytest_nfv.model.testbed import Testbed
    from pytest_nfv.model.topology import Topology
    from pytest_nfv.plugin.settings import Settings
    from pytest_nfv.units import Frequency

ACTIVE: pytest.StashKey[Session] = pytest.StashKey()


def activate(config: pytest.Config, settings: Settings, items: list[pytest.Item]) -> None:
    """Register the working parts, once a test of ours was collected.

    Raises:
        pytest.UsageError: a required capability is missing, or the record cannot be written.
    """
    if ACTIVE in config.stash or config.option.collectonly:
        return
    try:
        session = config.stash[ACTIVE] = Session(config, settings)
    except (CapabilityMissing, ConfigurationError) as error:
        raise pytest.UsageError(f"pytest-nfv: {error}") from error
    for name, part in session.parts():
        config.pluginmanager.register(part, f"nfv-{name}")
    session.terminal.interrupts.listen()
    Rows.mark(config, items)


def active(config: pytest.Config) -> Session:
    """Return the run's session."""
    return config.stash[ACTIVE]


class Session:
    """One run: its testbeds, and what it measured."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.settings = settings
        self.run_id = new_run_id()
        self.terminal = Terminal(config, settings)
        self._planner = Planner()
        claim = Claim.of_this_process(self.run_id, ["pytest", *map(str, config.invocation_params.args)])
        self._hold = partial(hold, claim=claim, timeout_s=settings.lock_timeout.s, on_wait=self.terminal.waiting)
        self._in_worker = in_worker(config)
        if not settings.plan:
            for name in settings.require:
                capabilities.probe(name)
        if self._in_worker and settings.report:
            Store(settings.report).check_writable()  # the controller begins the record with the first result only
        self._recording = None if settings.plan or self._in_worker else Recording(settings, self.run_id)

    def parts(self) -> Iterator[tuple[str, object]]:
        """Return the plugins that this run needs, by name."""
        yield "outcomes", Outcomes(self.settings)
        yield "interrupts", self.terminal.interrupts
        yield "statuses", Statuses()
        if not self._in_worker:
            yield "terminal", self.terminal
        if self.settings.plan:
            yield "planned", Planned(self._planner)
        if self._recording is not None:
            yield "recording", self._recording

    def bench(self, testbed: Testbed) -> Iterator[Bench]:
        """Own a testbed until pytest is done with it."""
        bench = Bench(testbed, self.run_id, self.terminal, self._hold, self.settings.ssh_config)
        try:
            yield bench
        finally:
            try:
                bench.close()
            finally:
                self.terminal.note(bench.care.told)

    @contextmanager
    def clocked(self, bench: Bench, frequency: Frequency | None) -> Iterator[None]:
        """Hold the device's cores at a frequency for what is deployed within; a plan holds nothing."""
        if self.settings.plan:
            yield
            return
        bench.clock.ask(frequency)
        try:
            yield
        finally:
            self.terminal.note(bench.clock.done())

    def deployer(self, request: pytest.FixtureRequest, bench: Bench) -> Deploy:
        """Return the `deploy` of one test."""
        item = request.node
        measurements: list[tuple[Result, Measurement]] = []
        item.stash[MEASURED] = measurements
        defaults = markers.defaults(item, self.settings)
        rows = Rows(request)
        cost = self._planner.test(item.nodeid)

        def measured(result: Result) -> None:
            one = Measurement.from_result(result)
            needs = defaults.requirements
            if one.kind in ("throughput", "forwarding_rate") and needs.throughput_at_least is not None:
                one = one.required(at_least_pps=needs.throughput_at_least.pps)
            elif one.kind == "latency" and needs.latency_below_us:
                one = one.required(limits_us=needs.latency_below_us)
            measurements.append((result, one))
            rows.add(result)

        def traffic(topology: Topology) -> Traffic:
            if isinstance(topology, type) or not hasattr(topology, "directions"):
                raise ConfigurationError(f"deploy({topology!r}): accepted: a topology, such as P2P(vswitch)")
            if self.settings.plan:
                planned = self._planner.traffic(cost, bench.testbed, topology, defaults)
                return cast(Traffic, planned)  # answers the same calls
            system = bench.system(topology)
            used = item.stash.setdefault(USED, {})
            _note(used, bench, system)
            if self._recording is not None:
                self._recording.used(used)  # before the first trial: a run that is cut off leaves its record, too
            return Traffic(system, defaults, self.terminal, measured)

        return Deployer(traffic)


def activate_reporting(config: pytest.Config, settings: Settings, first: pytest.TestReport) -> None:
    """Register what works from reports alone: on pytest-xdist's controller, where the tests run elsewhere.

    The report that brings it in is already on its way round the plugins, so it is handed over here.
    """
    terminal, recording = Terminal(config, settings), Recording(settings, new_run_id())
    for name, part in (("statuses", Statuses()), ("terminal", terminal), ("recording", recording)):
        config.pluginmanager.register(part, f"nfv-{name}")
    terminal.pytest_runtest_logreport(first)
    recording.pytest_runtest_logreport(first)


def _note(used: dict[str, Any], bench: Bench, system: System) -> None:
    """Note, in JSON values, what a test was measured with."""
    name = bench.testbed.name
    used.setdefault("environment", {})[name] = bench.environment()  # each deployment may have shown more of it
    used.setdefault("versions", {})[f"{name}/{system.topology.vswitch}"] = system.version
    used.setdefault("plan", []).append("; ".join([f"{name}: {system.topology}", *system.where]))


class Deployer:
    """The `deploy` of one test: a call deploys a topology, or takes the standing one if it is equal."""

    def __init__(self, traffic: Deploy) -> None:
        self._traffic = traffic

    def __call__(self, topology: Topology) -> Traffic:
        """Return traffic through `topology`."""
        return self._traffic(topology)

    def __repr__(self) -> str:
        return "deploy"
