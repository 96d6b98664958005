"""An AF_XDP socket: a piece of memory (UMEM) and four rings that it shares with the kernel.

    fill        chunks that the kernel may fill        completion  frames that the kernel is done with
    rx          frames that arrived                    tx          frames to send

Each ring has a producer and a consumer, numbers modulo 2**32, and entries that one side writes and the other reads
(the kernel's `Documentation/networking/af_xdp.rst`, `linux/if_xdp.h`). Whoever publishes writes entries first and
its number last; x86 keeps loads and stores in order, other machines would need a barrier.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import socket
import struct

import numpy as np

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.port import U8, U64

AF_XDP, SOL_XDP = 44, 283
_MMAP_OFFSETS, _RX_RING, _TX_RING, _UMEM_REG, _FILL_RING, _COMPLETION_RING, _STATISTICS, _OPTIONS = range(1, 9)
_MAX_TX_BUDGET = 9  # Linux 6.17: frames a system call, else 32
_SHARED, _COPY, _ZERO_COPY, _NEED_WAKEUP = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_PAGES = {_RX_RING: 0, _TX_RING: 0x80000000, _FILL_RING: 0x100000000, _COMPLETION_RING: 0x180000000}
_SO_SNDBUFFORCE = 32
SEND_BUFFER = 4 << 20
WRAP = 0xFFFFFFFF
MODES = {"auto": 0, "copy": _COPY, "zero_copy": _ZERO_COPY}


class Umem:
    """Zeroed memory for frames.

    Attributes:
        array: shape (octets,); chunk: octets of a chunk; owner: the socket that registered it, or None.
    """

    def __init__(self, octets: int, chunk: int) -> None:
        self._memory = mmap.mmap(
            -1, -(-octets // mmap.PAGESIZE) * mmap.PAGESIZE, mmap.MAP_SHARED | mmap.MAP_POPULATE
        )
        self.array: U8 = np.frombuffer(self._memory, np.uint8)
        self.chunk = chunk
        self.owner: XdpSocket | None = None

    def registration(self) -> bytes:
        """Return `struct xdp_umem_reg`."""
        return struct.pack("QQIIII", self.array.ctypes.data, len(self.array), self.chunk, 0, 0, 0)


class Ring:
    """One ring.

    Attributes:
        entries: shape (size, words), uint64; position: this side's own number, which the kernel never writes.
    """

    def __init__(self, memory: mmap.mmap, offsets: tuple[int, int, int, int], size: int, words: int) -> None:
        producer, consumer, entries, flags = offsets
        raw = np.frombuffer(memory, np.uint8)
        self.size, self.mask = size, size - 1
        self.entries: U64 = raw[entries : entries + 8 * words * size].view(np.uint64).reshape(size, words)
        self._producer = memoryview(raw[producer : producer + 4]).cast("I")  # type: ignore[arg-type]  # a buffer
        self._consumer = memoryview(raw[consumer : consumer + 4]).cast("I")  # type: ignore[arg-type]  # an array is a buffer; typeshed knows that from 3.12 on
        self._flags = memoryview(raw[flags : flags + 4]).cast("I")  # type: ignore[arg-type]  # an array is a buffer; typeshed knows that from 3.12 on
        self.position = 0

    @property
    def first(self) -> int:
        """The entry at this side's number."""
        return self.position & self.mask

    def filled(self) -> int:
        """Return how many entries the kernel has put in and this side not yet taken out."""
        return (self._producer[0] - self.position) & WRAP

    def waiting(self) -> int:
        """Return how many entries this side has put in and the kernel not yet taken out."""
        return (self.position - self._consumer[0]) & WRAP

    def produce(self, count: int) -> None:
        """Hand `count` entries to the kernel."""
        self.position = (self.position + count) & WRAP
        self._producer[0] = self.position

    def consume(self, count: int) -> None:
        """Give `count` entries back to the kernel."""
        self.position = (self.position + count) & WRAP
        self._consumer[0] = self.position

    @property
    def asleep(self) -> bool:
        """Whether the kernel wants to be woken by a system call."""
        return bool(self._flags[0] & 1)


class XdpSocket:
    """One socket on one queue of an interface.

    Attributes:
        fill, completion, rx, tx: its rings.
        zero_copy: whether the device reads and writes the UMEM itself.
    """

    def __init__(self, interface: str, queue: int, umem: Umem, slots: tuple[int, int], mode: str) -> None:
        """Open it; `slots` are the entries of the rings for receiving and for sending.

        Raises:
            OSError: not permitted, no such queue, or it has a socket already.
        """
        self._interface = interface
        self._socket = socket.socket(AF_XDP, socket.SOCK_RAW, 0)
        try:
            self._open(socket.if_nametoindex(interface), queue, umem, slots, MODES[mode] | _NEED_WAKEUP)
        except OSError:
            self._socket.close()
            raise

    def _open(self, interface: int, queue: int, umem: Umem, slots: tuple[int, int], flags: int) -> None:
        with contextlib.suppress(PermissionError):
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, SEND_BUFFER)
        if umem.owner is None:
            self._socket.setsockopt(SOL_XDP, _UMEM_REG, umem.registration())
        sizes = {_FILL_RING: slots[0], _COMPLETION_RING: slots[1], _RX_RING: slots[0], _TX_RING: slots[1]}
        for option, size in sizes.items():
            self._socket.setsockopt(SOL_XDP, option, size)
        with contextlib.suppress(OSError):  # before 6.17, or fewer slots
            self._socket.setsockopt(SOL_XDP, _MAX_TX_BUDGET, slots[1])
        self._map(sizes)
        shared = umem.owner.fileno() if umem.owner is not None else 0
        flags = _SHARED if umem.owner is not None else flags
        self._bind(struct.pack("HHIII", AF_XDP, flags, interface, queue, shared))
        if umem.owner is None:
            umem.owner = self
        (chosen,) = struct.unpack("I", self._socket.getsockopt(SOL_XDP, _OPTIONS, 4))
        self.zero_copy = bool(chosen & 1)

    def _map(self, sizes: dict[int, int]) -> None:
        offsets = struct.unpack("16Q", self._socket.getsockopt(SOL_XDP, _MMAP_OFFSETS, 128))
        rings = {}
        for place, (option, words) in enumerate(
            ((_RX_RING, 2), (_TX_RING, 2), (_FILL_RING, 1), (_COMPLETION_RING, 1))
        ):
            producer, consumer, entries, flags = offsets[4 * place : 4 * place + 4]
            octets = entries + 8 * words * sizes[option]
            memory = mmap.mmap(self.fileno(), octets, mmap.MAP_SHARED | mmap.MAP_POPULATE, offset=_PAGES[option])
            rings[option] = Ring(memory, (producer, consumer, entries, flags), sizes[option], words)
        self.rx, self.tx = rings[_RX_RING], rings[_TX_RING]
        self.fill, self.completion = rings[_FILL_RING], rings[_COMPLETION_RING]

    def _bind(self, address: bytes) -> None:
        """Bind by libc: Python's socket knows no address of this family."""
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.bind(self.fileno(), address, len(address)) < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))

    def fileno(self) -> int:
        """Return its descriptor."""
        return self._socket.fileno()

    def wake_to_receive(self) -> None:
        """Tell a sleeping driver that there are chunks to fill."""
        with contextlib.suppress(BlockingIOError):
            self._socket.recv(0, socket.MSG_DONTWAIT)

    def dropped(self) -> int:
        """Return how many frames had no room: no chunk to fill, or no entry in the ring.

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
        counts = struct.unpack("6Q", self._socket.getsockopt(SOL_XDP, _STATISTICS, 48))
        return int(counts[0] + counts[3])  # rx_dropped: with those that found no chunk; rx_ring_full

    def close(self) -> None:
        """Close the socket; the rings go with the last view on them."""
        self._socket.close()
