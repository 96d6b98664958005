"""The sending half of a port on a kernel socket: a frame a system call, or many.

The application writes the whole payload of every frame, as T20's do: template and signature anew each time.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import time

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.frames import Frames, Prepared
from pytest_nfv.rings.packet_send import offer_all
from pytest_nfv.rings.port import U64
from pytest_nfv.rings.slots import Slots
from pytest_nfv.rings.socket_slots import SocketSlots

_PASSING = (errno.ENOBUFS, errno.EAGAIN, errno.EINTR)
_MEANING = {
    errno.ECONNREFUSED: "nobody receives there",
    errno.ENETDOWN: "the interface was taken down or removed",
    errno.ENXIO: "the interface was taken down or removed",
    errno.ENODEV: "the interface was taken down or removed",
    errno.ENETUNREACH: "the interface lost its address",
    errno.EMSGSIZE: "longer than the MTU allows",
}


def failed(what: str, number: int, doing: str) -> GeneratorError:
    """Return the error that says what a socket did not do, and why."""
    why = _MEANING.get(number)
    name = errno.errorcode.get(number, str(number))
    return GeneratorError(f"{what}: {os.strerror(number)} ({name}) while {doing}" + (f": {why}" if why else ""))


class SocketSender:
    """Sends out of a connected or bound, blocking socket, which it owns."""

    def __init__(self, sock: socket.socket, what: str, many: bool, burst_max: int) -> None:
        self._socket = sock
        self._fd = sock.fileno()
        self._what = what
        self._burst_max = burst_max
        self._send = self._many if many else self._one_by_one
        libc = ctypes.CDLL(None, use_errno=True)
        self._sendmmsg = libc.sendmmsg
        self._sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        self._sendmmsg.restype = ctypes.c_int

    def prepare(self, frames: Prepared) -> None:
        """Make the slots; they are filled by `reserve`."""
        table = Frames.of(frames)
        self._slots = SocketSlots(self._burst_max, table.longest, table.longest)
        self._words = self._slots.words(table.longest)
        self._writer = Slots(table, self._slots.rows, self._burst_max)
        self._views = self._slots.views
        self._alike, self._longest, self._turn = table.alike, table.longest, 0

    def reserve(self, count: int) -> U64:
        """Write the templates whose turn it is, whole, into the slots, and return their signature words.

        The kernel copies a frame before the call returns: all slots are always free.
        """
        count = min(count, self._burst_max)
        self._writer.write(0, self._turn, count)
        if not self._alike:
            octets = self._writer.octets(self._turn, count)
            self._slots.place(octets)
            starts = (self._longest - octets).tolist()
            self._views = [view[start:] for view, start in zip(self._slots.views, starts, strict=False)]
        return self._words[:count]

    def commit(self, count: int) -> tuple[int, int]:
        """Send; return (taken, refused).

        Raises:
            GeneratorError: the kernel will not send.
        """
        done, refused = offer_all(self._send, count, time.monotonic)
        self._turn += done
        return done - refused, refused

    def _many(self, skip: int, count: int) -> int:
        sent: int = self._sendmmsg(self._fd, self._slots.header(skip), count, 0)
        return sent if sent >= 0 else self._passing(ctypes.get_errno())

    def _one_by_one(self, skip: int, count: int) -> int:
        send, done = self._socket.send, 0
        try:
            for view in self._views[skip : skip + count]:
                send(view)
                done += 1
        except OSError as error:
            # As sendmmsg has it: what went out before is told, and the error is that of the frame after it.
            passing = self._passing(error.errno or errno.EIO)
            return done or passing
        return done

    def _passing(self, number: int) -> int:
        if number in _PASSING:
            return -number
        raise failed(self._what, number, "sending")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
