"""The receiving half of an AF_PACKET port: a PACKET_RX_RING (TPACKET_V2) seen as one numpy array.

Slots have one size, chosen for the frames that are expected: the ring of 64-octet frames then takes 128 octets a
frame and stays in the caches of the two cores that share it. Layout of a slot (packet(7), `linux/if_packet.h`):

    0  tp_status  4 tp_len  8 tp_snaplen  12 tp_mac, tp_net  16 tp_sec  20 tp_nsec  24 tp_vlan_tci, tp_vlan_tpid
    32 sockaddr_ll ... tp_mac: the frame

The kernel writes the status last and x86 keeps stores and loads in order; other machines would need a barrier.
It takes the outer VLAN tag out of a frame; `receive` puts it back in place.
"""

from __future__ import annotations

import contextlib
import errno
import math
import mmap
import os
import socket
import struct
import time

import numpy as np

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.port import Arrived

_SOL_PACKET = 263
_ADD_MEMBERSHIP, _RX_RING, _STATISTICS, _VERSION, _RESERVE, _IGNORE_OUTGOING = 1, 5, 6, 10, 12, 23
_TPACKET_V2 = 1
_MR_PROMISC = 1
_ETH_P_ALL = 3
_USER, _VLAN_VALID, _VLAN_TPID_VALID = 1, 1 << 4, 1 << 6
_TAG_OCTETS = 4
_MAC_OFFSET = 66  # where the kernel puts the frame with no reserve: 80 octets of headers less the Ethernet header
_PAGE = mmap.PAGESIZE
_BLOCK_MIN = 256 << 10
_RING_OCTETS_MAX = 64 << 20
OFFSET_EVERY_NS = 1_000_000_000


def _realtime_offset_ns() -> int:
    """Return what to add to CLOCK_REALTIME to get CLOCK_MONOTONIC: of five readings the least disturbed."""
    best, offset = None, 0
    for _ in range(5):
        before = time.monotonic_ns()
        real = time.time_ns()
        after = time.monotonic_ns()
        if best is None or after - before < best:
            best, offset = after - before, (before + after) // 2 - real
    return offset


class PacketRing:
    """One ring, for frames of one largest size."""

    def __init__(self, interface: str, octets: int, slots: int) -> None:
        self._interface = interface
        reserve = -(_MAC_OFFSET + octets) % 8  # the signature ends the frame: its words lie on words
        self._mac = _MAC_OFFSET + reserve
        size = -(-(self._mac + octets) // 64) * 64
        block = math.lcm(size, _PAGE)
        block *= max(1, _BLOCK_MIN // block)
        blocks = max(1, -(-min(slots * size, _RING_OCTETS_MAX) // block))
        self.slots = blocks * (block // size)
        self._overruns = 0
        self._next = self._held = 0
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self._set_up(reserve, struct.pack("IIII", block, blocks, size, self.slots))
            flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
            self._map = mmap.mmap(self._socket.fileno(), block * blocks, flags, mmap.PROT_READ | mmap.PROT_WRITE)
        except OSError:
            self._socket.close()
            raise
        self._ring = np.frombuffer(self._map, np.uint8).reshape(self.slots, size)
        self._head = self._ring[:, :32].view(np.uint32)
        self._status = self._head[:, 0]
        self._sample_clocks(time.monotonic_ns())

    def _set_up(self, reserve: int, ring: bytes) -> None:
        self._socket.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V2)
        self._socket.setsockopt(_SOL_PACKET, _RESERVE, reserve)
        with contextlib.suppress(OSError):  # before Linux 4.20; its own frames then count as foreign
            self._socket.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        self._socket.setsockopt(_SOL_PACKET, _RX_RING, ring)
        index = socket.if_nametoindex(self._interface)
        self._socket.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, struct.pack("iHH8s", index, _MR_PROMISC, 0, b""))
        self._socket.bind((self._interface, _ETH_P_ALL))

    def _sample_clocks(self, now_ns: int) -> None:
        self._offset_ns = _realtime_offset_ns()
        self._sample_again_ns = now_ns + OFFSET_EVERY_NS

    def receive(self, limit: int) -> Arrived | None:
        """Return the frames that lie next to one another in the ring, up to its end."""
        first = self._next
        flags = self._status[first : first + limit] & (_USER | _VLAN_VALID)
        if not flags[0] & _USER:
            return None
        same = flags == flags[0]
        count = len(same) if same.all() else int(same.argmin())
        head = self._head[first : first + count]
        if int(head[0, 3]) & 0xFFFF != self._mac:
            raise GeneratorError(
                f"interface {self._interface}: a frame starts at octet {int(head[0, 3]) & 0xFFFF} of its slot, "
                f"not at {self._mac}: this is no Ethernet interface"
            )
        now_ns = time.monotonic_ns()
        if now_ns > self._sample_again_ns:
            self._sample_clocks(now_ns)
        stamps = head[:, 4].astype(np.int64)
        stamps *= 1_000_000_000
        stamps += head[:, 5]
        stamps += self._offset_ns
        octets = head[:, 1].astype(np.int64)
        start = self._mac
        if flags[0] & _VLAN_VALID:
            start -= _TAG_OCTETS
            octets += _TAG_OCTETS
            self._put_tags_back(first, count)
        self._held = count
        return Arrived(self._ring[first : first + count, start:], octets, stamps)

    def _put_tags_back(self, first: int, count: int) -> None:
        rows, head, mac = self._ring[first : first + count], self._head[first : first + count], self._mac
        rows[:, mac - _TAG_OCTETS : mac + 8] = rows[:, mac : mac + 12].copy()
        known = (head[:, 0] & _VLAN_TPID_VALID) != 0
        kind = np.where(known, head[:, 6] >> 16, 0x8100).astype(">u2")
        control = (head[:, 6] & 0xFFFF).astype(">u2")
        rows[:, mac + 8 : mac + 10] = kind.view(np.uint8).reshape(count, 2)
        rows[:, mac + 10 : mac + 12] = control.view(np.uint8).reshape(count, 2)

    def release(self) -> None:
        """Hand the slots back to the kernel."""
        self._status[self._next : self._next + self._held] = 0
        self._next = (self._next + self._held) % self.slots
        self._held = 0

    def overruns(self) -> int:
        """Return the frames that found the ring full.

        Raises:
            GeneratorError: the interface went away.
        """
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            name = errno.errorcode.get(error, str(error))
            raise GeneratorError(
                f"interface {self._interface}: {os.strerror(error)} ({name}) while receiving: "
                "it was taken down or removed"
            )
        _, drops = struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8))
        self._overruns += drops  # reading sets the kernel's counter to zero
        return self._overruns

    def close(self) -> None:
        """Close the socket; the memory goes with the last view on it."""
        self._socket.close()
