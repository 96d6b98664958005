"""Open vSwitch with DPDK: its userspace datapath between vhost-user ports, on polling threads.

    generator  v0 ===(shared memory)=== ovs-vswitchd, a polling thread a core ===(shared memory)=== v1  generator

OVS connects to the generator's sockets (`dpdkvhostuserclient`), or serves them (`dpdkvhostuser`, which OVS calls
deprecated). The daemons are in a network namespace of their own, as the bridge makes interfaces of the kernel's.
A port is polled only once its other end is connected and OVS has reconfigured itself: `learned` waits for that.

Polling threads get the best nice value on their core, not a real-time class: one that never sleeps would be
stopped for 50 ms of each second there. As OVS's main thread shares that core and has work until all ports are
connected, they get it with the last port.

Run against Open vSwitch 3.1.0 with DPDK 22.11.11 on Linux 6.18.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from pytest_nfv.dpdk.uplinks import DpdkUplinks
from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.hosts.lab import Lab, LinkState
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.polling import may_prefer, prefer, prefer_session
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.vswitches import ovs_counters, ovs_programs
from pytest_nfv.vswitches.ovs_counters import PortStats
from pytest_nfv.vswitches.ovs_daemons import BRIDGE, Daemons
from pytest_nfv.vswitches.ovs_rules import flow_rules, openflow_port, segment_tag
from pytest_nfv.vswitches.ovs_settings import DatapathSettings, VhostSettings, refuse_unknown
from pytest_nfv.vswitches.protocol import ALONE, WIRE_OR_CARD, PollCycles, PortCounters, Wiring

PACKAGE = "openvswitch-switch-dpdk"
_RINGS_MIB = 48  # of generator and VNFs for each queue pair, so that their rings lie on huge pages too
_GENERATOR_MAC = "02:6e:00:00:00"


class OvsDpdk:
    """Implements `vswitches.protocol.VSwitchDriver`.

    Attributes:
        notes: what a reader must know beside every figure: `no huge pages: ...`.
    """

    name: ClassVar[str] = "ovs-dpdk"

    def __init__(self, lab: Lab, settings: Mapping[str, str]) -> None:
        """Make a driver; nothing is deployed yet.

        Raises:
            ConfigurationError: a setting.
        """
        refuse_unknown(self.name, settings, (*DatapathSettings.KEYS, *VhostSettings.KEYS))
        self._datapath = DatapathSettings.of(self.name, settings)
        self._vhost = VhostSettings.of(self.name, settings)
        self._lab = lab
        self._device: NamespaceHost | None = None
        self._daemons: Daemons | None = None
        self._ports = 0
        self._wiring = ALONE
        self._pairs: dict[int, int] = {}
        self._uplinks: DpdkUplinks | None = None
        self._polled: set[int] = set()  # ports that frames have come in at; of a VNF's, that are connected
        self.notes: tuple[str, ...] = ()

    @classmethod
    def joins(cls, settings: Mapping[str, str]) -> str:
        """`vhost_user`, whatever the settings."""
        return "vhost_user"

    @classmethod
    def probe(cls, host: Host) -> str:
        """Return OVS's version, and DPDK's.

        Raises:
            CapabilityMissing: no OVS that is built with DPDK.
        """
        ovs_programs.find(host, cls.name, ovs_programs.DATABASE, dpdk=False, package=PACKAGE)
        return ovs_programs.find(host, cls.name, ovs_programs.WITH_DPDK, dpdk=True, package=PACKAGE)[1]

    @property
    def generator_host(self) -> Host:
        """This machine itself: a vhost-user port is a socket and memory, in no network namespace."""
        return self._lab.host

    @property
    def device_host(self) -> Host:
        """This machine itself, as for the generator."""
        return self._lab.host

    def start(self, ports: int, mtu: int, cores: Sequence[int], wiring: Wiring = ALONE) -> tuple[PortSpec, ...]:
        """Bring the switch up, a polling thread on each of `cores`.

        Raises:
            CapabilityMissing: this machine has no room for DPDK's memory.
            ConfigurationError: its rules cannot wire it so.
            DeploymentError: it did not come up; what was made already is removed again.
        """
        if self._daemons is not None:
            raise DeploymentError(f"{self.name} is started already")
        stations = [*(f"{_GENERATOR_MAC}:{port:02x}" for port in range(ports)), *(v.address for v in wiring.vnics)]
        rules = flow_rules(self._datapath.rules, wiring, stations)
        if self._vhost.vhost == "server":
            self._pairs = wiring.pairs(len(stations), f"{self.name}, vhost=server")
        self._wiring = wiring
        queues = [self._vhost.queues] * ports + [max(self._vhost.queues, vnic.queues) for vnic in wiring.vnics]
        try:
            self._start(queues, mtu, cores, rules)
        except BaseException:
            self.stop()
            raise
        return tuple(
            PortSpec(
                "vhost_user",
                station,
                mtu,
                self._vhost.parameters(self._socket(port)) | {"queues": str(queues[port])},
            )
            for port, station in enumerate(stations)
        )

    def _start(self, queues: Sequence[int], mtu: int, cores: Sequence[int], rules: Sequence[str]) -> None:
        host = self._lab.host
        program, _ = ovs_programs.find(host, self.name, ovs_programs.WITH_DPDK, dpdk=True, package=PACKAGE)
        self._device = device = self._lab.namespace("dut")
        if self._wiring.uplinks:
            self._uplinks = DpdkUplinks(self._lab, device, self._wiring.uplinks, mtu)
        memory, notes = self._memory(queues, mtu)
        self._daemons = daemons = Daemons(self.name, self._lab, device, cores)
        self._ports = len(queues)
        daemons.set_options(
            self._datapath.config()
            | memory
            | {"dpdk-init": "true", "pmd-cpu-mask": hex(sum(1 << core for core in set(cores)))}
        )
        daemons.start_switch(program, self._bridge(queues, mtu, cores), rules)
        prefer_session(daemons.pid("ovs-vswitchd"))
        refused = may_prefer(self._polling())
        cards = (*self._uplinks.notes, *self._uplinks.pin(cores)) if self._uplinks else ()
        self.notes = (*device.notes, *notes, *cards, *refused)

    def _memory(self, queues: Sequence[int], mtu: int) -> tuple[dict[str, str], list[str]]:
        """Return DPDK's memory as `other_config` keys, and notes.

        Each port has buffers of its own, exactly as many as OVS wants: of the shared ones it tries to get 262,144
        first, and while that attempt fails, a port that is being connected finds no memory and is refused.
        OVS itself adds `--in-memory`, which leaves no files behind, unless `--legacy-mem` is there, which DPDK
        wants with `--no-huge`.
        """
        cards = self._uplinks.pci if self._uplinks else ()
        probed = " ".join(f"-a {card}" for card in cards) or "--no-pci"
        common = f"{probed} --no-telemetry --iova-mode=va --file-prefix={self._lab.run_id}"
        size = _memory_mib(queues, mtu)
        config = {"per-port-memory": "true", "dpdk-extra": common}
        enough, _ = self._lab.huge_pages(size + _RINGS_MIB * sum(queues))
        why = ""
        if not enough:
            enough, why = self._lab.huge_pages(size)
        if enough:
            return config | {"dpdk-socket-mem": str(size), "dpdk-socket-limit": str(size)}, []
        if _free_mib() < 2 * size:
            raise CapabilityMissing(self.name, why, f"give the machine {2 * size} MiB of free memory")
        # In one piece, of pages of 4 KiB, pools do not fit as closely: with what is enough on huge pages, four
        # ports did not come up, and with half as much again they did.
        plain = {"dpdk-extra": f"{common} --no-huge --legacy-mem -m {size * 3 // 2}"}
        return config | plain, [f"no huge pages for DPDK: {why}"]

    def _bridge(self, queues: Sequence[int], mtu: int, cores: Sequence[int]) -> list[str]:
        """Return the words that add a port for each of `queues`, how many it has.

        A polling thread sends by a queue of its own; to a VNF of several, each 5-tuple has one (`tx-steering`).
        """
        words: list[str] = []
        first_vnic = len(queues) - len(self._wiring.vnics)
        for port in range(len(queues)):
            name = self._port(port)
            words += ["--", "add-port", BRIDGE, name, *segment_tag(self._datapath.rules, self._wiring, port)]
            words += ["--", "set", "interface", name]
            words += [f"ofport_request={openflow_port(port)}", f"mtu_request={mtu}"]
            if self._uplinks and port < len(self._uplinks.devices):
                words += ["type=dpdk", f'options:dpdk-devargs="{self._uplinks.devices[port]}"']
            elif self._vhost.vhost == "client":
                words += ["type=dpdkvhostuserclient", f'options:vhost-server-path="{self._socket(port)}"']
            else:
                words += ["type=dpdkvhostuser"]  # its socket is called as the port, in OVS_RUNDIR
            if placed := self._vhost.placed(port, cores, queues):
                words += [f'other_config:pmd-rxq-affinity="{placed}"']
            if port >= first_vnic and queues[port] > self._vhost.queues:
                words += ["other_config:tx-steering=hash"]
        return words

    def _port(self, port: int) -> str:
        return f"v{port}"

    def _socket(self, port: int) -> str:
        return str(self._started().directory / self._port(port))

    def _started(self) -> Daemons:
        if self._daemons is None:
            raise DeploymentError(f"{self.name} is not started")
        return self._daemons

    def learned(self, address: str, port: int) -> bool:
        """Whether frames have come in at `port`, and, with rules `normal`, OVS knows that `address` is there."""
        daemons = self._started()
        if port not in self._polled:
            vnics = range(self._ports - len(self._wiring.vnics), self._ports)
            self._polled |= {one for one, stats in self._stats().items() if stats.rx or one in vnics}
            if port not in self._polled:
                return False
            if len(self._polled) == self._ports:
                prefer(self._polling())
        if self._datapath.rules != "normal":
            return True
        known = ovs_counters.learned_addresses(daemons.ask("fdb/show", BRIDGE))
        return known.get(address.lower()) == str(openflow_port(port))

    def _stats(self) -> dict[int, PortStats]:
        """Return the counters of every port that somebody is connected to.

        OVS 3.1 has none of sockets that it serves itself, but for its own drops (it does not ask DPDK's vhost
        library to count): there, rules tell what came in at each port, and what went out is what came in at the
        pair's other port less the drops.
        """
        daemons = self._started()
        found = daemons.ports()
        stats = {port: found.get(str(openflow_port(port)), PortStats()) for port in range(self._ports)}
        if self._vhost.vhost == "server" and not any(one.connected for one in stats.values()):
            came = daemons.rule_packets()
            stats = {port: _by_rules(port, self._pairs[port], one, came) for port, one in stats.items()}
        return {port: one for port, one in stats.items() if one.connected}

    def counters(self) -> tuple[PortCounters, ...]:
        """Read every port. A frame that found OVS's ring full was refused: only the generator knows of it."""
        found = self._stats()
        links = self._uplinks.links() if self._uplinks else {}
        counters = []
        for port in range(self._ports):
            name, stats = self._port(port), found.get(port)
            if stats is None:
                raise DeploymentError(f"{self.name}: port {name}: nobody is connected to {self._socket(port)}")
            counters.append(
                PortCounters(
                    port=port,
                    name=name,
                    rx_frames=stats.rx,
                    tx_frames=stats.tx,
                    rx_drops=stats.drops("rx") | self._card_drops(port, links),
                    tx_drops=stats.drops("tx"),
                    refused_as="" if port < len(self._wiring.uplinks) else "vhost ring full",
                    unseen_as=WIRE_OR_CARD if port < len(self._wiring.uplinks) else "",
                )
            )
        return tuple(counters)

    def _card_drops(self, port: int, links: Mapping[str, LinkState]) -> dict[str, int]:
        if self._uplinks is None or port >= len(self._uplinks.devices):
            return {}
        return self._uplinks.drops(port, links)

    def threads(self) -> dict[int, str]:
        """Return every thread of OVS, all on the device's cores, and those that take in what comes to cards."""
        return self._started().threads() | (self._uplinks.threads() if self._uplinks else {})

    def _polling(self) -> dict[int, str]:
        return {tid: name for tid, name in self.threads().items() if name.startswith("pmd-c")}

    def poll_cycles(self) -> dict[int, PollCycles]:
        """Return the cycles of the polling threads."""
        by_core = ovs_counters.poll_cycles(self._started().ask("dpif-netdev/pmd-stats-show"))
        return {
            tid: cycles
            for tid, name in self._polling().items()
            for core, cycles in by_core.items()
            if name.startswith(f"pmd-c{core:02d}/")
        }

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
        device, self._device = self._device, None
        self._uplinks = None
        self._polled.clear()
        if daemons is not None:
            daemons.stop()
        if device is not None:
            self._lab.remove(device)


def _by_rules(port: int, other: int, stats: PortStats, came: Mapping[str, int]) -> PortStats:
    there = came.get(str(openflow_port(other)), 0)
    dropped = sum(stats.drops("tx").values())
    return replace(stats, connected=True, rx=came.get(str(openflow_port(port)), 0), tx=max(0, there - dropped))


def _memory_mib(queues: Sequence[int], mtu: int) -> int:
    """Return what DPDK needs: 16,384 buffers a port and those that its queues can hold, and 64 MiB for the rest.

    A buffer holds a frame and DPDK's headroom, in steps of 1 kB, and some 1 kB of OVS's own account of it.
    """
    octets = -(-(mtu + 22 + 128) // 1024) * 1024 + 1024
    return 64 + sum((16_384 + one * (2048 + 2048 + 32)) * octets // (1 << 20) + 1 for one in queues)


def _free_mib() -> int:
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
