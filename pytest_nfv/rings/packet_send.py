"""The sending half of an AF_PACKET port: many frames a system call by sendmmsg(2), each one accounted for.

What becomes of a frame (packet(7) and the kernel's `packet_snd`, `veth_xmit`, `__sys_sendmmsg`):

- sent: the device took it;
- ENOBUFS: the frame was handed to the device, whose ring was full: gone, counted in `tx_dropped`. sendmmsg
  swallows the error where frames went out before it in the same call, and returns their number: the frame after
  them is the refused one and must not be tried again, or it would count twice at the interface;
- EAGAIN: the frame was not handed over, as the socket's buffer was full. The call waits for room, for at most
  `SEND_WAIT_S`, instead of being told not to: so a short return means ENOBUFS and never EAGAIN, unless the call
  took that long.

Older kernels report a frame that a full veth ring dropped as sent: it is then in `taken`, and offered and lost
all the same.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import time
from collections.abc import Callable

import numpy as np

from pytest_nfv.errors import GeneratorError
from pytest_nfv.model.offer import SIGNATURE_OCTETS
from pytest_nfv.rings.frames import I64, Frames, Prepared
from pytest_nfv.rings.port import U8, U64
from pytest_nfv.rings.slots import AsideSlots

SEND_WAIT_S = 0.05
SEND_BUFFER = 4 << 20
_MESSAGES_MAX = 1024  # the kernel's UIO_MAXIOV
_SO_SNDBUFFORCE = 32
_MMSGHDR_WORDS = 8  # struct mmsghdr on LP64: msghdr of 7 words, then msg_len and padding
_LINE = 64
_GONE = {errno.ENETDOWN, errno.ENXIO, errno.ENODEV}


def _line_aligned(octets: int) -> U8:
    raw = np.zeros(octets + _LINE, np.uint8)
    shift = -raw.ctypes.data % _LINE
    return raw[shift : shift + octets]


def offer_all(send: Callable[[int, int], int], count: int, clock: Callable[[], float]) -> tuple[int, int]:
    """Offer `count` frames, each once; return how many were dealt with, and how many of those were refused.

    Args:
        count: frames to offer.
        send: called with (frames to skip, frames to send), returns the number sent, or the negative errno: ENOBUFS
            where the first was refused, EAGAIN or EINTR where it was not sent.
        clock: seconds; a call that took `SEND_WAIT_S` was waiting for room.
    """
    done = refused = 0
    while done < count:
        begun = clock()
        sent = send(done, count - done)
        if sent == count - done:
            return count, refused
        if sent < 0 and sent != -errno.ENOBUFS:
            break
        done += max(sent, 0)
        if sent > 0 and clock() - begun >= SEND_WAIT_S:
            break
        refused += 1
        done += 1
    return done, refused


class PacketSender:
    """Slots filled once from templates; only their 16 signature octets change from call to call."""

    def __init__(self, interface: str, burst_max: int) -> None:
        self._interface = interface
        self._burst_max = burst_max
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self._set_up()
        except OSError:
            self._socket.close()
            raise
        self._fd = self._socket.fileno()
        libc = ctypes.CDLL(None, use_errno=True)
        self._sendmmsg = libc.sendmmsg
        self._sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        self._sendmmsg.restype = ctypes.c_int
        self._headers = 0

    def _set_up(self) -> None:
        self._socket.bind((self._interface, 0))
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, SEND_BUFFER)
        except PermissionError:  # only the first user namespace's root may pass the system's maximum
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        wait = struct.pack("ll", 0, int(SEND_WAIT_S * 1e6))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)

    def prepare(self, frames: Prepared) -> None:
        """Fill the slots; a frame ends where its slot ends, so each signature starts on a word."""
        table = Frames.of(frames)
        slots = AsideSlots.rows_for(table, self._burst_max)
        size = -(-table.longest // _LINE) * _LINE
        rows = _line_aligned(slots * size).reshape(slots, size)
        self._slots = AsideSlots(table, rows, self._burst_max)
        self._words: U64 = rows[:, size - SIGNATURE_OCTETS :].view(np.uint64)
        octets = self._slots.octets.astype(np.uint64)
        self._vectors = np.zeros((slots, 2), np.uint64)
        self._vectors[:, 0] = (
            rows.ctypes.data + np.arange(1, slots + 1, dtype=np.uint64) * np.uint64(size) - octets
        )
        self._vectors[:, 1] = octets
        self._messages = np.zeros((slots, _MMSGHDR_WORDS), np.uint64)
        self._messages[:, 2] = self._vectors.ctypes.data + np.arange(slots, dtype=np.uint64) * np.uint64(16)
        self._messages[:, 3] = 1
        self._headers = self._messages.ctypes.data

    def reserve(self, count: int) -> U64:
        """The kernel copies a frame before the call returns: all slots are always free.

        So every batch starts at the first slot that holds the template whose turn it is.
        """
        count = min(count, self._burst_max)
        first = self._slots.ready(count)
        return self._words[first : first + count]

    def commit(self, count: int) -> tuple[int, int]:
        """Send; return (taken, refused).

        Raises:
            GeneratorError: the interface went away, or the kernel will not send.
        """
        done, refused = offer_all(self._send, count, time.monotonic)
        self._slots.went(done)
        return done - refused, refused

    def arrange(self) -> None:
        """Make headers for frames that lie elsewhere."""
        self._outside = np.zeros((_MESSAGES_MAX, 2), np.uint64)
        self._outside_messages = np.zeros((_MESSAGES_MAX, _MMSGHDR_WORDS), np.uint64)
        at = np.arange(_MESSAGES_MAX, dtype=np.uint64) * np.uint64(16)
        self._outside_messages[:, 2] = np.uint64(self._outside.ctypes.data) + at
        self._outside_messages[:, 3] = 1

    def forward(self, frames: U8, octets: I64) -> int:
        """Send frames from where they lie: the kernel copies them before the call returns.

        Raises:
            GeneratorError: the interface went away, or the kernel will not send.
        """
        taken = 0
        headers = self._outside_messages.ctypes.data
        for first in range(0, len(frames), _MESSAGES_MAX):
            some = frames[first : first + _MESSAGES_MAX]
            count = len(some)
            at = np.arange(count, dtype=np.uint64) * np.uint64(some.strides[0])
            self._outside[:count, 0] = np.uint64(some.ctypes.data) + at
            self._outside[:count, 1] = octets[first : first + count]
            done, refused = offer_all(
                lambda skip, rest: self._sendmmsg_from(headers + skip * _MMSGHDR_WORDS * 8, rest),
                count,
                time.monotonic,
            )
            taken += done - refused
        return taken

    def _send(self, skip: int, count: int) -> int:
        return self._sendmmsg_from(self._headers + (self._slots.first + skip) * _MMSGHDR_WORDS * 8, count)

    def _sendmmsg_from(self, at: int, count: int) -> int:
        """Send `count` frames whose headers begin at an address; return how many went, or the negative errno."""
        sent: int = self._sendmmsg(self._fd, at, count, 0)
        if sent >= 0:
            return sent
        error = ctypes.get_errno()
        if error in (errno.ENOBUFS, errno.EAGAIN, errno.EINTR):
            return -error
        gone = ": it was taken down or removed" if error in _GONE else ""
        name = errno.errorcode.get(error, str(error))
        raise GeneratorError(f"interface {self._interface}: {os.strerror(error)} ({name}) while sending{gone}")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
