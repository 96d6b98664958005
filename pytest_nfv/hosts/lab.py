"""The lab of a run on this machine: namespaces, links and bridges, owned by the run's agent."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_nfv.errors import CapabilityMissing, ConfigurationError, DeploymentError
from pytest_nfv.hosts import cgroups, remains, userns
from pytest_nfv.hosts.lines import JsonLines, LinesBroken
from pytest_nfv.hosts.local import LocalHost, LocalProcess, piped
from pytest_nfv.hosts.marks import Mark, runtime_directory
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.protocol import Entry
from pytest_nfv.hosts.survey import Survey

START_DEADLINE_S = 30.0
ANSWER_DEADLINE_S = 15.0
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
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


class Lab:
    """Made live, used, closed. Each call has a deadline; once the agent is broken, every call says so."""

    def __init__(
        self, host: LocalHost, run_id: str, rootless: bool | None = None, directory: Path | None = None
    ) -> None:
        """Mark the run as alive and start its agent.

        Args:
            host: this machine; its processes should carry the same run id.
            run_id: from `run_id.new_run_id`.
            rootless: work inside a user namespace; None does so only where this process lacks the rights.
            directory: where marks of runs are; this user's where not given.

        Raises:
            CapabilityMissing: no network namespaces for us here; says which setting forbids them.
            DeploymentError: the agent did not start.
        """
        self.host = host
        self.run_id = run_id
        self.rootless = not userns.privileged() if rootless is None else rootless
        self._broken = ""
        self._roles: set[str] = set()
        self._mark = Mark.make(run_id, directory or runtime_directory())
        try:  # directory: the run's own, for sockets and logs; short, as a socket's path may have 107 octets
            self.directory = self._mark.make_directory()
            self._agent = self._start_agent()
        except DeploymentError:
            self._mark.remove()
            raise
        except OSError as error:
            remains.remove_directory(self.directory)
            self._mark.remove()
            raise DeploymentError(f"the run's agent could not be started: {error}") from error
        self._lines = JsonLines(self._agent)
        try:
            self._exchange(None, START_DEADLINE_S)
        except BaseException:  # Ctrl-C too: the agent and the mark must not stay
            self.close()
            raise

    def _start_agent(self) -> LocalProcess:
        # Not by the launcher: a death signal would end the agent with us, and it has to outlive us to undo it all.
        argv = [sys.executable, "-P", "-m", "pytest_nfv.hosts.agent", "--run", self.run_id]
        argv += ["--parent", str(os.getpid()), "--mark", str(self._mark.path)]
        argv += ["--rootless"] if self.rootless else []
        return LocalProcess(piped(argv, keep=(self._mark.descriptor,)))

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
        user = f"/proc/{self._agent.pid}/ns/user" if self.rootless else ""
        entry = Entry(user, made["net"])
        return NamespaceHost(free, made["name"], self.run_id, entry, self._ask, tuple(made["notes"]))

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

        What was added is taken back when the lab closes, or by the reaper.

        Returns:
            Whether there are enough, and a note: what was done, or what is missing and how to get it.
        """
        enough, note = self._ask("huge_pages", mebibytes=mebibytes)
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

    def remove(self, namespace: NamespaceHost) -> None:
        """Remove a namespace and every link made in it; safe to call twice."""
        self._ask("remove", role=namespace.role)
        self._roles.discard(namespace.role)

    def close(self) -> None:
        """Put everything back and end the agent; safe to call twice.

        Raises:
            DeploymentError: something could not be put back; the reaper of the next run will try again.
        """
        if self._mark.descriptor < 0:
            return
        trouble: list[str] = []
        if not self._broken:
            try:
                trouble += self._ask("close")
            except DeploymentError as error:
                trouble.append(str(error))
        self._agent.stop(ANSWER_DEADLINE_S)
        if self._broken:
            trouble = self._put_back_instead()
        if trouble:
            self._mark.release()
            raise DeploymentError(f"run {self.run_id} could not be put back: {'; '.join(trouble)}")
        self._mark.remove()

    def _put_back_instead(self) -> list[str]:
        """Do the agent's last duty where it died; return what went wrong."""
        try:
            remains.kill_processes(self.run_id)
            remains.remove_namespaces(self.run_id)
            cgroups.remove_groups(self.run_id)
            remains.remove_directory(self.directory)
        except OSError as error:
            return [str(error)]
        return []

    def _ask(self, op: str, **arguments: Any) -> Any:
        if self._mark.descriptor < 0:
            raise DeploymentError(f"{op}: the lab of run {self.run_id} is closed")
        if self._broken:
            raise DeploymentError(f"{op}: {self._broken}")
        return self._exchange({"op": op, **arguments}, ANSWER_DEADLINE_S)

    def _exchange(self, request: Mapping[str, Any] | None, deadline_s: float) -> Any:
        op = request["op"] if request else "start"
        try:
            if request:
                self._lines.tell(request)
            answer = self._lines.answer(deadline_s)
        except LinesBroken as error:
            raise self._now_broken(op, error) from error
        except BaseException:  # Ctrl-C, most likely: the answer that still comes would be taken for another's
            self._broken = f"the run's agent was interrupted during {op}"
            raise
        if "missing" in answer:
            raise CapabilityMissing(*answer["missing"])
        if answer.get("errno") is not None and op in ("read", "write"):
            raise OSError(answer["errno"], answer["error"])
        if "error" in answer:
            raise DeploymentError(answer["error"])
        return answer["ok"]

    def _now_broken(self, op: str, why: LinesBroken) -> DeploymentError:
        said = self._agent.stderr_tail().strip()
        self._broken = f"the run's agent is broken: {why}" + (f"\n{said}" if said else "")
        return DeploymentError(f"{op}: {self._broken}")
