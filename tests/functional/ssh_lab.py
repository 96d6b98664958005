"""Hosts for tests, `dut` and `gen` unless said: namespaces of this machine with an sshd each, wired to each other.

A host has network, mount and UTS namespaces of its own, with its own /run, /sys and host name; processes and all
other files are this machine's. What a test needs to reach it by SSH is in one folder, with an `ssh_config` that
is given to `--nfv-ssh-config`; nobody's ~/.ssh is read or written.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.protocol import Process
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.hosts.ssh import SshHost

DEADLINE_S = 10.0
HOSTS = ("dut", "gen")
# TEST-NET-1 to 3 (RFC 5737): nobody's, but for machines that are in documentation or a test themselves.
_NETWORKS = tuple(map(ipaddress.IPv4Network, ("198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24")))
_HOLD = """
mount -t tmpfs -o mode=755 none /run && mkdir -p /run/sshd /run/lock && mount -t sysfs none /sys && hostname "$0" \
&& ip link set lo up && echo ready && exec sleep infinity
"""
_SSHD = """
HostKey {key}
AuthorizedKeysFile {folder}/authorized_keys
ListenAddress {address}
ListenAddress 127.0.0.1
PidFile {folder}/{name}.pid
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
Subsystem sftp internal-sftp
"""
_CLIENT = """
Host {name}
  HostName {address}
Host {name}-behind-itself
  HostName 127.0.0.1
  ProxyJump {name}
"""
_CLIENT_ALL = """
Host *
  User root
  IdentityFile {folder}/id_ed25519
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile /dev/null
"""


def _ran(*argv: str) -> str:
    return LocalHost().run(argv).stdout


@dataclass
class LabHost:
    """One of the two.

    Attributes:
        name: `dut` or `gen`, which is also its host name.
        address: of its sshd; interface: this machine's end of the link for SSH; in there it is `mgmt`.
        ports: interfaces for data, by cable.
    """

    name: str
    folder: Path
    address: str
    interface: str
    ports: tuple[str, ...]
    _holder: Process = field(repr=False)
    _sshd: Process | None = None

    @property
    def pid(self) -> int:
        """A process that is in its namespaces."""
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()
        return int(children[0])

    def inside(self, *argv: str) -> str:
        """Run something on it, not by SSH; return what it printed."""
        return _ran("nsenter", "-t", str(self.pid), "-m", "-n", "-u", *argv)

    def start_sshd(self) -> None:
        """Start its sshd, and wait until it listens."""
        config, log = (self.folder / f"{self.name}.{end}" for end in ("sshd_config", "log"))
        # Its sessions outlive it, and would hold a pipe of ours open.
        argv = ["sh", "-c", 'exec /usr/sbin/sshd -D -f "$0" -E "$1" 2>/dev/null', str(config), str(log)]
        self._sshd = LocalHost().start(["nsenter", "-t", str(self.pid), "-m", "-n", "-u", *argv])
        deadline = time.monotonic() + DEADLINE_S
        while f"{self.address}:22" not in self.inside("ss", "-Hltn"):
            assert self._sshd.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "sshd does not listen"
            time.sleep(0.01)

    def stop_sshd(self, *, sessions: bool = True) -> None:
        """Stop its sshd, and with `sessions` also the processes that it has for connections."""
        if self._sshd is not None:
            self._sshd.stop(0.1)
            self._sshd = None
        if sessions:
            for pid in self.processes():
                with suppress(OSError):
                    if Path(f"/proc/{pid}/comm").read_text().strip() == "sshd":
                        os.kill(pid, signal.SIGKILL)

    def new_host_key(self) -> None:
        """Give it another host key, as one that was installed anew has."""
        key = self.folder / f"{self.name}_host_key"
        for path in (key, key.with_suffix(".pub")):
            path.unlink(missing_ok=True)
        _ran("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", str(key))

    def public_key(self) -> str:
        """Return its host key as known_hosts has it: type and key."""
        return " ".join((self.folder / f"{self.name}_host_key.pub").read_text().split()[:2])

    def set_environment(self, **variables: str) -> None:
        """Give its sessions these variables, from a new start of its sshd on."""
        words = " ".join(f"{name}={value}" for name, value in variables.items())
        with (self.folder / f"{self.name}.sshd_config").open("a") as config:
            config.write(f"SetEnv {words}\n")
        self.stop_sshd()
        self.start_sshd()

    def cut(self) -> None:
        """Pull the cable of its link for SSH."""
        self.inside("ip", "link", "set", "mgmt", "down")

    def mend(self) -> None:
        """Put it in again."""
        self.inside("ip", "link", "set", "mgmt", "up")

    def slow(self, rate: str) -> None:
        """Let no more than `rate`, as tc(8) takes it, through its link for SSH, each way."""
        shape = ["root", "tbf", "rate", rate, "burst", "5000", "limit", "20000"]
        self.inside("tc", "qdisc", "replace", "dev", "mgmt", *shape)
        _ran("tc", "qdisc", "replace", "dev", self.interface, *shape)

    def processes(self) -> list[int]:
        """Return all processes in it, but those that hold it."""
        wanted = os.stat(f"/proc/{self.pid}/ns/net").st_ino
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdecimal() and (entry / "ns/net").stat().st_ino == wanted:
                    found.append(int(entry.name))
        return [pid for pid in found if pid not in (self.pid, self._holder.pid)]

    def remove(self) -> None:
        """End all that is in it, and it."""
        self.stop_sshd()
        deadline = time.monotonic() + DEADLINE_S
        while left := self.processes():
            assert time.monotonic() < deadline, f"processes {left} stay on {self.name}"
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        self._holder.stop(0.1)


@dataclass(frozen=True)
class SshLab:
    """The two, and what is needed to reach them.

    Attributes:
        folder: of keys, known hosts and configuration; config: as --nfv-ssh-config takes it.
    """

    folder: Path
    hosts: dict[str, LabHost]

    @property
    def config(self) -> Path:
        return self.folder / "ssh_config"

    @property
    def dut(self) -> LabHost:
        return self.hosts["dut"]

    @property
    def gen(self) -> LabHost:
        return self.hosts["gen"]

    @property
    def environment(self) -> dict[str, str]:
        """For a pytest or a subcommand of ours in a process of its own."""
        return {"PYTEST_NFV_SSH_CONFIG": str(self.config)}

    def ssh(self, name: str, run_id: str = "", *, python: str = "") -> SshHost:
        """Return a host as the plugin makes one."""
        return SshHost(name, run_id, name=name.partition("-")[0], python=python, config_file=self.config)

    def know(self, *names: str) -> None:
        """Write known_hosts anew, with these hosts in it alone."""
        lines = [f"{host.address} {host.public_key()}\n" for host in map(self.hosts.__getitem__, names)]
        lines += [f"127.0.0.1 {self.hosts[name].public_key()}\n" for name in names]
        (self.folder / "known_hosts").write_text("".join(lines))


@contextmanager
def ssh_lab(
    folder: Path, cables: int = 2, hosts: Sequence[str] = HOSTS, wires: Sequence[tuple[str, str]] = ()
) -> Iterator[SshLab]:
    """Make them, with `cables` between the first two: `eth1` of one to `eth1` of the other, and so on.

    Args:
        folder: for keys and configuration.
        cables: how many there are of those.
        hosts: their names.
        wires: cables of another kind instead: ("gen.eth1", "a.eth1").
    """
    wires = wires or [(f"{hosts[0]}.eth{n + 1}", f"{hosts[1]}.eth{n + 1}") for n in range(cables)]
    _ran("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(folder / "id_ed25519"))
    shutil.copy(folder / "id_ed25519.pub", folder / "authorized_keys")
    with ExitStack() as stack:
        lab = SshLab(folder, {})
        client = ""
        for name, (ours, theirs) in zip(hosts, _free_addresses(len(hosts)), strict=True):
            ends = [end.split(".") for wire in wires for end in wire]
            ports = tuple(port for host, port in ends if host == name)
            lab.hosts[name] = host = _made(name, folder, theirs, ports)
            stack.callback(host.remove)
            _managed(host, ours)
            client += _CLIENT.format(name=name, address=theirs)
        for one, other in wires:
            (near, port), (far, peer) = one.split("."), other.split(".")
            pids = [str(lab.hosts[name].pid) for name in (near, far)]
            _ran(*f"ip link add {port} netns {pids[0]} type veth peer name {peer} netns {pids[1]}".split())
        lab.config.write_text(client + _CLIENT_ALL.format(folder=folder))
        lab.know(*hosts)
        for host in lab.hosts.values():
            host.start_sshd()
        yield lab


def _made(name: str, folder: Path, address: str, ports: tuple[str, ...]) -> LabHost:
    argv = ["unshare", "--net", "--mount", "--uts", "--fork", "--kill-child", "sh", "-c", _HOLD, name]
    holder = LocalHost().start(argv)
    assert holder.stdout.readline() == "ready\n", holder.stderr_tail()
    host = LabHost(name, folder, address, f"sl{new_run_id()}"[:14] + name[0], ports, holder)
    host.new_host_key()
    key = folder / f"{name}_host_key"
    config = _SSHD.format(key=key, folder=folder, address=address, name=name)
    (folder / f"{name}.sshd_config").write_text(config)
    return host


def _managed(host: LabHost, ours: str) -> None:
    """Make the link for SSH."""
    ends = ["type", "veth", "peer", "name", "mgmt", "netns", str(host.pid)]
    _ran("ip", "link", "add", host.interface, *ends)
    _ran("ip", "address", "add", f"{ours}/30", "dev", host.interface)
    _ran("ip", "link", "set", host.interface, "up")
    host.inside("ip", "address", "add", f"{host.address}/30", "dev", "mgmt")
    host.inside("ip", "link", "set", "mgmt", "up")


def _free_addresses(count: int) -> list[tuple[str, str]]:
    """Return (this machine's, the host's) of networks that no interface of this machine is in."""
    told = [line.split() for line in _ran("ip", "-4", "-o", "address").splitlines()]
    used = [ipaddress.IPv4Interface(words[words.index("inet") + 1]).network for words in told]
    small = [net for network in _NETWORKS for net in network.subnets(new_prefix=30)]
    free = [net for net in small if not any(net.overlaps(one) for one in used)]
    return [(str(net[1]), str(net[2])) for net in free[:count]]
