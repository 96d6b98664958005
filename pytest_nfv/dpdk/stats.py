"""testpmd's counters, read from what its console prints (DPDK 22.11)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_nfv.errors import DeploymentError

_NIC = re.compile(r"NIC statistics for port (\d+)\s+#+(.*?)#{20}", re.DOTALL)
_FORWARD = re.compile(r"Forward statistics for port (\d+)\s+-+(.*?)-{20}", re.DOTALL)
_NUMBER = re.compile(r"([RT]X-[a-z]+)\s*:\s*(\d+)")
_WORKERS = ("rte-worker", "dpdk-worker")  # names of forwarding threads, before and from DPDK 23.11
_CYCLES = re.compile(r"(?:total|busy) cycles=(\d+) / total \w+ packets=\d+\) at (\d+) MHz")
_ADDRESS = re.compile(r"^Port (\d+): ((?:[0-9A-F]{2}:){5}[0-9A-F]{2})\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PortStats:
    """Frames of one port since testpmd started.

    Attributes:
        missed: found no room in the port's receive ring; no_buffer: no memory to receive into.
        dropped: were to be sent, and the port's transmit ring was full.
    """

    received: int
    missed: int
    errors: int
    no_buffer: int
    sent: int
    dropped: int


def port_stats(nic: str, forward: str, ports: int) -> tuple[PortStats, ...]:
    """Read `show port stats all` and `show fwd stats all`.

    Raises:
        DeploymentError: they do not say what testpmd says.
    """
    told = {int(port): _numbers(body) for port, body in _NIC.findall(nic)}
    dropped = {int(port): _numbers(body) for port, body in _FORWARD.findall(forward)}
    try:
        return tuple(
            PortStats(
                received=told[port]["RX-packets"],
                missed=told[port]["RX-missed"],
                errors=told[port]["RX-errors"],
                no_buffer=told[port]["RX-nombuf"],
                sent=told[port]["TX-packets"],
                dropped=dropped[port]["TX-dropped"],
            )
            for port in range(ports)
        )
    except KeyError as error:
        raise DeploymentError(f"testpmd's statistics tell no {error.args[0]!r}:\n{nic}{forward}") from error


def busy_cycles(forward: str) -> tuple[int, float] | None:
    """Read the cycles that forwarding took, of calls that found frames, and the clock's rate in Hz.

    They are of the time stamp counter: where others had the core during such a call, that is in them.

    Returns:
        None where no frame was forwarded yet: nothing is told then.
    """
    found = _CYCLES.search(forward)
    return (int(found[1]), int(found[2]) * 1e6) if found else None


def worker_cycles(forward: str, threads: Mapping[int, str], ran_s: float) -> dict[int, tuple[int, int]]:
    """Return the cycles of the forwarding thread by its id: those with frames, and all.

    Those with frames are of calls that found some, from the call to the last frame sent.

    Args:
        forward: as for `busy_cycles`.
        threads: testpmd's, id to name.
        ran_s: how long it has been forwarding.

    Returns:
        Empty where there are several such threads, as testpmd tells the sum of them, or nothing is told yet.
    """
    workers = [tid for tid, name in threads.items() if name.startswith(_WORKERS)]
    told = busy_cycles(forward)
    if len(workers) != 1 or told is None:
        return {}
    busy, clock_hz = told
    return {workers[0]: (busy, int(ran_s * clock_hz))}


def addresses(greeting: str) -> dict[int, str]:
    """Read the MAC addresses of the ports, which testpmd tells as it configures them."""
    return {int(port): address.lower() for port, address in _ADDRESS.findall(greeting)}


def _numbers(body: str) -> dict[str, int]:
    return {name: int(number) for name, number in _NUMBER.findall(body)}
