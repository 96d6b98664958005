"""The lab of a run on a host: namespaces, links and bridges, owned by the run's agent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.hosts.agent_link import AgentLink, FarLink, LocalLink
from pytest_nfv.hosts.hold import Claim
from pytest_nfv.hosts.namespace import Ask, NamespaceHost
from pytest_nfv.hosts.protocol import Entry, MachineHost
from pytest_nfv.hosts.survey import Survey
from pytest_nfv.model.trial import CoreUse, ThreadUse

_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
HUGE_PAGES = "huge-pages"
_ROLE = re.compile(r"[a-z][a-z0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class VethEnd:
    """One end of a veth pair.

    Attributes:
        interface: its name, at most 15 characters; address: its MAC address.
        offloads: `tso`, `gso`, `gro` to on or off; others stay as the kernel has them.
    """

    namespace: NamespaceHost
    interface: str
    address: str
    offloads: Mapping[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _INTERFACE.fullmatch(self.interface):
            raise ConfigurationError(
                f"interface name {self.interface!r}: accepted: 1 to 15 letters, digits, '.', '_' and '-'"
            )


@dataclass(frozen=True, slots=True)
class LinkState:
    """An interface and its counters since it was made, as the kernel tells them (rtnl_link_stats64).

    Attributes:
        up: switched on; carrier: the far end is on too.
        master: the bridge that it is a port of, or empty.
        mtu: octets of the largest layer-3 packet.
        rx_packets, tx_packets, rx_dropped, tx_dropped, rx_errors, tx_errors: frames.
        rx_missed: frames that a network card had no room for.
        queue_dropped: frames that a queue before the link dropped, such as a shaper's (tc(8)).
    """

    up: bool
    carrier: bool
    master: str
    address: str
    mtu: int
    rx_packets: int
    tx_packets: int
    rx_dropped: int
    tx_dropped: int
    rx_errors: int
    tx_errors: int
    rx_missed: int = 0
    queue_dropped: int = 0


class Lab:
    """Made live, used, closed. Each call has a deadline; once the agent is broken, every call says so.

    Attributes:
        host: where it is; run_id: the run that all of it is marked with.
        rootless: it is inside a user namespace; directory: the run's own, on that host.
        may_change: settings of the host that the testbed lets a run change; None: it is no host of a testbed file.
    """

    may_change: frozenset[str] | None = None

    def __init__(
        self,
        host: MachineHost,
        run_id: str,
        rootless: bool | None = None,
        directory: Path | None = None,
        *,
        link: AgentLink | None = None,
    ) -> None:
        """Mark the run as alive and start its agent.

        Args:
            host: this machine; its processes should carry the same run id.
            run_id: from `run_id.new_run_id`.
            rootless: work inside a user namespace; None does so only where this process lacks the rights.
            directory: where marks of runs are; this user's where not given.
            link: an agent that runs already, on `host`.

        Raises:
            CapabilityMissing: no network namespaces for us here; says which setting forbids them.
            DeploymentError: the agent did not start.
        """
        self.host = host
        self.run_id = run_id
        self._link = link or LocalLink(run_id, rootless, directory)
        self.rootless, self.directory = self._link.rootless, self._link.directory
        self._roles: set[str] = set()

    @classmethod
    def far(cls, host: MachineHost, run_id: str) -> Lab:
        """Make the lab of a run on another host, by the interpreter that has this package there.

        Raises:
            DeploymentError: the agent did not start.
        """
        return cls(host, run_id, link=FarLink(host, run_id))

    @property
    def broken(self) -> str:
        """Why its agent is of no use any more, nor holds or keeps set what it did; empty while it does."""
        return self._link.broken

    def namespace(self, role: str) -> NamespaceHost:
        """Make a network namespace; one of the same role is there already, it becomes `gen2`, `gen3`, ...

        Raises:
            DeploymentError: its name is taken by something that is not of this run.
        """
        if not _ROLE.fullmatch(role):
            raise ConfigurationError(
                f"namespace role {role!r}: accepted: a lower-case letter, then letters, digits"
            )
        free = next(name for name in (role, *(f"{role}{n}" for n in range(2, 10000))) if name not in self._roles)
        made = self._ask("namespace", role=free)
        self._roles.add(free)
        user = f"/proc/{self._link.pid}/ns/user" if self.rootless else ""
        entry = Entry(user, made["net"])
        return NamespaceHost(free, made["name"], self.run_id, entry, self._ask, tuple(made["notes"]), self.host)

    def veth(self, one: VethEnd, other: VethEnd, mtu: int) -> None:
        """Make a pair of interfaces wired to each other, both up, IPv6 off.

        Raises:
            DeploymentError: the kernel refuses; with its reason.
        """
        ends = [
            {
                "role": end.namespace.role,
                "interface": end.interface,
                "address": end.address,
                "offloads": dict(end.offloads),
            }
            for end in (one, other)
        ]
        self._ask("veth", ends=ends, mtu=mtu)

    def bridge(self, namespace: NamespaceHost, bridge: str, address: str, ports: Sequence[str]) -> None:
        """Make a learning bridge with `ports` in it; spanning tree, snooping and netfilter are off.

        Raises:
            DeploymentError: the kernel refuses; with its reason.
        """
        self._ask("bridge", role=namespace.role, bridge=bridge, address=address, ports=list(ports))

    def address(
        self, namespace: NamespaceHost, interface: str, ip: str, prefix: int, neighbours: Mapping[str, str]
    ) -> None:
        """Give an interface an IPv4 address, and its neighbours' MAC addresses, so that none is asked for by ARP.

        Raises:
            DeploymentError: the kernel refuses; with its reason.
        """
        self._ask(
            "address",
            role=namespace.role,
            interface=interface,
            ip=ip,
            prefix=prefix,
            neighbours=dict(neighbours),
        )

    def router(
        self, namespace: NamespaceHost, interfaces: Sequence[str], routes: Sequence[tuple[str, str, str]]
    ) -> None:
        """Let the namespace's kernel forward IPv4 by `routes`: (prefix, interface, next hop's MAC address) each.

        Raises:
            DeploymentError: the kernel refuses; with its reason.
        """
        self._ask("router", role=namespace.role, interfaces=list(interfaces), routes=[list(one) for one in routes])

    def transparent(self, namespace: NamespaceHost, bridge: str, ports: Sequence[str]) -> None:
        """Let a bridge of two ports move every frame to the other port, whatever its addresses.

        Raises:
            DeploymentError: the kernel refuses; with its reason.
        """
        self._ask("transparent", role=namespace.role, bridge=bridge, ports=list(ports))

    def limit_memory(self, namespace: NamespaceHost, mebibytes: int) -> str:
        """Make the control group of a namespace's processes; return its path, for `Entry.cgroup`.

        Raises:
            CapabilityMissing: no memory controller, or not ours to use.
        """
        return str(self._ask("cgroup", role=namespace.role, memory_mib=mebibytes))

    def links(self, namespace: NamespaceHost) -> dict[str, LinkState]:
        """Return every interface of a namespace, by name."""
        return {name: LinkState(**state) for name, state in self._ask("links", role=namespace.role).items()}

    def learned(self, namespace: NamespaceHost, bridge: str) -> list[tuple[str, str]]:
        """Return (MAC address, interface) of everything that a bridge has learned."""
        return [(address, port) for address, port in self._ask("learned", role=namespace.role, bridge=bridge)]

    def station(self, namespace: NamespaceHost, interface: str, address: str) -> None:
        """Tell the bridge of an interface that a MAC address is behind it; nothing else has to be learned then.

        Raises:
            DeploymentError: the kernel refuses; with its reason.
        """
        self._ask("station", role=namespace.role, interface=interface, address=address)

    def threaded(self, namespace: NamespaceHost, interface: str) -> tuple[dict[int, str], str]:
        """Switch threaded NAPI of an interface on (it needs GRO on, and a name unique on the machine).

        Returns:
            Its kernel threads, id to name, and a note: why there are none, or empty.
        """
        answer = self._ask("threaded", role=namespace.role, interface=interface)
        return {int(tid): str(name) for tid, name in answer["threads"]}, str(answer["note"])

    def pin(self, threads: Mapping[int, str], cores: Sequence[int]) -> list[str]:
        """Give the threads, round robin, a core each and priority there; return which were not let."""
        return [str(note) for note in self._ask("pin", threads=list(threads.items()), cores=list(cores))]

    def huge_pages(self, mebibytes: int) -> tuple[bool, str]:
        """See that so many MiB of huge pages are free, asking the kernel for more where that is permitted.

        What was added is taken back when the lab closes, or by the reaper. Nothing is asked for where the testbed
        does not let a run change them (`may_change`).

        Returns:
            Whether there are enough, and a note: what was done, or what is missing and how to get it.
        """
        enough, note = self._ask(
            "huge_pages", mebibytes=mebibytes, more=self.may_change is None or HUGE_PAGES in self.may_change
        )
        return bool(enough), str(note)

    def tune(
        self, setting: str, value: str | None, *, cores: Sequence[int] = (), interfaces: Sequence[str] = ()
    ) -> list[str]:
        """Change a setting of the machine, or with None put back what was changed of it.

        What is changed is put back when the lab closes, or by the reaper.

        Args:
            setting: of `hosts.tuning.table.SETTINGS`.
            value: in that setting's words: `1.2GHz`, `performance`, `off`.
            cores: that it is for.
            interfaces: that it is for, of the machine's own network namespace.

        Returns:
            Notes: what refused, or was changed by somebody else meanwhile and is left so.

        Raises:
            CapabilityMissing: the machine has no such setting, or we have no right to it.
            DeploymentError: it has no such value, or did not take it.
        """
        answer = self._ask("tune", setting=setting, value=value, cores=list(cores), interfaces=list(interfaces))
        return [str(note) for note in answer]

    def survey(self, cores: Sequence[int], interfaces: Sequence[str] = ()) -> Survey:
        """Return what is set, and what else runs, on cores and interfaces of the machine."""
        return Survey.of(self._ask("survey", cores=list(cores), interfaces=list(interfaces)))

    def hold(self, claim: Claim) -> dict[str, Any] | None:
        """Take this host's lock where it is free, for `hold.hold`; return what its holder says where it is not."""
        found: dict[str, Any] | None = self._ask("hold", **claim.to_json())
        return found

    def remove(self, namespace: NamespaceHost) -> None:
        """Remove a namespace and every link made in it; safe to call twice."""
        self._ask("remove", role=namespace.role)
        self._roles.discard(namespace.role)

    def adopt(self, namespace: NamespaceHost, interface: str, end: VethEnd, mtu: int) -> None:
        """Take an interface of the host into a namespace, under the name and with the offloads of `end`.

        It keeps its own MAC address. `remove`, `close` and the reaper give it back as it was.

        Raises:
            DeploymentError: there is none, or it is in use: it has an address, or is a port of something.
        """
        self._ask(
            "adopt",
            role=namespace.role,
            interface=interface,
            name=end.interface,
            offloads=dict(end.offloads),
            mtu=mtu,
        )

    def accounts(self, *, cores: Sequence[int], threads: Mapping[int, str]) -> FarAccounts:
        """Return processor accounts of the generator on this lab's host."""
        return FarAccounts(self._ask, cores, threads)

    def close(self) -> None:
        """Put everything back and end the agent; safe to call twice.

        Raises:
            DeploymentError: something could not be put back; the reaper of the next run will try again.
        """
        self._link.close()

    def _ask(self, op: str, **arguments: Any) -> Any:
        return self._link.ask(op, **arguments)


class FarAccounts:
    """Processor accounts that a lab's agent keeps."""

    def __init__(self, ask: Ask, cores: Sequence[int], threads: Mapping[int, str]) -> None:
        self._ask = ask
        self._cores, self._threads = list(cores), list(threads.items())

    def start(self) -> None:
        """Open them."""
        self._ask("open_accounts", cores=self._cores, threads=self._threads)

    def stop(self) -> tuple[tuple[CoreUse, ...], tuple[ThreadUse, ...]]:
        """Close them; return what each core and each thread used."""
        cores, threads = self._ask("close_accounts")
        return tuple(CoreUse(**one) for one in cores), tuple(ThreadUse(**one) for one in threads)
