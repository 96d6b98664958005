"""Tries whether this machine can make a kind of link, in namespaces that vanish with this process.

Run by path with `python -I -S`: `probe.py bridge veth`. Prints the kernel's release; or, with exit status 1, a
line `STAGE: REASON` on stderr, where STAGE is `namespaces` or the kind that was refused.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
RTM_NEWLINK = 16
NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE = 0x1, 0x4, 0x200, 0x400
IFLA_LINKINFO, IFLA_INFO_KIND = 18, 1


def _attribute(kind: int, payload: bytes) -> bytes:
    length = 4 + len(payload)
    return struct.pack("=HH", length, kind) + payload + bytes(-length % 4)


def make_link(kind: str) -> None:
    """Make a link of a kind in the current network namespace; the kernel names it (rtnetlink(7)).

    Raises:
        OSError: the kernel refuses.
    """
    info = _attribute(IFLA_LINKINFO, _attribute(IFLA_INFO_KIND, kind.encode()))
    body = struct.pack("=BBHiII", socket.AF_UNSPEC, 0, 0, 0, 0, 0) + info
    flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_EXCL | NLM_F_CREATE
    header = struct.pack("=IHHII", 16 + len(body), RTM_NEWLINK, flags, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.settimeout(5)
        netlink.send(header + body)
        answer = netlink.recv(4096)
    error = -struct.unpack_from("=i", answer, 16)[0]
    if error:
        raise OSError(error, os.strerror(error))


def enter() -> None:
    """Move into a network namespace that nobody else sees; inside a user namespace, where we lack the rights.

    Raises:
        OSError: neither is permitted.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for flags in (CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNET):
        if libc.unshare(flags) == 0:
            return
    error = ctypes.get_errno()
    raise OSError(error, os.strerror(error))


def main(kinds: list[str]) -> int:
    """Try each kind; return the exit status."""
    stage = "namespaces"
    try:
        enter()
        for stage in kinds:
            make_link(stage)
    except OSError as error:
        print(f"{stage}: {error.strerror}", file=sys.stderr)
        return 1
    print(os.uname().release)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
