"""Makes a tap interface in the network namespace that it is started in: `tap.py NAME MTU QUEUES`.

Run by path with `python -I -S`. The interface stays until its namespace goes.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys

TUN = "/dev/net/tun"
_TUNSETIFF, _TUNSETPERSIST = 0x400454CA, 0x400454CB
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR, _IFF_MULTI_QUEUE = 0x2, 0x1000, 0x4000, 0x100
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFMTU = 0x8913, 0x8914, 0x8922
_IFF_UP = 0x1


def make(name: str, mtu: int, queues: int) -> None:
    """Make it, up.

    Raises:
        OSError: the kernel refuses.
    """
    flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR | (_IFF_MULTI_QUEUE if queues > 1 else 0)
    tap = os.open(TUN, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(tap, _TUNSETIFF, _request(name, "=H", flags))
        fcntl.ioctl(tap, _TUNSETPERSIST, 1)
    finally:
        os.close(tap)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFMTU, _request(name, "=i", mtu))
        found = fcntl.ioctl(control, _SIOCGIFFLAGS, _request(name, "=H", 0))
        (flags,) = struct.unpack_from("=H", found, 16)
        fcntl.ioctl(control, _SIOCSIFFLAGS, _request(name, "=H", flags | _IFF_UP))


def _request(name: str, form: str, value: int) -> bytes:
    """Return a `struct ifreq`, netdevice(7)."""
    return (name.encode().ljust(16, b"\0") + struct.pack(form, value)).ljust(40, b"\0")


def main(argv: list[str]) -> int:
    """Make one; return the exit status."""
    name, mtu, queues = argv
    try:
        make(name, int(mtu), int(queues))
    except OSError as error:
        print(f"tap {name}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
