"""What carries a VNF's function out, each told in one way: the engines of `vnfs/`, as a deployment runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from pytest_nfv.deployment.wiring import Instance
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.polling import place_below
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.model.nf import Drop, Function
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.vnf import VNF
from pytest_nfv.vnfs.kernel import KernelEngine
from pytest_nfv.vnfs.numpy_engine import OVERRUNS_ARE_FRAMES, NumpyEngine
from pytest_nfv.vnfs.protocol import EngineCounts, VnicCounters
from pytest_nfv.vnfs.testpmd import TestpmdEngine
from pytest_nfv.vnfs.vm_reading import CpuTimes
from pytest_nfv.vnfs.xdp import XdpEngine
from pytest_nfv.vswitches.protocol import PollCycles


@dataclass(frozen=True, slots=True)
class VnfCounters:
    """Counters of one instance.

    Attributes:
        nics: of vNIC 0 and 1.
        dropped: by the function, by reason, of frames of either direction, where `nics` do not tell them apart.
    """

    nics: tuple[VnicCounters, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one instance is.

    Attributes:
        node: its network namespace; host: where its process starts, if it has one.
        nics: how its vNICs are opened.
        cores: where it runs; shared: others poll there too.
    """

    lab: Lab
    instance: Instance
    function: Function
    node: NamespaceHost
    host: Host
    nics: tuple[PortSpec, ...]
    cores: tuple[int, ...]
    shared: bool

    @property
    def interfaces(self) -> tuple[str, str]:
        """The vNICs' names, where they are interfaces."""
        first, second = (nic.parameters["interface"] for nic in self.nics)
        return first, second


class Running(Protocol):
    """An instance at work."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be read beside every figure."""
        ...

    def counters(self) -> VnfCounters:
        """Read its counters."""
        ...

    def threads(self) -> dict[int, str]:
        """Return what forwards, id to name."""
        ...

    def poll_cycles(self) -> dict[int, PollCycles]:
        """Return the cycles of threads that poll and tell."""
        ...

    def guest(self) -> CpuTimes | None:
        """Return what the processors of its guest did so far; None where it is no virtual machine."""
        ...

    def check(self) -> None:
        """Raise where it is gone, with its last words."""
        ...

    def stop(self) -> None:
        """End it; safe to call twice."""
        ...


class _Quiet:
    """What most do not have."""

    notes: tuple[str, ...] = ()

    def threads(self) -> dict[int, str]:
        return {}

    def poll_cycles(self) -> dict[int, PollCycles]:
        return {}

    def guest(self) -> CpuTimes | None:
        return None


class _Kernel(_Quiet):
    """The kernel, or an XDP program, between two interfaces; what forwards is their NAPI."""

    _Engine: ClassVar[type[KernelEngine] | type[XdpEngine]] = KernelEngine

    def __init__(self, place: Place) -> None:
        self._threads, napi = _napi(place)
        self._engine = self._made(place)
        self._engine.start()
        self.notes = (*napi, *getattr(self._engine, "notes", ()))

    @staticmethod
    def _made(place: Place) -> KernelEngine | XdpEngine:
        return KernelEngine(place.lab, place.node, place.function, place.interfaces)

    def counters(self) -> VnfCounters:
        told: EngineCounts = self._engine.counters()
        return VnfCounters(told.nics, told.drops)

    def threads(self) -> dict[int, str]:
        return dict(self._threads)

    def check(self) -> None:
        self._engine.check()

    def stop(self) -> None:
        self._engine.stop()


class _Xdp(_Kernel):
    @staticmethod
    def _made(place: Place) -> KernelEngine | XdpEngine:
        return XdpEngine(place.lab, place.node, place.function, place.interfaces, place.host)


class _Numpy(_Quiet):
    """Our own engine, a process between two ports of any kind."""

    def __init__(self, place: Place) -> None:
        self._counts_frames = tuple(nic.kind in OVERRUNS_ARE_FRAMES for nic in place.nics)
        self._napi, notes = _napi(place) if "interface" in place.nics[0].parameters else ({}, ())
        self._engine = NumpyEngine(place.host, None)
        try:
            # Where it has a core to itself: beside a thread that polls it takes ten times as long to come up.
            self._engine.start()
            pinned = place_below(self._engine.process_id(), place.cores[:1])
            self._engine.open(place.nics)
            self._engine.run(place.function, share=place.shared)
        except BaseException:
            self._engine.close()
            raise
        self.notes = (*notes, *pinned)

    def counters(self) -> VnfCounters:
        nics = self._engine.counters().nics
        full = Drop.TX_FULL
        return VnfCounters(
            tuple(
                VnicCounters(
                    nic.received,
                    nic.sent,
                    {"ring full": nic.overruns} if counted else {},
                    {"tx ring full": nic.dropped.get(full, 0)},
                    {str(why): count for why, count in nic.dropped.items() if why is not full},
                )
                for nic, counted in zip(nics, self._counts_frames, strict=True)
            )
        )

    def threads(self) -> dict[int, str]:
        return {**self._napi, **self._engine.threads()}

    def poll_cycles(self) -> dict[int, PollCycles]:
        told = self._engine.counters()
        worker = self._engine.worker()  # not the greatest id: they begin anew
        spent = PollCycles(told.busy_ns, told.ran_ns, counted=False, held_ns=told.held_ns)
        return {worker: spent} if worker in self._engine.threads() else {}

    def check(self) -> None:
        self._engine.counters()

    def stop(self) -> None:
        self._engine.close()


class _Testpmd(_Quiet):
    def __init__(self, place: Place) -> None:
        self._napi, notes = _napi(place) if "interface" in place.nics[0].parameters else ({}, ())
        self._engine = TestpmdEngine(place.lab, place.host, place.function, place.instance.name)
        self._engine.start(place.nics, place.cores)
        self.notes = (*notes, *self._engine.notes)

    def counters(self) -> VnfCounters:
        return VnfCounters(self._engine.counters())

    def threads(self) -> dict[int, str]:
        return {**self._napi, **self._engine.threads()}

    def poll_cycles(self) -> dict[int, PollCycles]:
        return {tid: PollCycles(busy, ran) for tid, (busy, ran) in self._engine.cycles().items()}

    def check(self) -> None:
        self._engine.check()

    def stop(self) -> None:
        self._engine.stop()


_ENGINES: dict[str, Callable[[Place], Running]] = {
    "kernel": _Kernel,
    "numpy": _Numpy,
    "testpmd": _Testpmd,
    "xdp": _Xdp,
}


def run(place: Place, vnf: VNF) -> Running:
    """Start a VNF's function at a place, which is no virtual machine: those are in `guests`.

    Raises:
        CapabilityMissing: something that it needs is not here.
        ConfigurationError: the engine has no such function.
        DeploymentError: it did not come up.
    """
    return _ENGINES[vnf.engine](place)


def _napi(place: Place) -> tuple[dict[int, str], tuple[str, ...]]:
    """Let a thread on the VNF's core take in what comes to each interface; return the threads, and notes."""
    threads: dict[int, str] = {}
    notes: list[str] = []
    for interface in place.interfaces:
        found, note = place.lab.threaded(place.node, interface)
        threads |= found
        notes += [note] if note else []
    if place.cores and threads:
        notes += [f"{place.instance.name} is not pinned: {note}" for note in place.lab.pin(threads, place.cores)]
    return threads, tuple(notes)
