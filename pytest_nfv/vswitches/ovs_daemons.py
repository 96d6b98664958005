"""Open vSwitch's two daemons, private to a run: ovsdb-server and ovs-vswitchd in a namespace of their own.

The database, sockets and what DPDK writes are in a directory below the run's own; nothing is shared with the
system's own service. The whole configuration is in the database before ovs-vswitchd starts, so that it comes up
once; rules follow when its bridge is there. Both run in the foreground, as children: they die with pytest.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pytest_nfv.errors import CommandError, DeploymentError
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.protocol import Host, Process
from pytest_nfv.vswitches import ovs_programs
from pytest_nfv.vswitches.ovs_counters import PortStats, port_stats, rule_packets

BRIDGE = "br0"
START_S = 30.0
_TOOL_S = 15
_LOOK_EVERY_S = 0.02
_QUIET = ("-vsyslog:off", "-vconsole:warn", "--no-chdir")
_STOPPED = ("T", "t")  # by a signal, by a debugger; proc(5)


class Daemons:
    """Both daemons of one deployment.

    Attributes:
        directory: their own, with short paths for sockets in it.
    """

    def __init__(self, name: str, lab: Lab, host: Host, cores: Sequence[int]) -> None:
        """Start the database; `host` is where the ports are, `name` the driver, for messages.

        Raises:
            DeploymentError: it did not come up; with its last words.
        """
        self._name, self._host, self._cores = name, host, tuple(cores)
        self._running: dict[str, Process] = {}
        self.directory = Path(tempfile.mkdtemp(prefix="ovs-", dir=lab.directory))
        try:
            self._start_database()
        except BaseException:
            self.stop()
            raise

    def _start_database(self) -> None:
        program, _ = ovs_programs.find(
            self._host, self._name, ovs_programs.DATABASE, dpdk=False, package="openvswitch-switch"
        )
        database = str(self.directory / "conf.db")
        self._host.run(["ovsdb-tool", "create", database])
        control = f"--unixctl={self.directory / 'db.ctl'}"
        self._launch("ovsdb-server", [program, database, f"--remote=punix:{self._socket}", control, *_QUIET])
        self._await("the database serves no socket", Path(self._socket).exists)
        self.configure("init")

    @property
    def _socket(self) -> str:
        return str(self.directory / "db.sock")

    def _launch(self, name: str, argv: Sequence[str]) -> None:
        # What a daemon would otherwise keep below /var/run, DPDK's own files included.
        folders = ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR", "RUNTIME_DIRECTORY")
        env = dict.fromkeys(folders, str(self.directory))
        self._running[name] = self._host.start(argv, cores=self._cores, env=env)

    def configure(self, *words: str) -> str:
        """Run ovs-vsctl on the database, without waiting for ovs-vswitchd; return what it printed.

        Raises:
            DeploymentError: it refused; with its reason.
        """
        argv = ["ovs-vsctl", f"--db=unix:{self._socket}", f"--timeout={_TOOL_S}", "--no-wait", *words]
        return self._host.run(argv).stdout

    def set_options(self, config: Mapping[str, str]) -> None:
        """Set keys of `Open_vSwitch.other_config`.

        Raises:
            DeploymentError: refused.
        """
        if config:  # a JSON string is how ovs-vsctl(8) takes a text whatever is in it
            self.configure(
                "set", "Open_vSwitch", ".", *(f"other_config:{k}={json.dumps(v)}" for k, v in config.items())
            )

    def start_switch(self, program: str, bridge: Sequence[str], rules: Sequence[str]) -> None:
        """Configure the bridge, start ovs-vswitchd, wait until every port is there, and put the rules in.

        Args:
            program: the ovs-vswitchd to run.
            bridge: ovs-vsctl's words that add its ports.
            rules: what `ovs_rules.flow_rules` returns.

        Raises:
            DeploymentError: it did not come up, or refused a port; with its own words.
        """
        # Without a rule nothing is forwarded; addresses are remembered for as long as any run of trials.
        self.configure(
            *("add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=netdev", "fail_mode=secure"),
            *("other_config:mac-aging-time=3600", *bridge),
        )
        self.run_switch(program, rules)

    def run_switch(self, program: str, rules: Sequence[str]) -> None:
        """Start ovs-vswitchd on what the database has, also where an earlier one has died.

        Raises:
            DeploymentError: it did not come up, or refused a port; with its own words.
        """
        if "ovs-vswitchd" in self._running:
            self._running.pop("ovs-vswitchd").stop(0.0)
        self._bridge_socket.unlink(missing_ok=True)  # of one that was killed: it would be taken for the new one's
        control = f"--unixctl={self._control}"
        self._launch("ovs-vswitchd", [program, f"unix:{self._socket}", control, *_QUIET])
        self._await("not every port came up", self._ports_are_up)
        self._openflow("add-flows", "-", stdin="".join(f"{rule}\n" for rule in rules))

    @property
    def _control(self) -> str:
        return str(self.directory / "switch.ctl")

    def _ports_are_up(self) -> bool:
        said = self.configure("-f", "json", "--columns=name,ofport,error", "list", "Interface")
        rows: list[tuple[Any, Any, Any]] = json.loads(said)["data"]
        wrong = [f"{name}: {error}" for name, _, error in rows if isinstance(error, str) and error]
        if wrong:
            raise DeploymentError(f"{self._name}: {'; '.join(sorted(wrong))}{self._said('ovs-vswitchd')}")
        return (
            all(isinstance(number, int) and number > 0 for _, number, _ in rows) and self._bridge_socket.exists()
        )

    @property
    def _bridge_socket(self) -> Path:
        return self.directory / f"{BRIDGE}.mgmt"

    def _openflow(self, command: str, *words: str, stdin: str = "") -> str:
        argv = [
            "ovs-ofctl",
            "-O",
            "OpenFlow15",
            f"--timeout={_TOOL_S}",
            command,
            f"unix:{self._bridge_socket}",
            *words,
        ]
        return self._asked(argv, stdin)

    def ask(self, *words: str) -> str:
        """Run ovs-appctl on ovs-vswitchd and return what it printed.

        Raises:
            DeploymentError: it has ended, or does not answer.
        """
        return self._asked(["ovs-appctl", f"--timeout={_TOOL_S}", f"--target={self._control}", *words])

    def _asked(self, argv: Sequence[str], stdin: str = "") -> str:
        self.check()
        try:
            return self._host.run(argv, stdin=stdin).stdout
        except CommandError:
            self.check()  # a dead daemon is the better explanation
            raise

    def ports(self) -> dict[str, PortStats]:
        """Return the counters of every port by its OpenFlow number, as of now.

        By OpenFlow, which asks the datapath: the database has them too, but up to 5 s old, and OVS takes no
        `stats-update-interval` below that.

        Raises:
            DeploymentError: ovs-vswitchd has ended, or does not answer.
        """
        return port_stats(self._openflow("dump-ports"))

    def rule_packets(self) -> dict[str, int]:
        """Return how many frames came in at each port, by its OpenFlow number, as the rules count them.

        OVS adds its megaflows' counts to the rules' twice a second: one round may be under way, the next has all.

        Raises:
            DeploymentError: ovs-vswitchd has ended, or does not answer.
        """
        for _ in range(2):
            self.ask("revalidator/wait")
        return rule_packets(self._openflow("dump-flows"))

    def threads(self) -> dict[int, str]:
        """Return all threads of both daemons, id to name; a name that two have gets the id behind it."""
        found: dict[int, str] = {}
        for process in self._running.values():
            with suppress(OSError):  # it has ended; check() says so
                for entry in Path(f"/proc/{process.pid}/task").iterdir():
                    name = (entry / "comm").read_text().strip()
                    found[int(entry.name)] = f"{name}-{entry.name}" if name in found.values() else name
        return found

    def pid(self, name: str) -> int:
        """Return a daemon's process id, which is its main thread's too; 0 where it does not run."""
        return self._running[name].pid if name in self._running else 0

    def check(self) -> None:
        """Raise where a daemon has ended, or is stopped: then nothing is forwarded, and its tools wait in vain.

        Raises:
            DeploymentError: with its exit status and its last words.
        """
        for name, process in self._running.items():
            status = process.poll()
            if status is not None:
                raise DeploymentError(f"{self._name}: {name} has ended, exit status {status}{self._said(name)}")
            if _state(process.pid) in _STOPPED:
                raise DeploymentError(f"{self._name}: {name} is stopped, process {process.pid}{self._said(name)}")
        if not self._running:
            raise DeploymentError(f"{self._name} is not started")

    def _said(self, name: str) -> str:
        tail = self._running[name].stderr_tail().strip() if name in self._running else ""
        return "\n" + "\n".join(tail.splitlines()[-20:]) if tail else ""

    def _await(self, otherwise: str, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + START_S
        while not condition():
            self.check()
            if time.monotonic() >= until:
                last = next(reversed(self._running), "")
                raise DeploymentError(f"{self._name}: after {START_S:g} s {otherwise}{self._said(last)}")
            time.sleep(_LOOK_EVERY_S)

    def stop(self) -> None:
        """End both and remove their directory; safe to call twice."""
        while self._running:
            name = next(reversed(self._running))
            # At once: nothing of theirs is kept, and beside a polling thread a polite end takes its time.
            self._running[name].stop(0.0)
            del self._running[name]
        shutil.rmtree(self.directory, ignore_errors=True)


def _state(pid: int) -> str:
    """Return a process's state as proc(5) has it; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return ""
