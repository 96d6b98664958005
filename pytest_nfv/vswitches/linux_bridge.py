"""The Linux kernel's learning bridge, between veth pairs in namespaces of its own.

    generator's namespace      device's namespace
    g0  ======================  s0-RUN --+
                                        br0
    g1  ======================  s1-RUN --+

The generator sends into g0. TSO and GSO are off there, so that what it hands over is one frame each; GRO is on at
s0, which gives that end NAPI, and its NAPI is threaded: a kernel thread on the device's core takes the frames in,
forwards them and delivers them to g1, instead of the sender's own softirq. bridge-netfilter is off: with it on,
the kernel silently drops frames whose IP header is not perfect.

g0 and g1 have addresses of their own; those of the generator's ports, which the frames carry, are none of the
kernel's. So the kernel of the generator's namespace is done with a frame once the packet socket has it, as one for
"another host". With g1's own address in it, each frame went on into IP, for a route that is not there, and the
device's core paid for that: at 148.8 kpps both ways it was busy for 0.78 s of a second instead of 0.59 s, and a
run of RCU callbacks after each tick let rings of 256 overflow.

A port for a VNF is such a pair too, whose far end is in the VNF's namespace, and that has a thread of its own
there: it takes in what the bridge sends. A virtual machine's is a tap interface, a port of the bridge itself; what
it sends
is forwarded by the thread that sends. Each segment is a bridge of its own.

Where the generator is on another host, its ports are those of network cards: they are taken into the device's
namespace, in the place of the pairs, under the same names.

For applications each outer end is in a namespace of its own, `app0`, `app1`, and all is left as the kernel has it:
the sender's own system call forwards the frame and delivers it to the receiver's socket.

Run against Linux 6.18.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pytest_nfv.errors import CapabilityMissing, ConfigurationError, DeploymentError
from pytest_nfv.hosts import probe, tap, userns
from pytest_nfv.hosts.lab import Lab, LinkState, VethEnd
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.model.bottleneck import LINK_QUEUE
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.vswitches.protocol import ALONE, WIRE_OR_CARD, Attachment, PollCycles, PortCounters, Wiring

PORTS = ("af_packet", "af_xdp")
"""Kinds of the generator's ports; AF_XDP sends about twice as fast, and wants root."""
# Locally administered; the third octet is the side: generator, switch, the bridge itself, the generator's kernel.
_NETWORK, _PREFIX = "198.18.0", 24  # of RFC 2544's own 198.18.0.0/15
_GENERATOR_MAC, _SWITCH_MAC, _BRIDGE_MAC, _OUTER_MAC = (f"02:6e:{side:02x}:00:00" for side in (0, 1, 2, 3))


class LinuxBridge:
    """Implements `vswitches.protocol.VSwitchDriver`.

    Attributes:
        notes: what a reader must know beside every figure: `device core not pinned ...`.
    """

    name: ClassVar[str] = "linux-bridge"

    def __init__(self, lab: Lab, settings: Mapping[str, str]) -> None:
        """Make a driver; nothing is deployed yet.

        Raises:
            ConfigurationError: a setting is unknown, or its value.
        """
        unknown = sorted(settings.keys() - {"ports"})
        if unknown:
            raise ConfigurationError(f"{self.name}: unknown setting {', '.join(unknown)}; accepted: ports")
        self._kind = settings.get("ports", PORTS[0])
        if self._kind not in PORTS:
            raise ConfigurationError(f"{self.name}: ports={self._kind!r}: accepted: {', '.join(PORTS)}")
        self._lab = lab
        self._outer: tuple[NamespaceHost, ...] = ()  # where each port's outer end is
        self._device: NamespaceHost | None = None
        self._ports = 0
        self._far: tuple[str, ...] = ()  # each port's outer end, by its name there
        self._wiring = ALONE
        self._taps: set[int] = set()
        self._threads: dict[int, str] = {}
        self.notes: tuple[str, ...] = ()

    @classmethod
    def joins(cls, settings: Mapping[str, str]) -> str:
        """`veth`, whatever the settings."""
        return "veth"

    @classmethod
    def probe(cls, host: Host) -> str:
        """Return the kernel's release, once it has made a bridge and a veth pair for us.

        Raises:
            CapabilityMissing: it makes no namespace, no bridge or no veth pair.
        """
        argv = [sys.executable, "-I", "-S", str(Path(probe.__file__)), "bridge", "veth"]
        done = host.run(argv, check=False)
        if done.status == 0:
            return done.stdout.strip()
        stage, _, why = (done.stderr.strip().splitlines() or [""])[-1].partition(": ")
        if stage == "namespaces":
            raise userns.refused("a network namespace", why, Path("/proc/sys"))
        raise CapabilityMissing(
            cls.name,
            f"the kernel of {host.name} makes no {stage} ({why})",
            f"load it (`sudo modprobe {stage}`), or boot a kernel that has it",
        )

    @property
    def generator_host(self) -> Host:
        """Where the generator's ends of the links are: a generator is to be started there."""
        if not self._outer:
            raise DeploymentError(f"{self.name} is not started")
        return self._outer[0]

    @property
    def device_host(self) -> Host:
        """Where the bridge is."""
        if self._device is None:
            raise DeploymentError(f"{self.name} is not started")
        return self._device

    def start(self, ports: int, mtu: int, cores: Sequence[int], wiring: Wiring = ALONE) -> tuple[PortSpec, ...]:
        """Bring the bridge up, its receive threads on `cores`.

        Raises:
            DeploymentError: the kernel refuses; what was made already is removed again.
        """
        self._not_yet_started()
        try:
            return self._start(ports, mtu, cores, wiring)
        except BaseException:
            self.stop()
            raise

    def start_applications(self, count: int, mtu: int, *, addressed: bool) -> tuple[Attachment, ...]:
        """Bring the bridge up with an application's namespace at each port.

        Raises:
            DeploymentError: the kernel refuses; what was made already is removed again.
        """
        self._not_yet_started()
        try:
            return self._start_applications(count, mtu, addressed)
        except BaseException:
            self.stop()
            raise

    def _not_yet_started(self) -> None:
        if self._outer:
            raise DeploymentError(f"{self.name} is started already")

    def _start_applications(self, count: int, mtu: int, addressed: bool) -> tuple[Attachment, ...]:
        for port in range(count):
            self._outer = (*self._outer, self._lab.namespace(f"app{port}"))
        self._device = device = self._lab.namespace("dut")
        macs = [_mac(_GENERATOR_MAC, port) for port in range(count)]
        ips = [f"{_NETWORK}.{port + 1}" for port in range(count)] if addressed else [""] * count
        for port in range(count):
            inner = VethEnd(device, self._inner(port), _mac(_SWITCH_MAC, port))
            self._lab.veth(VethEnd(self._outer[port], _outer(port), macs[port]), inner, mtu)
            if addressed:
                others = {ip: mac for ip, mac in zip(ips, macs, strict=True) if ip != ips[port]}
                self._lab.address(self._outer[port], _outer(port), ips[port], _PREFIX, others)
        self._far = tuple(_outer(port) for port in range(count))
        self._join(device, count)
        self.notes = tuple(note for host in (*self._outer, device) for note in host.notes)
        self.check()
        return tuple(Attachment(self._outer[port], _outer(port), macs[port], ips[port]) for port in range(count))

    def _join(self, device: NamespaceHost, ports: int) -> None:
        self._ports = ports
        for number, segment in enumerate(self._wiring.of(ports)):
            inner = [self._inner(port) for port in segment]
            self._lab.bridge(device, _bridge(number), _mac(_BRIDGE_MAC, number), inner)

    def _start(self, ports: int, mtu: int, cores: Sequence[int], wiring: Wiring) -> tuple[PortSpec, ...]:
        generator = None if wiring.uplinks else self._lab.namespace("gen")
        self._outer = () if generator is None else (generator,)
        self._device = device = self._lab.namespace("dut")
        generator = generator or device
        self._outer = (*(generator,) * ports, *(vnic.node for vnic in wiring.vnics))
        self._wiring = wiring
        notes = [*dict.fromkeys((*generator.notes, *device.notes))]
        macs = [*(_mac(_OUTER_MAC, port) for port in range(ports)), *(vnic.address for vnic in wiring.vnics)]
        self._taps = {port for port, vnic in enumerate(wiring.vnics, ports) if vnic.tap}
        self._far = tuple(_outer(port) if port < ports else self._vnic(port) for port in range(len(macs)))
        for port, mac in enumerate(macs):
            if port in self._taps:
                words = (self._inner(port), str(mtu), str(wiring.vnics[port - ports].queues))
                device.run([sys.executable, "-I", "-S", str(Path(tap.__file__)), *words])
                continue
            offloads = {"tso": False, "gso": False} | ({"gro": True} if port >= ports else {})
            # Without TSO at an end, the kernel lets the other's NAPI take in what it sends: the VNF's own thread.
            whole = {"tso": False, "gso": False} if port >= ports else {}
            near = VethEnd(device, self._inner(port), _mac(_SWITCH_MAC, port), whole | {"gro": True})
            if port < len(wiring.uplinks):
                self._lab.adopt(device, wiring.uplinks[port].interface, near, mtu)
            else:
                # The far end is made last: only one that finds the other with NAPI takes what XDP redirects to it.
                self._lab.veth(near, VethEnd(self._outer[port], self._far[port], mac, offloads), mtu)
            threads, note = self._lab.threaded(device, self._inner(port))
            self._threads.update(threads)
            notes += [note] if note else []
        self._join(device, len(macs))
        for segment in wiring.segments:  # of two ports the one is not the other: nothing to be known
            for port in segment if len(segment) > 2 else ():
                if port >= ports:
                    self._lab.station(device, self._inner(port), wiring.vnics[port - ports].address)
        if cores and self._threads:
            notes += [f"device core not pinned: {note}" for note in self._lab.pin(self._threads, cores)]
        self.notes = tuple(notes)
        self.check()
        own = tuple(
            PortSpec(self._kind, _mac(_GENERATOR_MAC, port), mtu, {"interface": self._far[port]})
            for port in range(ports)
        )
        return own + tuple(
            PortSpec("tap", vnic.address, mtu, {"interface": self._inner(port)})
            if vnic.tap
            else PortSpec("af_packet", vnic.address, mtu, {"interface": self._far[port]})
            for port, vnic in enumerate(wiring.vnics, ports)
        )

    def _vnic(self, port: int) -> str:
        return f"v{port}-{self._lab.run_id}"  # as _inner

    def _inner(self, port: int) -> str:
        # With the run in it the name is unique on the machine, and so are the names of its NAPI threads.
        return f"s{port}-{self._lab.run_id}"

    def _links(self) -> tuple[dict[str, LinkState], dict[str, LinkState]]:
        if not self._outer or self._device is None:
            raise DeploymentError(f"{self.name} is not started")
        outer: dict[str, LinkState] = {}
        for host in dict.fromkeys(self._outer):
            outer |= self._lab.links(host) if host is not self._device else {}
        return outer, self._lab.links(self._device)

    def learned(self, address: str, port: int) -> bool:
        """Whether the bridge has learned `address` at `port`, and nowhere else."""
        if self._device is None:
            raise DeploymentError(f"{self.name} is not started")
        entries = self._lab.learned(self._device, _bridge(self._wiring.segment(port)))
        return {where for who, where in entries if who == address.lower()} == {self._inner(port)}

    def counters(self) -> tuple[PortCounters, ...]:
        """Read the counters of every port.

        A frame that finds the switch's receive ring full never reaches the switch's end: the kernel counts it as
        dropped at the generator's end. It is the switch that was too slow, so it is the port's receive drop. One
        that the kernel drops later on its way in is among those received too, and is counted once only here.
        """
        outer, inner = self._links()
        return tuple(self._port_counters(port, outer, inner) for port in range(self._ports))

    def _port_counters(
        self, port: int, outer: Mapping[str, LinkState], inner: Mapping[str, LinkState]
    ) -> PortCounters:
        alone = port in self._taps or port < len(self._wiring.uplinks)  # its far end is nothing of ours
        try:
            far = inner[self._inner(port)] if alone else outer[self._far[port]]
            near = inner[self._inner(port)]
        except KeyError as error:
            raise DeploymentError(f"{self.name}: interface {error.args[0]} is gone") from error
        return PortCounters(
            port=port,
            name=f"s{port}",
            rx_frames=near.rx_packets - near.rx_dropped,
            tx_frames=near.tx_packets,
            rx_drops=({} if alone else {"veth ring full": far.tx_dropped})
            | {"dropped on receipt": near.rx_dropped + near.rx_missed},
            tx_drops={"tap queue full": near.tx_dropped + near.queue_dropped}  # whoever reads the tap was too slow
            if port in self._taps
            else {"backlog full": near.tx_dropped, LINK_QUEUE: near.queue_dropped},
            unseen_as=WIRE_OR_CARD if port < len(self._wiring.uplinks) else "",
        )

    def threads(self) -> dict[int, str]:
        """Return the NAPI threads that forward; empty where the kernel gave none."""
        return dict(self._threads)

    def poll_cycles(self) -> dict[int, PollCycles]:
        """Return nothing: the kernel's threads sleep where there is nothing to do."""
        return {}

    def forwarded(self, frame: bytes) -> bytes:
        """Return the frame: a bridge changes none."""
        return frame

    def check(self) -> None:
        """Raise where the bridge or a port of it is gone, down or taken out.

        Raises:
            DeploymentError: with everything that is amiss.
        """
        outer, inner = self._links()
        amiss: list[str] = []
        for number, segment in enumerate(self._wiring.of(self._ports)):
            amiss += _amiss(inner, _bridge(number), "")
            for port in segment:
                if port not in self._taps and port >= len(self._wiring.uplinks):
                    amiss += _amiss(outer, self._far[port], None)
                amiss += _amiss(inner, self._inner(port), _bridge(number))
        if amiss:
            raise DeploymentError(f"{self.name}: {'; '.join(amiss)}")

    def stop(self) -> None:
        """Remove the bridge, its links and all namespaces; safe to call twice."""
        vnfs = [vnic.node for vnic in self._wiring.vnics]  # theirs, and removed with them
        for namespace in dict.fromkeys((self._device, *reversed(self._outer))):
            if namespace is not None and namespace not in vnfs:
                self._lab.remove(namespace)
        self._device, self._outer, self._far, self._wiring = None, (), (), ALONE
        self._threads = {}


def _outer(port: int) -> str:
    return f"g{port}"


def _bridge(segment: int) -> str:
    return f"br{segment}"


def _mac(prefix: str, port: int) -> str:
    return f"{prefix}:{port:02x}"


def _amiss(links: Mapping[str, LinkState], name: str, master: str | None) -> list[str]:
    """Say what is wrong with an interface; a master of None may be any."""
    link = links.get(name)
    if link is None:
        return [f"interface {name} is gone"]
    wrong = [] if link.up else [f"interface {name} is down"]
    if master is not None and link.master != master:
        wrong.append(f"interface {name} is no longer a port of {master}")
    return wrong
