"""The kernel as a network function: a bridge, IP forwarding, nftables; run against Linux 6.18 and nftables 1.0.6.

It differs from `model.nf` where a kernel cannot be kept from it:

- L2Fwd, Firewall (a bridge of both vNICs): frames whose source is no station's address are dropped, as are those
  to 01-80-C2-00-00-00, -01 and -02, which IEEE 802.1Q keeps on one link.
- L3Fwd (IP forwarding): only frames to the vNIC's own MAC address are taken; martian addresses (0/8, 127/8,
  broadcast, multicast) go nowhere; options are carried out; octets behind the packet are cut off.

No packet of the kernel's own comes out: ICMP errors are dropped by a table in the output hook.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from shutil import which
from typing import ClassVar

from pytest_nfv.errors import CapabilityMissing, ConfigurationError, DeploymentError
from pytest_nfv.hosts.lab import Lab, LinkState
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.model.bottleneck import LINK_QUEUE
from pytest_nfv.model.nf import Drop, Firewall, Function, L2Fwd, L3Fwd
from pytest_nfv.model.vnf import FUNCTIONS
from pytest_nfv.vnfs.kernel_rules import COUNTERS, FAMILY, FIRST_COUNTERS, QUIET, TABLE, firewall
from pytest_nfv.vnfs.protocol import EngineCounts, VnicCounters

BRIDGE = "br0"
_BRIDGE_MAC = "02:6e:66:00:02:00"
_SNMP = (("/proc/net/snmp", "Ip:"), ("/proc/net/netstat", "IpExt:"))
OTHER = "other"


class KernelEngine:
    """One function in one network namespace, or in the container that shares it; goes with the namespace.

    Frames are forwarded in the context that delivers them to a vNIC: its NAPI thread, where `Lab.threaded` made
    one, else the sender's softirq.
    """

    name: ClassVar[str] = "kernel"
    functions: ClassVar[tuple[type, ...]] = FUNCTIONS["kernel"]

    def __init__(
        self, lab: Lab, namespace: NamespaceHost, function: Function, nics: tuple[str, str] = ("nic0", "nic1")
    ) -> None:
        """Make an engine; nothing is configured yet.

        Args:
            lab: the run's.
            namespace: where the vNICs are.
            function: what to do.
            nics: the interfaces that are vNIC 0 and 1.

        Raises:
            ConfigurationError: a function that the kernel has not.
        """
        if not isinstance(function, self.functions):
            known = ", ".join(one.__name__ for one in self.functions)
            raise ConfigurationError(f"engine {self.name}: function {function}: accepted: {known}")
        self._lab = lab
        self._namespace = namespace
        self._function = function
        self._nics = nics
        self._before: dict[str, int] = {}

    @classmethod
    def probe(cls, function: Function) -> str:
        """Return the program that is needed, where one is.

        Raises:
            CapabilityMissing: nft is not installed.
        """
        if isinstance(function, L2Fwd):
            return "the kernel alone"
        found = which("nft")
        if found is None:
            raise CapabilityMissing("nftables", "nft is not installed", "apt-get install nftables")
        return found

    def start(self) -> None:
        """Configure the kernel.

        Raises:
            CapabilityMissing: nft is not installed.
            ConfigurationError: L3Fwd's addresses are not those of the vNICs.
            DeploymentError: the kernel refuses; with its reason.
        """
        self.probe(self._function)
        links = self._links()
        if isinstance(self._function, L3Fwd):
            self._start_router(self._function, links)
            return
        if isinstance(self._function, Firewall):
            self._nft(firewall(self._function.rules, self._nics[0]))  # before there is a way through
        self._lab.bridge(self._namespace, BRIDGE, _BRIDGE_MAC, self._nics)
        self._lab.transparent(self._namespace, BRIDGE, self._nics)

    def _start_router(self, function: L3Fwd, links: Mapping[str, LinkState]) -> None:
        own = tuple(links[nic].address for nic in self._nics)
        if own != function.addresses:
            raise ConfigurationError(
                f"engine {self.name}: L3Fwd.addresses={function.addresses}: accepted: those of the vNICs, {own}"
            )
        self._nft(QUIET)
        routes = [
            (str(one.prefix), self._nics[one.nic], one.next_hop or function.neighbours[one.nic])
            for one in function.routes.routes
        ]
        self._lab.router(self._namespace, self._nics, routes)
        self._before = self._snmp()

    def _nft(self, text: str) -> None:
        self._namespace.run(["nft", "-f", "-"], stdin=text)

    def _links(self) -> dict[str, LinkState]:
        links = self._lab.links(self._namespace)
        gone = [nic for nic in self._nics if nic not in links]
        if gone:
            raise DeploymentError(
                f"engine {self.name}: no interface {', '.join(gone)} in {self._namespace.namespace}; "
                f"there: {', '.join(links)}"
            )
        return links

    def counters(self) -> EngineCounts:
        """Read the counters.

        L3Fwd's kernel has one counter for `malformed or ttl`, and none by vNIC.

        Raises:
            DeploymentError: a vNIC is gone.
        """
        links = self._links()
        of_rules = self._named_counters() if isinstance(self._function, Firewall) else ({}, {})
        now = self._snmp() if isinstance(self._function, L3Fwd) else {}
        nics = tuple(
            VnicCounters(
                links[nic].rx_packets,
                links[nic].tx_packets,
                tx_drops={"backlog full": links[nic].tx_dropped, LINK_QUEUE: links[nic].queue_dropped},
                dropped={"dropped on receipt": links[nic].rx_dropped, **own},
            )
            for nic, own in zip(self._nics, of_rules, strict=True)
        )
        return EngineCounts(nics, {reason: now[reason] - self._before.get(reason, 0) for reason in now})

    def _named_counters(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return the drops of what came in by vNIC 0, and by vNIC 1."""
        argv = ["nft", "-j", "list", "counters", "table", FAMILY, TABLE]
        listed = json.loads(self._namespace.run(argv).stdout)["nftables"]
        counters = {
            entry["counter"]["name"]: entry["counter"]["packets"] for entry in listed if "counter" in entry
        }
        first = {str(reason): int(counters[name]) for reason, name in FIRST_COUNTERS.items()}
        both = {str(reason): int(counters[name]) for reason, name in COUNTERS.items()}
        return first, {reason: both[reason] - first[reason] for reason in both}

    def _snmp(self) -> dict[str, int]:
        """Return the router's drops, from the kernel's IP counters (RFC 4293's ipSystemStats)."""
        ip: dict[str, int] = {}
        for path, group in _SNMP:
            lines = [line for line in self._namespace.read_text(path).splitlines() if line.startswith(group)]
            names, values = (line.split()[1:] for line in lines)
            ip |= {name: int(value) for name, value in zip(names, values, strict=True)}
        return {
            f"{Drop.MALFORMED} or {Drop.TTL}": ip["InHdrErrors"] + ip["InTruncatedPkts"],
            str(Drop.NO_ROUTE): ip["InNoRoutes"],
            # OutDiscards is left out: the ICMP errors that never come out are counted there.
            OTHER: ip["InAddrErrors"] + ip["InDiscards"] + ip["OutNoRoutes"],
        }

    def check(self) -> None:
        """Raise where a vNIC is gone, down, or taken out of the bridge.

        Raises:
            DeploymentError: with everything that is amiss.
        """
        links = self._links()
        master = "" if isinstance(self._function, L3Fwd) else BRIDGE
        amiss = [f"interface {nic} is down" for nic in self._nics if not links[nic].up]
        amiss += [
            f"interface {nic} is no longer a port of {master}" for nic in self._nics if links[nic].master != master
        ]
        if amiss:
            raise DeploymentError(f"engine {self.name}: {'; '.join(amiss)}")

    def stop(self) -> None:
        """Do nothing: what the kernel was told goes with the namespace."""
