"""Our own XDP program: a few instructions that hand frames to AF_XDP sockets and pass all others to the kernel.

Put together here and loaded by bpf(2), with no compiler and no library. Attached by a link: the kernel detaches
the program with the last descriptor of the link, however the process ends.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.rings.bpf import Map

MACS_MAX = 64
_MAP_TYPE_XSKMAP = 17

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


class SocketMap:
    """An XSKMAP: which socket takes the frames of which queue."""

    def __init__(self, queues: int) -> None:
        self._map = Map(_MAP_TYPE_XSKMAP, 4, 4, queues)

    @property
    def fd(self) -> int:
        """Its descriptor, -1 once closed."""
        return self._map.fd

    def set(self, queue: int, socket: int) -> None:
        """Give the frames of a queue to a socket, by its descriptor."""
        self._map.set(struct.pack("=I", queue), struct.pack("=I", socket))

    def close(self) -> None:
        """Let go of the map; a program that uses it keeps it. Safe to call twice."""
        self._map.close()
