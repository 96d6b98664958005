"""Open vSwitch's userspace datapath without DPDK: packet sockets on veth pairs in namespaces of its own.

    generator's namespace      device's namespace
    g0  ======================  s0-RUN  <-- packet socket -->  ovs-vswitchd
    g1  ======================  s1-RUN  <-- packet socket -->  (its main thread)

The generator sends into g0. TSO and GSO are off at both ends: the datapath reads and writes whole frames. GRO is
on at s0, as that gives this end NAPI, and its NAPI is threaded: a kernel thread on the device's core, and not the
sender's own softirq, carries frames to the socket's buffer. What it would merge are segments of one TCP stream,
one after the other, and the generator's frames are none.

There is no polling thread: ovs-vswitchd's main thread sleeps, reads up to 32 frames of a socket at a time and
forwards them, between its other duties. The kernel thread goes before it on their core: of more than both can
carry, most is dropped at the socket's buffer, which holds a few hundred small frames.

g0 and g1 have addresses of their own, none of those that the generator's frames carry: `linux_bridge.py` says
why.

Run against Open vSwitch 3.1.0 on Linux 6.18.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pytest_nfv.errors import CapabilityMissing, CommandError, DeploymentError
from pytest_nfv.hosts import probe, userns
from pytest_nfv.hosts.lab import Lab, LinkState, VethEnd
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.nic import Nic
from pytest_nfv.hosts.polling import prefer, prefer_session
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.model.bottleneck import LINK_QUEUE
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.vswitches import ovs_counters, ovs_programs
from pytest_nfv.vswitches.ovs_daemons import BRIDGE, Daemons
from pytest_nfv.vswitches.ovs_rules import flow_rules, openflow_port, segment_tag
from pytest_nfv.vswitches.ovs_settings import DatapathSettings, refuse_unknown
from pytest_nfv.vswitches.protocol import ALONE, WIRE_OR_CARD, PollCycles, PortCounters, Wiring

PACKAGE = "openvswitch-switch"
_TUN = "/dev/net/tun"  # the bridge makes an interface of the kernel's, for itself
# Locally administered; the third octet is the side: generator, switch, the generator's kernel.
_GENERATOR_MAC, _SWITCH_MAC, _OUTER_MAC = (f"02:6e:{side:02x}:00:00" for side in (0, 1, 3))
_WHOLE_FRAMES = {"tso": False, "gso": False}
_SOCKETS = ("ss", "--packet", "--all", "--memory", "--numeric", "--no-header")


class Ovs:
    """Implements `vswitches.protocol.VSwitchDriver`.

    Attributes:
        notes: what a reader must know beside every figure: `device core not pinned ...`.
    """

    name: ClassVar[str] = "ovs"

    def __init__(self, lab: Lab, settings: Mapping[str, str]) -> None:
        """Make a driver; nothing is deployed yet.

        Raises:
            ConfigurationError: a setting.
        """
        refuse_unknown(self.name, settings, DatapathSettings.KEYS)
        self._datapath = DatapathSettings.of(self.name, settings)
        self._lab = lab
        self._generator: NamespaceHost | None = None
        self._device: NamespaceHost | None = None
        self._daemons: Daemons | None = None
        self._outer: tuple[NamespaceHost, ...] = ()  # where each port's outer end is
        self._far: tuple[str, ...] = ()  # and its name there
        self._uplinks: tuple[Nic, ...] = ()  # network cards' ports in the place of the generator's
        self._napi: dict[int, str] = {}
        self._reads_sockets = True
        self.notes: tuple[str, ...] = ()

    @classmethod
    def joins(cls, settings: Mapping[str, str]) -> str:
        """`veth`, whatever the settings."""
        return "veth"

    @classmethod
    def probe(cls, host: Host) -> str:
        """Return OVS's version.

        Raises:
            CapabilityMissing: no OVS, or the kernel makes no veth pair or no interface for the bridge.
        """
        ovs_programs.find(host, cls.name, ovs_programs.DATABASE, dpdk=False, package=PACKAGE)
        _, version = ovs_programs.find(host, cls.name, ovs_programs.PLAIN, dpdk=False, package=PACKAGE)
        done = host.run([sys.executable, "-I", "-S", str(Path(probe.__file__)), "veth"], check=False)
        if done.status:
            stage, _, why = (done.stderr.strip().splitlines() or [""])[-1].partition(": ")
            if stage == "namespaces":
                raise userns.refused("a network namespace", why, Path("/proc/sys"))
            raise CapabilityMissing(cls.name, f"the kernel of {host.name} makes no veth ({why})", "modprobe veth")
        if not Path(_TUN).exists():
            raise CapabilityMissing(cls.name, f"{host.name} has no {_TUN}", "sudo modprobe tun")
        return version

    @property
    def generator_host(self) -> Host:
        """Where the generator's ends of the links are: a generator is to be started there."""
        if self._generator is None:
            raise DeploymentError(f"{self.name} is not started")
        return self._generator

    @property
    def device_host(self) -> Host:
        """Where its own interfaces are."""
        if self._device is None:
            raise DeploymentError(f"{self.name} is not started")
        return self._device

    def start(self, ports: int, mtu: int, cores: Sequence[int], wiring: Wiring = ALONE) -> tuple[PortSpec, ...]:
        """Bring the switch up, all of it on `cores`.

        Raises:
            ConfigurationError: its rules cannot wire it so.
            DeploymentError: it did not come up; what was made already is removed again.
        """
        if self._generator is not None:
            raise DeploymentError(f"{self.name} is started already")
        stations = [*(f"{_GENERATOR_MAC}:{port:02x}" for port in range(ports)), *(v.address for v in wiring.vnics)]
        rules = flow_rules(self._datapath.rules, wiring, stations)
        try:
            self._start(ports, mtu, cores, wiring, rules)
        except BaseException:
            self.stop()
            raise
        return tuple(
            PortSpec("af_packet", station, mtu, {"interface": far})
            for station, far in zip(stations, self._far, strict=True)
        )

    def _start(self, ports: int, mtu: int, cores: Sequence[int], wiring: Wiring, rules: Sequence[str]) -> None:
        program, _ = ovs_programs.find(self._lab.host, self.name, ovs_programs.PLAIN, dpdk=False, package=PACKAGE)
        self._generator = None if wiring.uplinks else self._lab.namespace("gen")
        self._device = device = self._lab.namespace("dut")
        self._generator = generator = self._generator or device
        self._outer = (*(generator,) * ports, *(vnic.node for vnic in wiring.vnics))
        self._uplinks = wiring.uplinks
        notes = [*dict.fromkeys((*generator.notes, *device.notes))]
        macs = [*(f"{_OUTER_MAC}:{port:02x}" for port in range(ports)), *(v.address for v in wiring.vnics)]
        for port, mac in enumerate(macs):
            self._far += (f"g{port}" if port < ports else f"v{port}-{self._lab.run_id}",)  # as _inner
            notes += self._wire(device, port, mac, mtu, vnf=port >= ports)
        if cores and self._napi:
            notes += [f"device core not pinned: {note}" for note in self._lab.pin(self._napi, cores)]
        self._daemons = daemons = Daemons(self.name, self._lab, device, cores)
        daemons.set_options(self._datapath.config())
        words: list[str] = []
        for port in range(len(macs)):
            name = self._inner(port)
            words += ["--", "add-port", BRIDGE, name, *segment_tag(self._datapath.rules, wiring, port)]
            words += ["--", "set", "interface", name, f"ofport_request={openflow_port(port)}"]
        daemons.start_switch(program, words, rules)
        switch = daemons.pid("ovs-vswitchd")
        prefer_session(switch)
        notes += prefer({switch: "ovs-vswitchd"})
        self._reads_sockets = self._can_read_sockets(device)
        if not self._reads_sockets:
            notes.append("frames dropped at OVS's own sockets are not counted: no `ss` (Debian: iproute2)")
        self.notes = tuple(notes)

    def _wire(self, device: NamespaceHost, port: int, mac: str, mtu: int, *, vnf: bool) -> list[str]:
        """Make a port's veth pair; return notes. A VNF's end has GRO, and so NAPI, as well."""
        near = VethEnd(device, self._inner(port), f"{_SWITCH_MAC}:{port:02x}", {**_WHOLE_FRAMES, "gro": True})
        far = VethEnd(self._outer[port], self._far[port], mac, _WHOLE_FRAMES | ({"gro": True} if vnf else {}))
        if port < len(self._uplinks):
            self._lab.adopt(device, self._uplinks[port].interface, near, mtu)
        else:
            self._lab.veth(near, far, mtu)  # in this order: linux_bridge.py says why
        threads, note = self._lab.threaded(device, self._inner(port))
        self._napi.update(threads)
        return [note] if note else []

    def _inner(self, port: int) -> str:
        # With the run in it the name is unique on the machine, and so are the names of its NAPI threads.
        return f"s{port}-{self._lab.run_id}"

    def _started(self) -> Daemons:
        if self._daemons is None:
            raise DeploymentError(f"{self.name} is not started")
        return self._daemons

    def learned(self, address: str, port: int) -> bool:
        """Whether, with rules `normal`, OVS knows that `address` is at `port`; other rules learn nothing."""
        daemons = self._started()
        if self._datapath.rules != "normal":
            return True
        known = ovs_counters.learned_addresses(daemons.ask("fdb/show", BRIDGE))
        return known.get(address.lower()) == str(openflow_port(port))

    def counters(self) -> tuple[PortCounters, ...]:
        """Read every port; what OVS itself counts here are the kernel's counters, too.

        A frame that finds no room in the veth's ring is dropped at the generator's end, one that finds none in the
        buffer of OVS's socket after it was counted as received: both are the port's receive drops.
        """
        if self._generator is None or self._device is None:
            raise DeploymentError(f"{self.name} is not started")
        outer: dict[str, LinkState] = {}
        for host in dict.fromkeys(self._outer):
            outer |= self._lab.links(host) if host is not self._device else {}
        inner, full = self._lab.links(self._device), self._socket_drops(self._device)
        return tuple(self._port_counters(port, outer, inner, full) for port in range(len(self._far)))

    def _port_counters(
        self, port: int, outer: Mapping[str, LinkState], inner: Mapping[str, LinkState], full: Mapping[str, int]
    ) -> PortCounters:
        name = self._inner(port)
        alone = port < len(self._uplinks)  # its far end is nothing of ours
        try:
            far, near = inner[name] if alone else outer[self._far[port]], inner[name]
        except KeyError as error:
            raise DeploymentError(f"{self.name}: interface {error.args[0]} is gone") from error
        dropped = full.get(name, 0)
        return PortCounters(
            port=port,
            name=f"s{port}",
            rx_frames=near.rx_packets - near.rx_dropped - dropped,
            tx_frames=near.tx_packets,
            rx_drops=({} if alone else {"veth ring full": far.tx_dropped})
            | {"dropped on receipt": near.rx_dropped + near.rx_missed, "socket buffer full": dropped},
            tx_drops={"backlog full": near.tx_dropped, LINK_QUEUE: near.queue_dropped},
            unseen_as=WIRE_OR_CARD if alone else "",
        )

    def _can_read_sockets(self, device: NamespaceHost) -> bool:
        try:
            device.run(_SOCKETS)
        except CommandError:
            return False
        return True

    def _socket_drops(self, device: NamespaceHost) -> dict[str, int]:
        return ovs_counters.socket_drops(device.run(_SOCKETS).stdout) if self._reads_sockets else {}

    def threads(self) -> dict[int, str]:
        """Return every thread of OVS, and the NAPI threads that fill its sockets."""
        return {**self._napi, **self._started().threads()}

    def poll_cycles(self) -> dict[int, PollCycles]:
        """Return nothing: without DPDK no thread polls."""
        return {}

    def forwarded(self, frame: bytes) -> bytes:
        """Return the frame: no rule changes one."""
        return frame

    def check(self) -> None:
        """Raise where a daemon has ended.

        Raises:
            DeploymentError: with its last words.
        """
        self._started().check()

    def stop(self) -> None:
        """End the daemons and remove all that is theirs; safe to call twice."""
        daemons, self._daemons = self._daemons, None
        if daemons is not None:
            daemons.stop()
        for namespace in dict.fromkeys((self._device, self._generator)):
            if namespace is not None:
                self._lab.remove(namespace)
        self._device, self._generator = None, None
        self._outer, self._far, self._napi = (), (), {}
