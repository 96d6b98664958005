"""bpf(2) without a library: maps, programs, and the link that attaches one to an interface."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

from pytest_nfv.errors import CapabilityMissing, GeneratorError

_SYSCALLS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _PROG_LOAD, _LINK_CREATE = 0, 1, 2, 5, 28
_PROG_TYPE_XDP, _ATTACH_XDP = 6, 37
_GENERIC, _NATIVE = 1 << 1, 1 << 2
_LOG_OCTETS = 1 << 16


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


class Map:
    """A map of the kernel's, seen through its descriptor; keys and values are octets in the machine's order."""

    def __init__(self, kind: int, key_octets: int, value_octets: int, entries: int, flags: int = 0) -> None:
        """Make one.

        Args:
            kind: `enum bpf_map_type`.
            key_octets: of a key.
            value_octets: of a value.
            entries: how many it may have.
            flags: as bpf(2) takes them.

        Raises:
            CapabilityMissing: not permitted.
        """
        self.fd = _bpf(_MAP_CREATE, struct.pack("<IIIII", kind, key_octets, value_octets, entries, flags))

    def set(self, key: bytes, value: bytes) -> None:
        """Add or replace an entry."""
        self._entry(_MAP_UPDATE, key, ctypes.create_string_buffer(value, len(value)))

    def get(self, key: bytes, octets: int) -> bytes:
        """Return an entry; of a map by core, the values of all possible cores.

        Raises:
            OSError: ENOENT where there is none.
        """
        value = ctypes.create_string_buffer(octets)
        self._entry(_MAP_LOOKUP, key, value)
        return value.raw

    def _entry(self, command: int, key: bytes, value: ctypes.Array[ctypes.c_char]) -> None:
        name = ctypes.create_string_buffer(key, len(key))
        pointers = ctypes.addressof(name), ctypes.addressof(value)
        _bpf(command, struct.pack("<IIQQQ", self.fd, 0, *pointers, 0))

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
