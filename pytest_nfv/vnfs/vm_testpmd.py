"""DPDK's testpmd in a guest: L2Fwd by mode `io`, its vNICs driven from user space (net_virtio, uio_pci_generic).

The guest's kernel lets go of both vNICs; testpmd polls them. It stands in the background of the guest: its prompt
reads a named pipe and writes a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pytest_nfv.dpdk.argv import COMMAND, Need
from pytest_nfv.dpdk.console import PROMPT
from pytest_nfv.dpdk.settings import Settings
from pytest_nfv.dpdk.stats import port_stats
from pytest_nfv.errors import CapabilityMissing, ConfigurationError, DeploymentError
from pytest_nfv.hosts.protocol import Completed, Host
from pytest_nfv.model.nf import Function, L2Fwd
from pytest_nfv.model.routes import NICS
from pytest_nfv.vnfs.protocol import VnicCounters
from pytest_nfv.vnfs.vm_cpio import Entry, file
from pytest_nfv.vnfs.vm_settings import Machine
from pytest_nfv.vnfs.vm_tools import libraries, with_libraries

MODULES = ("uio_pci_generic",)

_DRIVERS = ("librte_net_virtio", "librte_mempool_ring")
_LIBRARIES = "lib/x86_64-linux-gnu"
_LINES = "/usr/libexec/coreutils/libstdbuf.so"
_MBUFS = 8192
_PAGES = 64  # of 2 MiB: the buffers take 22
_ASKS, _SAYS, _PROCESS = "/tmp/testpmd.in", "/tmp/testpmd.out", "/tmp/testpmd.pid"
_START_S, _ANSWER_S = 30.0, 10.0
_LINES_TOLD = 15

# Each vNIC's place on the bus, once uio_pci_generic has it; what is there is read before it goes.
_TAKE = """\
echo {pages} >/proc/sys/vm/nr_hugepages
for nic in nic0 nic1; do
    device=$(readlink -f /sys/class/net/$nic/device/..)
    echo uio_pci_generic >$device/driver_override || exit 1
    echo ${{device##*/}} >$device/driver/unbind || exit 1
    echo ${{device##*/}} >/sys/bus/pci/drivers_probe || exit 1
    [ -d $device/uio ] || {{ echo "${{device##*/}} is not taken by uio_pci_generic" >&2; exit 1; }}
    echo ${{device##*/}}
done
chmod 755 /  # DPDK loads nothing from below a folder that all may write to
mkfifo {asks}
"""
_UNTIL = """\
until [ "$(tail -c +$((at + 1)) {says} | grep -c '{prompt}')" -ge {prompts} ]; do
    [ -e /proc/$(cat {process})/exe ] || break
    sleep 0.05
done
tail -c +$((at + 1)) {says}
"""


def entries(host: Host) -> list[Entry]:
    """Return testpmd, its drivers and all their libraries, for the guest's root file system.

    Raises:
        CapabilityMissing: something of it is not on this machine; says how to get it.
    """
    found = {one.path: one for one in with_libraries(host, [COMMAND])}
    for name in _DRIVERS:
        driver = _driver(name)
        for path in (str(driver), *libraries(host, str(driver))):
            # As a library that the loader finds by its name: a second copy of a driver would be a second driver.
            where = f"{_LIBRARIES}/{driver.name}" if path == str(driver) else path.lstrip("/")
            found.setdefault(where, file(where, Path(path).read_bytes(), executable=True))
    lines = Path(_LINES)
    if not lines.is_file():
        raise CapabilityMissing(
            "testpmd", f"no {_LINES}, which has testpmd write by lines", "apt-get install coreutils"
        )
    found["lib/libstdbuf.so"] = file("lib/libstdbuf.so", lines.read_bytes(), executable=True)
    return list(found.values())


def _driver(name: str) -> Path:
    """Return a driver's file by the name that its version of DPDK looks for: `librte_net_virtio.so.23`."""
    for path in sorted(Path("/usr", _LIBRARIES, "dpdk").glob(f"pmds-*/{name}.so.*")):
        if path.name.count(".") == 2:
            return path
    raise CapabilityMissing("testpmd", f"no {name} of DPDK here, which a guest needs", "apt-get install dpdk-dev")


class Testpmd:
    """One testpmd between the two vNICs of a guest."""

    __test__ = False

    def __init__(self, name: str, machine: Machine, run: Callable[..., Completed]) -> None:
        self._name, self._machine, self._run = name, machine, run
        self._order: tuple[int, ...] = ()

    def forward(self, functions: Sequence[Function]) -> None:
        """Let it forward.

        Raises:
            ConfigurationError: it has no such function, or the machine not two vNICs.
            CommandError: a vNIC is not to be had; with the guest's own words.
            DeploymentError: it does not come up; with its own last words.
        """
        if list(map(type, functions)) != [L2Fwd] or len(self._machine.nics) != NICS:
            raise ConfigurationError(
                f"{self._name}: {', '.join(map(str, functions))} by testpmd between {len(self._machine.nics)} "
                f"vNICs: accepted: L2Fwd between {NICS}"
            )
        places = self._run(["sh"], stdin=_TAKE.format(pages=_PAGES, asks=_ASKS)).stdout.split()
        self._order = tuple(sorted(places).index(place) for place in places)  # DPDK numbers ports by their place
        command = " ".join((COMMAND, *self._words(places)))
        started = (
            f"export RUNTIME_DIRECTORY=/tmp LD_PRELOAD=/lib/libstdbuf.so _STDBUF_O=L; exec {command} <&4 4<&-"
        )
        script = f"at=0\nsh -c 'exec 4<>{_ASKS}; {started}' >{_SAYS} 2>&1 &\necho $! >{_PROCESS}\n"
        said = self._run(["sh"], stdin=script + _until(1), timeout_s=_START_S).stdout
        if PROMPT.decode() not in said:
            raise DeploymentError(f"{self._name}: testpmd does not come up\n{said.strip()}")
        self._ask("start")

    def _words(self, places: list[str]) -> Iterator[str]:
        yield "--lcores=0@0,1@" + ("1" if self._machine.vcpus > 1 else "0")
        yield from ("--in-memory", "--iova-mode=pa", "--no-telemetry")
        yield from (f"-d {_driver(name).name}" for name in _DRIVERS)
        yield from (f"-a {place}" for place in places)
        yield from ("--", "-i", "--nb-cores=1", "--forward-mode=io", "--no-flush-rx", "--disable-link-check")
        yield f"--total-num-mbufs={_MBUFS}"
        yield f"--mbuf-size={Need.of(Settings(), NICS, self._machine.mtu).mbuf_octets}"
        yield f"--max-pkt-len={self._machine.mtu + 18}"

    def _ask(self, *commands: str) -> str:
        """Put commands to its prompt; return what it says until the prompt behind the last."""
        lines = "".join(f"{one}\\n" for one in commands)
        # The pipe is opened for both ways, which never waits for a reader that is gone.
        script = f"at=$(wc -c <{_SAYS}); printf '{lines}' 1<>{_ASKS}\n" + _until(len(commands))
        said = self._run(["sh"], stdin=script, timeout_s=_ANSWER_S).stdout
        if said.count(PROMPT.decode()) < len(commands):
            last = self._run(["tail", "-n", str(_LINES_TOLD), _SAYS]).stdout
            raise DeploymentError(f"{self._name}: testpmd has ended\n{last.strip()}")
        return said

    def drops(self, pair: int) -> dict[str, int]:
        """Return nothing: what it drops are its vNICs' drops."""
        return {}

    def counters(self, pair: int) -> tuple[VnicCounters, ...]:
        """Read the counters of both vNICs.

        Raises:
            DeploymentError: it is gone, or does not answer.
        """
        said = self._ask("show port stats all", "show fwd stats all")
        ports = port_stats(said, said, NICS)
        return tuple(
            VnicCounters(
                rx_frames=ports[port].received,
                tx_frames=ports[port].sent,
                rx_drops={"guest drops": ports[port].missed + ports[port].errors + ports[port].no_buffer},
                tx_drops={"guest drops": ports[port].dropped},
            )
            for port in self._order
        )


def _until(prompts: int) -> str:
    return _UNTIL.format(says=_SAYS, prompt=PROMPT.decode(), prompts=prompts, process=_PROCESS)
