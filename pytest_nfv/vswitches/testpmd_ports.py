"""The ports of a testpmd: what the generator opens, and which device testpmd has at the other end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pytest_nfv.dpdk.settings import Settings
from pytest_nfv.dpdk.stats import PortStats
from pytest_nfv.dpdk.uplinks import DpdkUplinks
from pytest_nfv.errors import CapabilityMissing, ConfigurationError, DeploymentError
from pytest_nfv.hosts.lab import Lab, LinkState, VethEnd
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.vswitches.protocol import ALONE, WIRE_OR_CARD, PortCounters, Wiring

XDP_MTU_MAX = 3000  # tried; a frame and its headrooms must lie in a page
_GENERATOR_MAC, _SWITCH_MAC, _OUTER_MAC = (f"02:6e:{side:02x}:00:00" for side in (0, 1, 3))


class Ports(Protocol):
    """Ports of one kind."""

    @property
    def host(self) -> Host:
        """Where testpmd is to run."""
        ...

    @property
    def generator_host(self) -> Host:
        """Where the generator is to run."""
        ...

    @property
    def specs(self) -> tuple[PortSpec, ...]:
        """How the generator opens each."""
        ...

    @property
    def devices(self) -> tuple[str, ...]:
        """What testpmd makes of each, as `--vdev` takes it."""
        ...

    def pin(self, cores: Sequence[int]) -> list[str]:
        """Keep what the kernel does for the ports on the device's cores; return what could not be done."""
        ...

    def threads(self) -> dict[int, str]:
        """Return the kernel's threads that work for the ports, id to name."""
        ...

    def counters(self, stats: Sequence[PortStats]) -> tuple[PortCounters, ...]:
        """Return the counters of every port, as testpmd and the kernel tell them."""
        ...

    def close(self) -> None:
        """Remove what was made; safe to call twice."""
        ...


def make(lab: Lab, settings: Settings, folder: Path, ports: int, mtu: int, wiring: Wiring = ALONE) -> Ports:
    """Make so many ports for the generator and those of `wiring`, their sockets in `folder`.

    Raises:
        CapabilityMissing: this user may not have ports of the kind.
        ConfigurationError: the MTU is too large for them, or they face no VNF.
        DeploymentError: the kernel refuses.
    """
    if settings.ports == "af_xdp" and not wiring.uplinks:
        if wiring.vnics:
            raise ConfigurationError("testpmd: ports=af_xdp: accepted with VNFs: vhost_user, memif")
        return VethPorts(lab, settings, ports, mtu)
    return SocketPorts(lab, settings, folder, ports, mtu, wiring)


class SocketPorts:
    """vhost-user or memif: testpmd serves the sockets, the far end owns the memory and the rings.

    testpmd forwards between its ports 2k and 2k + 1: they are in the order of the wiring's segments.
    """

    def __init__(
        self, lab: Lab, settings: Settings, folder: Path, ports: int, mtu: int, wiring: Wiring = ALONE
    ) -> None:
        device = lab.namespace("dut") if wiring.uplinks else None
        self.host: Host = device or lab.host
        self.generator_host: Host = lab.host
        self._lab, self._device = lab, device
        self._uplinks = DpdkUplinks(lab, device, wiring.uplinks, mtu) if device else None
        if self._uplinks and self._uplinks.pci and wiring.vnics:
            raise ConfigurationError(
                f"testpmd: ports {', '.join(self._uplinks.pci)} are DPDK's own, which come before all others; "
                "accepted with VNFs: ports that the kernel has, or ovs-dpdk"
            )
        vhost = settings.ports != "memif"
        self._ring = "vhost ring" if vhost else "memif ring"
        stations = [*(_mac(_GENERATOR_MAC, port) for port in range(ports)), *(v.address for v in wiring.vnics)]
        sockets = [folder / (f"vhost{port}" if vhost else "memif") for port in range(len(stations))]
        given = {"role": "client", "queues": str(settings.queues)}
        if settings.slots:
            given |= {"rx_slots": str(settings.slots), "tx_slots": str(settings.slots)}
        self.specs = tuple(
            PortSpec(
                "vhost_user" if vhost else "memif",
                station,
                mtu,
                given | {"socket": str(path)} | ({} if vhost else {"id": str(port)}),
            )
            for port, (station, path) in enumerate(zip(stations, sockets, strict=True))
        )
        self._order = [port for pair in _paired(wiring, len(stations)) for port in pair]
        cards = self._uplinks.devices if self._uplinks else ()
        self.devices = tuple(
            cards[port]
            if port < len(cards)
            else f"net_vhost{port},iface={sockets[port]},queues={settings.queues}"
            if vhost
            else f"net_memif{port},role=server,id={port},socket={sockets[port]},socket-abstract=no"
            for port in self._order
        )

    def pin(self, cores: Sequence[int]) -> list[str]:
        """Pin the threads that take in what comes to network cards; of the rest the kernel has no part."""
        return [*self._uplinks.notes, *self._uplinks.pin(cores)] if self._uplinks else []

    def threads(self) -> dict[int, str]:
        """Return those threads."""
        return self._uplinks.threads() if self._uplinks else {}

    def counters(self, stats: Sequence[PortStats]) -> tuple[PortCounters, ...]:
        """Return testpmd's own; what its ring refuses is seen by the generator alone."""
        links = self._uplinks.links() if self._uplinks else {}
        cards = len(self._uplinks.devices) if self._uplinks else 0
        dropped = [self._uplinks.drops(port, links) for port in range(cards)] if self._uplinks else []
        return tuple(
            PortCounters(
                port=port,
                name=f"testpmd port {port}",
                rx_frames=one.received,
                tx_frames=one.sent,
                rx_drops={"rx missed": one.missed, "rx errors": one.errors, "no mbuf": one.no_buffer}
                | (dropped[port] if port < cards else {}),
                tx_drops={f"tx {'ring' if port < cards else self._ring} full": one.dropped},
                refused_as="" if port < cards else f"rx {self._ring} full",
                unseen_as=WIRE_OR_CARD if port < cards else "",
            )
            for port, one in sorted(zip(self._order, stats, strict=True), key=lambda pair: pair[0])
        )

    def close(self) -> None:
        """Give network cards back; the sockets go with their folder."""
        if self._device is not None:
            self._lab.remove(self._device)


class VethPorts:
    """AF_XDP on the device's ends of veth pairs; the generator has the other ends by AF_PACKET.

    As for linux-bridge, a kernel thread on the device's core takes the frames in (threaded NAPI), and the frames'
    addresses are none of the kernel's own.
    """

    def __init__(self, lab: Lab, settings: Settings, ports: int, mtu: int) -> None:
        if lab.rootless:
            raise CapabilityMissing(
                "testpmd",
                "ports=af_xdp needs bpf(2), which the root of a user namespace may not call",
                "run as root, or choose ports=vhost_user or ports=memif",
            )
        if mtu > XDP_MTU_MAX:
            raise ConfigurationError(f"testpmd: mtu {mtu}: accepted with ports=af_xdp: up to {XDP_MTU_MAX}")
        self._lab = lab
        self._count = ports
        self._threads: dict[int, str] = {}
        self._notes: list[str] = []
        self._generator: NamespaceHost = lab.namespace("gen")
        self._device: NamespaceHost | None = None
        try:
            self._device = lab.namespace("dut")
            self._wire(self._device, mtu)
        except BaseException:
            self.close()
            raise
        self.host: Host = self._device
        self.generator_host: Host = self._generator
        self.specs = tuple(
            PortSpec("af_packet", _mac(_GENERATOR_MAC, port), mtu, {"interface": f"g{port}"})
            for port in range(ports)
        )
        self.devices = tuple(f"net_af_xdp{port},iface={self._inner(port)}" for port in range(ports))

    def _wire(self, device: NamespaceHost, mtu: int) -> None:
        for port in range(self._count):
            self._lab.veth(
                VethEnd(self._generator, f"g{port}", _mac(_OUTER_MAC, port), {"tso": False, "gso": False}),
                VethEnd(device, self._inner(port), _mac(_SWITCH_MAC, port), {"gro": True}),
                mtu,
            )
            threads, note = self._lab.threaded(device, self._inner(port))
            self._threads |= threads
            self._notes += [note] if note else []

    def _inner(self, port: int) -> str:
        return f"s{port}-{self._lab.run_id}"  # unique on the machine, and so are the names of its NAPI threads

    def pin(self, cores: Sequence[int]) -> list[str]:
        """Pin the NAPI threads."""
        pinned = self._lab.pin(self._threads, cores) if cores and self._threads else []
        return self._notes + [f"device core not pinned: {note}" for note in pinned]

    def threads(self) -> dict[int, str]:
        """Return the NAPI threads."""
        return dict(self._threads)

    def counters(self, stats: Sequence[PortStats]) -> tuple[PortCounters, ...]:
        """Return testpmd's own, and what the kernel dropped before it or after it.

        Raises:
            DeploymentError: an interface is gone.
        """
        if self._device is None:
            raise DeploymentError("testpmd: its ports are closed")
        outer, inner = self._lab.links(self._generator), self._lab.links(self._device)
        try:
            pairs = [(outer[f"g{port}"], inner[self._inner(port)]) for port in range(self._count)]
        except KeyError as error:
            raise DeploymentError(f"testpmd: interface {error.args[0]} is gone") from error
        return tuple(_of_veth(port, one, *pairs[port]) for port, one in enumerate(stats))

    def close(self) -> None:
        """Remove both namespaces, and with them the links and their XDP programs."""
        for namespace in (self._device, self._generator):
            if namespace is not None:
                self._lab.remove(namespace)


def _of_veth(port: int, stats: PortStats, far: LinkState, near: LinkState) -> PortCounters:
    """Return a port's counters; what the kernel drops after testpmd has sent it was not put out."""
    return PortCounters(
        port=port,
        name=f"testpmd port {port}",
        rx_frames=stats.received,
        tx_frames=stats.sent - near.tx_dropped,
        rx_drops={
            "veth ring full": far.tx_dropped,
            "rx AF_XDP ring full": near.rx_dropped,
            "rx errors": stats.errors,
            "no mbuf": stats.no_buffer,
        },
        tx_drops={"tx AF_XDP ring full": stats.dropped, "backlog full": near.tx_dropped},
    )


def _paired(wiring: Wiring, ports: int) -> list[tuple[int, int]]:
    other = wiring.pairs(ports, "testpmd")
    return [(port, other[port]) for port in sorted(other) if port < other[port]]


def _mac(prefix: str, port: int) -> str:
    return f"{prefix}:{port:02x}"
