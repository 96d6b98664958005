"""Open vSwitch with DPDK as a device, by hand: own database, sockets and network namespace, no huge pages.

Run against Open vSwitch 3.1 with DPDK 22.11 on Debian 12. It ends with the process that started it, and all that
it made lies in its folder. Its local port would be an interface of the machine: `unshare -n` keeps it to itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers import POLLING_NS, needed, wait_for
from benchmarks.windows import busiest
from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.protocol import Process

DAEMON = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
PACKAGE = "openvswitch-switch-dpdk"
BRIDGE = "br0"


class OvsDpdk:
    """Two `dpdkvhostuser` ports, cross-connected by port rules; the sockets are Open vSwitch's.

    Attributes:
        sockets: control socket of each port; worker: the thread that forwards.
    """

    def __init__(self, folder: Path, core: int) -> None:
        """Start it and wait until it forwards.

        Raises:
            CapabilityMissing: not installed.
            DeploymentError: it ended, or does not forward.
        """
        for path in (DAEMON, SCHEMA):
            if not Path(path).exists():
                raise CapabilityMissing("ovs-dpdk", f"there is no {path}", f"apt-get install {PACKAGE}")
        self._folder, self._core = folder, core
        self._host = LocalHost()
        self._started: list[Process] = []
        self.sockets = tuple(str(folder / name) for name in ("v0", "v1"))
        try:
            self._start()
        except BaseException:  # Ctrl-C too: what was started so far must not stay
            self.stop()
            raise
        self.worker = busiest(self._started[-1].pid)[0]

    def _start(self) -> None:
        database, remote = self._folder / "conf.db", f"unix:{self._folder}/db.sock"
        self._host.run([needed("ovsdb-tool", PACKAGE), "create", str(database), SCHEMA])
        log = f"--log-file={self._folder}/ovsdb.log"
        self._launch(
            ["ovsdb-server", str(database), f"--remote=p{remote}", f"--unixctl={self._folder}/ovsdb.ctl", log]
        )
        wait_for("ovsdb-server listens", (self._folder / "db.sock").exists)
        # Without huge pages memory is DPDK's legacy kind, next to which Open vSwitch must not ask for --in-memory.
        extra = "--no-pci --no-huge --legacy-mem -m 1024 --iova-mode=va --no-telemetry "
        extra += f"--file-prefix=nfv-bench-ovs-{os.getpid()}"
        self._configure("init")
        self._configure(
            *("set", "Open_vSwitch", ".", "other_config:dpdk-init=true", f"other_config:dpdk-extra={extra}"),
            f"other_config:pmd-cpu-mask={1 << self._core:#x}",
            "other_config:per-port-memory=true",  # of shared buffers it asks for 262,144 first, and may get none
            f"other_config:dpdk-lcore-mask={1 << self._core:#x}",
        )
        argv = ["unshare", "-n", DAEMON, remote, f"--unixctl={self._folder}/vswitchd.ctl"]
        self._launch([*argv, f"--log-file={self._folder}/vswitchd.log"])
        self._configure("add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=netdev")
        for number, path in enumerate(self.sockets, 1):
            name = Path(path).name
            self._configure(
                *("add-port", BRIDGE, name, "--", "set", "Interface", name, "type=dpdkvhostuser"),
                f"ofport_request={number}",
            )
        wait_for("ovs-vswitchd forwards", self._forwards)
        bridge = f"unix:{self._folder}/{BRIDGE}.mgmt"
        self._host.run(["ovs-ofctl", "del-flows", bridge])
        for one, other in ((1, 2), (2, 1)):
            self._host.run(["ovs-ofctl", "add-flow", bridge, f"in_port={one},actions=output:{other}"])

    def _launch(self, argv: Sequence[str]) -> None:
        place = str(self._folder)
        environment = {"OVS_RUNDIR": place, "OVS_LOGDIR": place, "OVS_DBDIR": place, "RUNTIME_DIRECTORY": place}
        self._started.append(self._host.start(argv, cores=(self._core,), env=environment))

    def _configure(self, *words: str) -> None:
        self._host.run(["ovs-vsctl", f"--db=unix:{self._folder}/db.sock", "--no-wait", *words])

    def _forwards(self) -> bool:
        daemon = self._started[-1]
        if daemon.poll() is not None:
            raise DeploymentError(f"ovs-vswitchd ended\n{daemon.stderr_tail()}")
        polls = busiest(daemon.pid)[1] >= POLLING_NS
        return polls and all(map(os.path.exists, (*self.sockets, f"{self._folder}/{BRIDGE}.mgmt")))

    def stop(self) -> None:
        """End it; safe to call twice."""
        while self._started:
            self._started.pop().stop()
