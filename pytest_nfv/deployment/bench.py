"""A testbed in use by this run: at most one deployment at a time, shared while tests ask for the same one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pytest_nfv.deployment import rig_care
from pytest_nfv.deployment.care import Care, Place
from pytest_nfv.deployment.clocking import DeviceClock, Tuner
from pytest_nfv.deployment.deploy import Deployment
from pytest_nfv.deployment.labs import RigLabs
from pytest_nfv.deployment.limits import Limits, cache_file
from pytest_nfv.deployment.observer import Observer
from pytest_nfv.deployment.plan import Placement, place
from pytest_nfv.deployment.ready import roles_of
from pytest_nfv.deployment.rig_plan import place_on_rig
from pytest_nfv.deployment.system import DeployedSystem, SimulatedSystem, System
from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.hosts.cores import usable_cores
from pytest_nfv.hosts.facts import read_facts
from pytest_nfv.hosts.hold import Hold
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.hosts.reap import reap
from pytest_nfv.hosts.survey import survey
from pytest_nfv.model.testbed import Testbed
from pytest_nfv.model.topology import Topology


class Bench:
    """Owns the lab of one testbed for the length of a run.

    Attributes:
        clock: of the device's cores, as the running test asks.
        care: of its hosts, before the first trial.

    A testbed that could not be reached, held or put back stays broken, and so does one whose agent was lost: that
    gave back the lock and the settings, so that nothing more may be measured there. Every later test stops at
    once, saying why. So does a topology that did not come up, for later tests of the same. A deployment that
    broke while it was measured is thrown away, and the next test gets a new one.
    """

    def __init__(
        self, testbed: Testbed, run_id: str, observer: Observer, hold: Hold, ssh_config: Path | None = None
    ) -> None:
        """Own nothing yet; `hold` waits for the locks of the testbed's hosts."""
        self.testbed = testbed
        self.clock = DeviceClock(testbed)
        self.care = Care()
        self._run_id = run_id
        self._hold = hold
        self._held = False
        self._observer = observer
        self._host = LocalHost(run_id)
        self._limits = Limits(cache_file())
        self._lab: Lab | None = None
        self._labs = RigLabs(testbed.rig, ssh_config) if testbed.rig else None
        self._current: Deployment | None = None
        self._broken = ""
        self._failed: dict[Topology, str] = {}
        self._allowed = os.sched_getaffinity(0)
        self._usable = usable_cores()  # now: later we keep off the device's

    def hosts(self) -> Mapping[str, Host]:
        """Return the hosts by role, and those of a rig by name too."""
        if self._labs is not None:
            named, rig = self._labs.hosts(), self._labs.rig
            return {**named, "device": named[rig.devices[0]], "generator": named[rig.generator]}
        return {"device": self._host, "generator": self._host}

    def environment(self) -> dict[str, object]:
        """Return the facts that every figure from here depends on, for the record."""
        if self._labs is not None:
            hosts = self._labs.hosts()
            facts = {name: self._labs.facts(name).to_json() | self.care.seen(name) for name in hosts}
            return {"testbed": self.testbed.to_json(), "host": facts[self._labs.rig.devices[0]], "hosts": facts}
        mine = read_facts(self._host).to_json() | self.care.seen(self._host.name)
        return {"testbed": self.testbed.to_json(), "host": mine}

    def system(self, topology: Topology) -> System:
        """Return `topology`, deployed; the standing deployment if it is an equal one.

        Raises:
            CapabilityMissing: the testbed lacks something.
            DeploymentError: it did not come up, or the testbed broke earlier.
        """
        if self.testbed.kind == "sim":
            return SimulatedSystem(self.testbed, topology)
        self._broken = self._broken or self._lost()
        if self._broken:
            raise DeploymentError(f"testbed {self.testbed.name} broke earlier: {self._broken}")
        with self._for_good():
            placement = self._place(topology)
        topology = placement.topology
        if topology in self._failed:
            raise DeploymentError(f"{topology} did not come up before: {self._failed[topology]}")
        if self._current is not None and (self._current.placement != placement or self._current.broken):
            self._take_down()
        if self._current is None:
            self._observer.deploying(str(topology))
            self._keep_off(self._cores_here(placement))
            with self._for_good():
                self.care.take(self._places(placement))
            try:
                self._current = Deployment(placement, self._held_rig() or self._the_lab())
            except CapabilityMissing:
                raise
            except DeploymentError as error:
                self._failed[topology] = str(error)
                raise
        self._current.frequency = self.clock.hold(self._clocks(placement))
        return DeployedSystem(self._current, self._limits)

    def _lost(self) -> str:
        """Return why a host is not ours any more; empty while all are."""
        lost = next((one.broken for one in (self._labs, self._lab) if one is not None and one.broken), "")
        return f"{lost}; without it nothing is held or set there any more" if lost else ""

    @contextmanager
    def _for_good(self) -> Iterator[None]:
        """Let what goes wrong within be the end of the testbed: not every test shall find out anew."""
        try:
            yield
        except DeploymentError as error:
            self._broken = str(error)
            raise

    def _place(self, topology: Topology) -> Placement:
        if self._labs is not None:
            return place_on_rig(topology, self.testbed, self._labs.cores())
        return place(topology, self.testbed, self._usable)

    def _cores_here(self, placement: Placement) -> Sequence[Sequence[int]]:
        if self._labs is not None:
            return rig_care.cores_here(self._labs, placement)
        return [placement.device_cores]

    def _keep_off(self, used: Sequence[Sequence[int]]) -> None:
        """Keep pytest, and all that it starts from now on, off cores until `close`, as far as others are left.

        A ring of 256 frames overflows in 1.7 ms at 150 kpps: even a progress line, drawn on that core, can lose
        frames.
        """
        elsewhere = self._allowed
        for cores in used:
            elsewhere = elsewhere.difference(cores) or elsewhere
        os.sched_setaffinity(0, elsewhere)

    def _places(self, placement: Placement) -> dict[str, Place]:
        """Return each host's share; all are held by now, so that nothing is set under another run's trials."""
        rig = self._held_rig()
        if rig is not None:
            return rig_care.places(rig, placement)
        roles, may_change = roles_of(placement), self.testbed.may_change
        mine = Place(self._the_lab(), survey, lambda: read_facts(self._host), roles, (), may_change)
        return {self._host.name: mine}

    def _clocks(self, placement: Placement) -> list[tuple[Tuner, tuple[int, ...]]]:
        """Return where the device's cores are."""
        if self._labs is not None:
            return rig_care.clocks(self._labs, placement)
        return [(self._the_lab(), placement.clocked_cores)]

    def _the_lab(self) -> Lab:
        if self._lab is None:
            with ExitStack() as undo:
                lab = Lab(self._host, self._run_id)
                undo.callback(lab.close)
                self._take({self._host.name: lab})
                reap()  # by now, whoever was waited for may have been killed
                undo.pop_all()
            self._lab = lab
        return self._lab

    def _held_rig(self) -> RigLabs | None:
        """Return the rig, all of its hosts held; None where there is none."""
        if self._labs is not None and not self._held:
            self._take({name: self._labs.lab(name) for name in self._labs.hosts()})
        return self._labs

    def _take(self, labs: Mapping[str, Lab]) -> None:
        """Wait until no other run measures on these hosts."""
        self._hold(labs)
        self._held = True

    def _take_down(self) -> None:
        current, self._current = self._current, None
        if current is not None:
            with self._for_good():
                current.close()

    def close(self) -> None:
        """Put everything back; safe to call twice."""
        try:
            self._take_down()
        finally:
            lab, self._lab = self._lab, None
            os.sched_setaffinity(0, self._allowed)
            with ExitStack() as ends:
                for one in (self._labs, lab):
                    if one is not None:
                        ends.callback(one.close)
                ends.callback(self.care.release)
                self.care.told += self.clock.done()
