"""Our own XDP program: a few instructions that hand frames to AF_XDP sockets and pass all others to the kernel.

Put together here and loaded by bpf(2), with no compiler and no library. Attached by a link: the kernel detaches
the program with the last descriptor of the link, however the process ends.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence

from pytest_nfv.errors import CapabilityMissing, ConfigurationError, GeneratorError

MACS_MAX = 64
_SYSCALLS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
_MAP_CREATE, _MAP_UPDATE, _PROG_LOAD, _LINK_CREATE = 0, 2, 5, 28
_MAP_TYPE_XSKMAP, _PROG_TYPE_XDP, _ATTACH_XDP = 17, 6, 37
_GENERIC, _NATIVE = 1 << 1, 1 << 2
_LOG_OCTETS = 1 << 16

# struct xdp_md: where the frame begins and ends, and the queue it came by.
_DATA, _DATA_END, _QUEUE = 0, 4, 16
_PASS = 2
_REDIRECT_MAP = 51


def _instruction(code: int, to: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    """Return one instruction (the kernel's `Documentation/bpf/standardization/instruction-set.rst`)."""
    return struct.pack("<BBhi", code, to | source << 4, offset, value)


def _load(width: int, to: int, source: int, offset: int) -> bytes:
    return _instruction({4: 0x61, 2: 0x69}[width], to, source, offset)


def _move(to: int, value: int) -> bytes:
    return _instruction(0xB7, to, value=value)


def _copy(to: int, source: int) -> bytes:
    return _instruction(0xBF, to, source)


def _signed(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value


_EXIT = _instruction(0x95)


def by_queue(sockets: int) -> bytes:
    """Return the program that hands every frame to the socket of its queue, if there is one.

    Args:
        sockets: descriptor of the XSKMAP; queue to socket.
    """
    return b"".join(
        (
            _load(4, to=2, source=1, offset=_QUEUE),
            _instruction(0x18, to=1, source=1, value=sockets),  # two slots: a 64-bit value, here a map
            _instruction(0),
            _move(3, _PASS),
            _instruction(0x85, value=_REDIRECT_MAP),
            _EXIT,
        )
    )


def by_mac(sockets: int, addresses: Sequence[bytes]) -> bytes:
    """Return the program that does so with frames to one of the MAC addresses, and passes all others.

    Args:
        sockets: descriptor of the XSKMAP; queue to socket.
        addresses: 6 octets each.
    """
    head = (
        _load(4, to=2, source=1, offset=_DATA),
        _load(4, to=3, source=1, offset=_DATA_END),
        _copy(4, 2),
        _instruction(0x07, to=4, value=6),
    )
    load = (_load(4, to=4, source=2, offset=0), _load(2, to=5, source=2, offset=4))
    compare = 3 * len(addresses)
    checks = []
    for place, address in enumerate(addresses):
        low, high = struct.unpack("<IH", address)
        checks += [
            _instruction(0x56, to=4, offset=2, value=_signed(low)),  # not equal in 32 bits: to the next address
            _instruction(0x55, to=5, offset=1, value=high),
            _instruction(0x05, offset=compare - 3 * place - 3 + 2),  # found: over the pass below
        ]
    too_short = _instruction(0x2D, to=4, source=3, offset=len(load) + compare)
    return b"".join((*head, too_short, *load, *checks, _move(0, _PASS), _EXIT, by_queue(sockets)))


def mac(text: str) -> bytes:
    """Return the octets of a MAC address.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        address = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        address = b""
    if len(address) != 6:
        raise ConfigurationError(f"port address {text!r}: accepted: a MAC address such as 02:00:00:00:00:01")
    return address


def _bpf(command: int, attributes: bytes) -> int:
    """Call bpf(2); return what it returns.

    Raises:
        CapabilityMissing: not permitted, or not known here.
        OSError: anything else.
    """
    number = _SYSCALLS.get(platform.machine())
    if number is None:
        raise CapabilityMissing("af_xdp", f"bpf(2) on {platform.machine()}", "use the port kind af_packet there")
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    done: int = libc.syscall(ctypes.c_long(number), ctypes.c_long(command), buffer, ctypes.c_long(len(attributes)))
    if done >= 0:
        return done
    error = ctypes.get_errno()
    if error in (errno.EPERM, errno.EACCES, errno.ENOSYS):
        raise CapabilityMissing(
            "af_xdp",
            f"bpf(2) is refused ({os.strerror(error)})",
            "run as root of the machine, with CAP_BPF and CAP_NET_ADMIN in the initial user namespace: the root "
            "of a user namespace may load no XDP program; or use the port kind af_packet",
        )
    raise OSError(error, os.strerror(error))


class SocketMap:
    """An XSKMAP: which socket takes the frames of which queue."""

    def __init__(self, queues: int) -> None:
        self.fd = _bpf(_MAP_CREATE, struct.pack("<IIIII", _MAP_TYPE_XSKMAP, 4, 4, queues, 0))

    def set(self, queue: int, socket: int) -> None:
        """Give the frames of a queue to a socket, by its descriptor."""
        key, value = ctypes.c_uint32(queue), ctypes.c_uint32(socket)
        pointers = ctypes.addressof(key), ctypes.addressof(value)
        _bpf(_MAP_UPDATE, struct.pack("<IIQQQ", self.fd, 0, *pointers, 0))

    def close(self) -> None:
        """Let go of the map; a program that uses it keeps it. Safe to call twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def load(program: bytes) -> int:
    """Load a program; return its descriptor.

    Raises:
        CapabilityMissing: not permitted.
        GeneratorError: the kernel's verifier refuses it; with its last words.
    """
    instructions = ctypes.create_string_buffer(program, len(program))
    licence, log = ctypes.create_string_buffer(b"Apache-2.0"), ctypes.create_string_buffer(_LOG_OCTETS)

    def attributes(level: int) -> bytes:
        words = len(program) // 8, ctypes.addressof(instructions), ctypes.addressof(licence)
        logging = (level, _LOG_OCTETS, ctypes.addressof(log)) if level else (0, 0, 0)
        return struct.pack(
            "<IIQQIIQII16sII", _PROG_TYPE_XDP, *words, *logging, 0, 0, b"pytest_nfv", 0, _ATTACH_XDP
        )

    try:
        return _bpf(_PROG_LOAD, attributes(0))
    except OSError as error:
        first = error
    try:
        return _bpf(_PROG_LOAD, attributes(1))
    except OSError as error:
        said = "; ".join(log.value.decode("utf-8", "replace").strip().splitlines()[-3:])
        raise GeneratorError(f"the XDP program is refused: {first.strerror}: {said}") from error


def attach(program: int, interface: int, name: str) -> tuple[int, bool]:
    """Attach a program to an interface, by their numbers; return (the link's descriptor, whether in the driver).

    Raises:
        CapabilityMissing: not permitted.
        GeneratorError: another program is there, or the kernel knows no XDP links (before 5.9).
    """
    for flags in (_NATIVE, _GENERIC):
        try:
            return _bpf(
                _LINK_CREATE, struct.pack("<IIII", program, interface, _ATTACH_XDP, flags)
            ), flags == _NATIVE
        except OSError as error:
            last = error
            if error.errno == errno.EBUSY:
                break
    raise GeneratorError(f"interface {name}: no XDP program can be attached: {last.strerror}: is another there?")
