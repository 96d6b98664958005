"""Programs and maps of one function, attached to two interfaces; the kernel detaches them with this process."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_nfv.errors import CapabilityMissing, ConfigurationError
from pytest_nfv.model.nf import Function, L2Fwd, L3Fwd
from pytest_nfv.model.routes import Route
from pytest_nfv.rings.bpf import Map, attach, load
from pytest_nfv.xdpfwd.programs import Maps, Outcome, l2fwd, l3fwd

FUNCTIONS = (L2Fwd, L3Fwd)
_PERCPU_ARRAY, _LPM_TRIE, _DEVMAP = 6, 11, 14
_NO_PREALLOC = 1
_POSSIBLE = Path("/sys/devices/system/cpu/possible")


class Forwarder:
    """Lives until `close`, or the process's end.

    Attributes:
        native: of each interface, whether the program runs in the driver, before the kernel makes an skb.
    """

    def __init__(self, function: Function, interfaces: Sequence[str]) -> None:
        """Load and attach.

        Args:
            function: what to do.
            interfaces: those of vNIC 0 and 1, up, in this process's network namespace.

        Raises:
            ConfigurationError: a function that this engine has not.
            CapabilityMissing: XDP is not for us here.
            GeneratorError: the kernel refuses a program, or to attach it.
            OSError: no such interface, or the kernel refuses a map.
        """
        if not isinstance(function, FUNCTIONS):
            known = ", ".join(one.__name__ for one in FUNCTIONS)
            raise ConfigurationError(f"engine xdp: function {function}: accepted: {known}")
        if sys.byteorder != "little":
            raise CapabilityMissing("xdp", "this machine is big-endian", "use the engine kernel there")
        self.native: list[bool] = []
        self._cores = _possible_cores()
        self._links: list[int] = []
        self._maps: list[Map] = []
        try:
            self._start(function, [socket.if_nametoindex(name) for name in interfaces], interfaces)
        except BaseException:
            self.close()
            raise

    def _start(self, function: L2Fwd | L3Fwd, indices: Sequence[int], names: Sequence[str]) -> None:
        devices = self._map(_DEVMAP, 4, 4, len(indices))
        for nic, index in enumerate(indices):
            devices.set(_u32(nic), _u32(index))
        self._counters = self._map(_PERCPU_ARRAY, 4, 8, len(Outcome))
        maps = Maps(devices.fd, self._counters.fd)
        if isinstance(function, L3Fwd):
            maps = Maps(maps.devices, maps.counters, self._routes(function).fd)
        for nic, (index, name) in enumerate(zip(indices, names, strict=True)):
            program = load(l3fwd(maps) if isinstance(function, L3Fwd) else l2fwd(maps, 1 - nic))
            try:
                link, native = attach(program, index, name)
            finally:
                os.close(program)  # the link keeps it
            self._links.append(link)
            self.native.append(native)

    def _map(self, kind: int, key: int, value: int, entries: int, flags: int = 0) -> Map:
        made = Map(kind, key, value, entries, flags)
        self._maps.append(made)
        return made

    def _routes(self, function: L3Fwd) -> Map:
        table = self._map(_LPM_TRIE, 8, 16, len(function.routes.routes), _NO_PREALLOC)
        for route in function.routes.routes:
            table.set(*route_entry(function, route))
        return table

    def counters(self) -> dict[str, int]:
        """Return frames by what became of them."""
        return {
            outcome.name.lower(): sum(
                struct.unpack(f"={self._cores}Q", self._counters.get(_u32(outcome), 8 * self._cores))
            )
            for outcome in Outcome
        }

    def close(self) -> None:
        """Detach and let go; safe to call twice."""
        while self._links:
            os.close(self._links.pop())
        while self._maps:
            self._maps.pop().close()


def route_entry(function: L3Fwd, route: Route) -> tuple[bytes, bytes]:
    """Return (key, value) of a route: prefix length and prefix; MAC addresses as they go out, and the vNIC."""
    key = _u32(route.prefix.prefixlen) + route.prefix.network_address.packed
    next_hop = route.next_hop or function.neighbours[route.nic]
    addresses = bytes.fromhex((next_hop + function.addresses[route.nic]).replace(":", ""))
    return key, addresses + _u32(route.nic)


def _u32(value: int) -> bytes:
    return struct.pack("=I", value)


def _possible_cores() -> int:
    """Return how many values a map by core has: one for each core that there may ever be."""
    return int(_POSSIBLE.read_text(encoding="ascii").replace(",", "-").strip().rpartition("-")[2]) + 1
