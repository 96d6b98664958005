"""The receiving half of a port on a kernel socket: a frame a system call, or many; it polls and never blocks.

Polling keeps the wake-up of a sleeping process out of the figure, and needs a core of its own. Frames that found
the socket's buffer full are counted by the kernel (SO_MEMINFO).
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
import time

import numpy as np
import numpy.typing as npt

from pytest_nfv.rings.port import Arrived
from pytest_nfv.rings.socket_send import failed
from pytest_nfv.rings.socket_slots import SocketSlots

BATCH = 64  # T20's vector
RECEIVE_BUFFER = 4 << 20
_SO_RCVBUFFORCE, _SO_MEMINFO = 33, 55
_MEMINFO = struct.Struct("9I")
_DROPS = 8  # SK_MEMINFO_DROPS
# What the kernel charges a buffer for a frame, rounded up from what it was seen to: 832 octets for one of 60, 1280
# for 508, 2304 for 1020 to 1514.
_HEAD, _SHARE = 800, 1.5
_EMPTY = (errno.EAGAIN, errno.EINTR)
I64 = npt.NDArray[np.int64]
_FLAGS = socket.MSG_DONTWAIT | socket.MSG_TRUNC  # the length of a frame that was cut off too


class SocketReceiver:
    """Receives from a socket, which it owns."""

    def __init__(self, sock: socket.socket, what: str, many: bool) -> None:
        self._socket = sock
        self._fd = sock.fileno()
        self._what = what
        self._take = self._many if many else self._one_by_one
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
        except PermissionError:  # only the first user namespace's root may pass the system's maximum
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._buffer = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        libc = ctypes.CDLL(None, use_errno=True)
        self._recvmmsg = libc.recvmmsg
        self._recvmmsg.argtypes = (
            ctypes.c_int,
            ctypes.c_void_p,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_void_p,
        )
        self._recvmmsg.restype = ctypes.c_int
        self.expect(0)

    def expect(self, octets: int) -> None:
        """Make slots for frames of up to `octets`, and for learning frames."""
        self._octets = octets
        self._slots = SocketSlots(BATCH, max(octets, 60), max(octets, 16))

    @property
    def slots(self) -> int:
        """Frames that the socket's buffer holds, at least."""
        return max(1, int(self._buffer / (_HEAD + _SHARE * self._octets)))

    def receive(self, limit: int) -> Arrived | None:
        """Return what arrived, a vector at most; the stamp is the time of this call.

        Raises:
            GeneratorError: the kernel will not receive.
        """
        octets = self._take(min(limit, BATCH))
        count = len(octets)
        if not count:
            return None
        return Arrived(self._slots.rows[:count], octets, np.full(count, time.monotonic_ns(), np.int64))

    def _many(self, limit: int) -> I64:
        count: int = self._recvmmsg(self._fd, self._slots.header(0), limit, _FLAGS, None)
        if count < 0:
            self._empty(ctypes.get_errno())
            count = 0
        return (self._slots.lengths[:count] & np.uint64(0xFFFFFFFF)).astype(np.int64)

    def _one_by_one(self, limit: int) -> I64:
        receive, lengths = self._socket.recv_into, list[int]()
        try:
            for view in self._slots.views[:limit]:
                lengths.append(receive(view, 0, _FLAGS))
        except OSError as error:
            self._empty(error.errno or errno.EIO)
        return np.array(lengths, np.int64)

    def _empty(self, number: int) -> None:
        if number not in _EMPTY:
            raise failed(self._what, number, "receiving")

    def overruns(self) -> int:
        """Return how many frames found the buffer full.

        Raises:
            GeneratorError: the interface went away.
        """
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise failed(self._what, error, "receiving")
        told = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        return int(_MEMINFO.unpack(told)[_DROPS])

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
