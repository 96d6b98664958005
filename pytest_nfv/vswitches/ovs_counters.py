"""What OVS's own tools and the kernel print about ports and polling threads, read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_nfv.vswitches.protocol import PollCycles

_PORT = re.compile(r"^\s*port\s+(\S+): rx (?P<rx>.*)$")
_TX = re.compile(r"^\s*tx (pkts=.*)$")
_COUNT = re.compile(r"(\w+)=(\d+)")
_PMD = re.compile(r"^pmd thread numa_id \d+ core_id (\d+):")
_CYCLES = re.compile(r"^\s+(idle|processing) cycles: (\d+)")
_LEARNED = re.compile(r"^\s*(\S+)\s+\d+\s+([0-9a-f]{2}(?::[0-9a-f]{2}){5})\s")
_RULE = re.compile(r"\bn_packets=(\d+),.*\bin_port=\"?(\w+)")
_SOCKET = re.compile(r"\*:(\S+)\s.*?skmem:\(.*?\bd(\d+)\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PortStats:
    """One port as `ovs-ofctl -O OpenFlow15 dump-ports` tells it.

    Attributes:
        connected: False where OVS prints `?`: nobody is at the port's socket.
        rx, tx: frames; rx_drop, tx_drop: frames dropped, in all.
        custom: counters of this kind of port by OVS's own names: `ovs_tx_failure_drops`.
    """

    connected: bool = False
    rx: int = 0
    tx: int = 0
    rx_drop: int = 0
    tx_drop: int = 0
    custom: Mapping[str, int] = field(default_factory=dict)

    def drops(self, side: str) -> dict[str, int]:
        """Return the drops of side `rx` or `tx` by reason; what OVS gives no reason for is `rx_dropped`."""
        prefix = f"ovs_{side}_"
        named = {name: n for name, n in self.custom.items() if name.startswith(prefix) and name.endswith("_drops")}
        rest = (self.rx_drop if side == "rx" else self.tx_drop) - sum(named.values())
        return {**named, f"{side}_dropped": max(0, rest)}


def port_stats(text: str) -> dict[str, PortStats]:
    """Read `ovs-ofctl -O OpenFlow15 dump-ports`: every port by its OpenFlow number, or name."""
    blocks: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if head := _PORT.match(line):
            name = head[1].strip('"')
            blocks[name] = [head["rx"]]
        elif name:
            blocks[name].append(line)
    return {name: _stats(lines) for name, lines in blocks.items()}


def _stats(lines: list[str]) -> PortStats:
    rx = _counts(lines[0])
    tx: dict[str, int] = {}
    custom: dict[str, int] = {}
    own = False
    for line in lines[1:]:
        if found := _TX.match(line):
            tx = _counts(found[1])
        own = own or "CUSTOM Statistics" in line
        if own:
            custom |= _counts(line)
    return PortStats(
        connected="pkts" in rx and "pkts" in tx,
        rx=rx.get("pkts", 0),
        tx=tx.get("pkts", 0),
        rx_drop=rx.get("drop", 0),
        tx_drop=tx.get("drop", 0),
        custom=custom,
    )


def rule_packets(text: str) -> dict[str, int]:
    """Read `ovs-ofctl dump-flows`: frames that came in at each port, by its OpenFlow number."""
    packets: dict[str, int] = {}
    for count, port in _RULE.findall(text):
        packets[port] = packets.get(port, 0) + int(count)
    return packets


def _counts(line: str) -> dict[str, int]:
    return {key: int(value) for key, value in _COUNT.findall(line)}


def poll_cycles(text: str) -> dict[int, PollCycles]:
    """Read `dpif-netdev/pmd-stats-show`: cycles of every polling thread by its core.

    A thread that has not polled yet has no cycles and is left out; the main thread does not poll.
    """
    cycles: dict[int, dict[str, int]] = {}
    core: int | None = None
    for line in text.splitlines():
        if head := _PMD.match(line):
            core = int(head[1])
        elif not line.startswith(" "):
            core = None
        elif core is not None and (found := _CYCLES.match(line)):
            cycles.setdefault(core, {})[found[1]] = int(found[2])
    return {
        core: PollCycles(busy=one["processing"], total=one["processing"] + one["idle"])
        for core, one in cycles.items()
        if len(one) == 2
    }


def learned_addresses(text: str) -> dict[str, str]:
    """Read `fdb/show`: MAC address to the OpenFlow number of the port where it is."""
    found = (_LEARNED.match(line) for line in text.splitlines())
    return {one[2]: one[1] for one in found if one}


def socket_drops(text: str) -> dict[str, int]:
    """Read `ss --packet --memory`: frames that no socket buffer had room for, by interface."""
    drops: dict[str, int] = {}
    for interface, count in _SOCKET.findall(text):
        drops[interface] = drops.get(interface, 0) + int(count)
    return drops
