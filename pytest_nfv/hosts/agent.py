"""The agent of a run: the one process that changes the machine, and puts it back when its parent ends.

    python -m pytest_nfv.hosts.agent --run RUN --parent PID --mark FILE [--rootless] [--root DIR]
    python -m pytest_nfv.hosts.agent --run RUN --silence SECONDS            # on another host than pytest's

It answers requests, a line of JSON each, `{"op": "namespace", "role": "gen"}`, with `{"ok": ...}` or
`{"error": ...}`. When its stdin ends, its parent does (kill -9 included), or it is asked to terminate, it removes
what it made, the last thing first, and then the run's mark. On another host it makes that mark itself, and also
ends when it heard nothing, not even a heartbeat, for so many seconds.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytest_nfv import __version__
from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.hosts import adopted, cgroups, hugepages, links, napi, netns, remains, routing, userns
from pytest_nfv.hosts.accounting import Accounts
from pytest_nfv.hosts.host_lock import HostLock
from pytest_nfv.hosts.inbox import Inbox
from pytest_nfv.hosts.marks import Mark, runtime_directory
from pytest_nfv.hosts.reap import reap
from pytest_nfv.hosts.run_id import namespace_prefix
from pytest_nfv.hosts.survey import survey
from pytest_nfv.hosts.talk import answered, refusal, serve, tell
from pytest_nfv.hosts.tuning.protocol import Scope
from pytest_nfv.hosts.tuning.table import tune


class Agent:
    """Holds what was made, by role; `answer` does one request, `put_back` undoes all."""

    def __init__(
        self, run_id: str, rootless: bool, directory: Path, lock: HostLock, root: Path = Path("/")
    ) -> None:
        """Make an agent that has made nothing yet.

        Args:
            run_id: its run's.
            rootless: work inside a user namespace.
            directory: the run's own.
            lock: the host's, not held.
            root: has the /sys and /proc to tune.
        """
        self._root = root
        self._run_id = run_id
        self._directory = directory
        self._rootless = rootless
        self._spaces: dict[str, netns.Namespace] = {}
        self._threads: set[int] = set()
        self._operations: dict[str, Callable[..., Any]] = {
            "namespace": self._namespace,
            "veth": self._veth,
            "bridge": self._bridge,
            "address": self._address,
            "router": self._router,
            "transparent": self._transparent,
            "cgroup": self._cgroup,
            "links": self._links,
            "learned": self._learned,
            "station": self._station,
            "threaded": self._threaded,
            "pin": self._pin,
            "huge_pages": self._huge_pages,
            "tune": self._tune,
            "survey": lambda cores, interfaces: survey(cores, interfaces, self._root).to_json(),
            "hold": lock.take,
            "read": lambda role, path: self._space(role).read(path),
            "write": lambda role, path, text: self._space(role).write(path, text),
            "adopt": self._adopt,
            "open_accounts": self._open_accounts,
            "close_accounts": self._close_accounts,
            "remove": self._remove,
            "close": self.put_back,
        }

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Do one request; what goes wrong with the machine is an answer, what goes wrong in here is not."""
        return answered(self._operations, request)

    def greeting(self) -> dict[str, Any]:
        """Return what the asking end does not know yet."""
        return {
            "version": __version__,
            "pid": os.getpid(),
            "rootless": self._rootless,
            "directory": str(self._directory),
        }

    def put_back(self) -> list[str]:
        """Kill the run's processes and remove what was made, in reverse; return what went wrong with that."""
        _, trouble = remains.each(lambda: remains.kill_processes(self._run_id, spare=(os.getppid(),)))
        # That with the most links first: a switch's, and the far ends of all of them go at once.
        for role in sorted(reversed(self._spaces), key=lambda one: -len(self._spaces[one].links)):
            try:
                self._remove(role)
            except (DeploymentError, OSError) as error:
                trouble.append(f"namespace {role}: {error}")
        return trouble + remains.put_back(self._run_id, self._directory, named=None)[1]

    def _space(self, role: str) -> netns.Namespace:
        if role not in self._spaces:
            raise DeploymentError(
                f"this run has no namespace {role!r}; it has: {', '.join(self._spaces) or 'none'}"
            )
        return self._spaces[role]

    def _namespace(self, role: str) -> dict[str, Any]:
        if role in self._spaces:
            raise DeploymentError(f"this run has a namespace {role!r} already")
        name = namespace_prefix(self._run_id) + role
        space = netns.make_nameless(name) if self._rootless else netns.make_named(name)
        self._spaces[role] = space
        return {"name": name, "net": space.path, "notes": links.quieten(space)}

    def _remove(self, role: str) -> None:
        space = self._spaces.get(role)
        if space is not None:
            links.remove_links(space)
            adopted.give_back(self._directory, role)
            space.remove()
            del self._spaces[role]

    def _adopt(self, role: str, interface: str, name: str, offloads: dict[str, bool], mtu: int) -> None:
        adopted.take(self._directory, self._space(role), role, adopted.Wanted(interface, name, offloads, mtu))

    def _open_accounts(self, cores: list[int], threads: list[tuple[int, str]]) -> None:
        self._accounts = Accounts(
            device_cores=(), generator_cores=cores, device_threads={}, generator_threads=dict(threads)
        )
        self._accounts.start()

    def _close_accounts(self) -> list[list[dict[str, Any]]]:
        cores, threads = self._accounts.stop()
        return [[asdict(one) for one in cores], [asdict(one) for one in threads]]

    def _veth(self, ends: list[dict[str, Any]], mtu: int) -> None:
        one, other = (
            links.End(self._space(end["role"]), end["interface"], end["address"], end["offloads"]) for end in ends
        )
        links.make_veth(one, other, mtu)

    def _bridge(self, role: str, bridge: str, address: str, ports: list[str]) -> None:
        links.make_bridge(self._space(role), bridge, address, ports)

    def _address(self, role: str, interface: str, ip: str, prefix: int, neighbours: dict[str, str]) -> None:
        links.give_address(self._space(role), interface, ip, prefix, neighbours)

    def _router(self, role: str, interfaces: list[str], routes: list[tuple[str, str, str]]) -> None:
        routing.make_router(self._space(role), interfaces, routes)

    def _transparent(self, role: str, bridge: str, ports: list[str]) -> None:
        routing.make_transparent(self._space(role), bridge, ports)

    def _cgroup(self, role: str, memory_mib: int) -> str:
        self._space(role)
        return str(cgroups.limit_memory(cgroups.name_of(self._run_id, role), memory_mib))

    def _links(self, role: str) -> dict[str, dict[str, Any]]:
        return links.read_links(self._space(role))

    def _station(self, role: str, interface: str, address: str) -> None:
        links.add_station(self._space(role), interface, address)

    def _learned(self, role: str, bridge: str) -> list[tuple[str, str]]:
        return links.read_learned(self._space(role), bridge)

    def _threaded(self, role: str, interface: str) -> dict[str, Any]:
        threads, note = napi.make_threaded(self._space(role), interface, self._threads)
        self._threads.update(threads)
        return {"threads": list(threads.items()), "note": note}

    def _pin(self, threads: list[tuple[int, str]], cores: list[int]) -> list[str]:
        return napi.pin(dict(threads), cores)

    def _huge_pages(self, mebibytes: int, more: bool) -> tuple[bool, str]:
        taken = hugepages.take(mebibytes, self._directory, hugepages.default_pool(), more=more)
        return taken.enough, taken.note

    def _tune(self, setting: str, value: str | None, cores: list[int], interfaces: list[str]) -> list[str]:
        return tune(self._directory, setting, value, Scope(cores, interfaces, self._root))


def main() -> int:
    """Run an agent on the standard streams; 0 where everything was put back."""
    parser = argparse.ArgumentParser(prog="pytest_nfv.hosts.agent")
    parser.add_argument("--run", required=True)
    parser.add_argument("--parent", type=int, default=os.getppid())
    parser.add_argument("--mark", type=Path)
    parser.add_argument("--rootless", action="store_true")
    parser.add_argument("--root", type=Path, default=Path("/"), help="where /sys and /proc are that `tune` sets")
    parser.add_argument("--silence", type=float)
    options = parser.parse_args()
    inbox = Inbox(sys.stdin.fileno(), options.parent, options.silence)
    lock = HostLock()  # of the network namespace that this was started in
    # What a library prints must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    rootless = options.rootless
    try:
        mark = options.mark
        if mark is None:
            reap()
            rootless = not userns.privileged()
            made = Mark.make(options.run, runtime_directory())  # held open until this process ends
            made.make_directory()
            mark = made.path
        if rootless:
            userns.enter()
    except (CapabilityMissing, DeploymentError) as error:
        tell(answers, refusal("start", error))
        answers.close()
        return 1
    agent = Agent(options.run, rootless, mark.with_suffix(""), lock, options.root)
    trouble: list[str] = []
    try:
        with suppress(BrokenPipeError):
            tell(answers, {"ok": agent.greeting()})
        serve(agent.answer, inbox, answers)
    finally:
        trouble = agent.put_back()
        if not trouble:
            mark.unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):  # nobody may be left to read it
            print("\n".join(trouble), file=sys.stderr, end="", flush=True)
        inbox.close()
    with suppress(BrokenPipeError):
        answers.close()
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
