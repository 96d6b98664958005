"""Sees whether a cable joins two ports: one end listens, the other sends a few frames that nobody else does.

Run with `python -m pytest_nfv.hosts.cable`, as root: `listen SECONDS TOKEN INTERFACE...` prints `listening`, then
the interface that a frame with the token came in at, if one did in time; `send TOKEN INTERFACE` sends. The frames
are broadcasts of an EtherType for local experiments (IEEE 802, 0x88B5), which no stack answers.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections.abc import Sequence

ETHERTYPE = 0x88B5
_FRAMES = 3
_OUTGOING = 4  # PACKET_OUTGOING: a frame of ours, on its way out
_SENDER = bytes.fromhex("020000000001")  # locally administered


def frame(token: str) -> bytes:
    """Return one frame, without FCS."""
    return (b"\xff" * 6 + _SENDER + ETHERTYPE.to_bytes(2, "big") + f"pytest-nfv {token}".encode()).ljust(60, b"\0")


def send(token: str, interface: str) -> None:
    """Send frames.

    Raises:
        OSError: not permitted, no such interface, or it is not set up.
    """
    with _port(interface) as port:
        for _ in range(_FRAMES):
            port.send(frame(token))


def listen(seconds: float, token: str, interfaces: Sequence[str]) -> str:
    """Return the interface that a frame with the token came in at; empty where none did in time.

    Raises:
        OSError: not permitted, no such interface, or it is not set up.
    """
    ports = {_port(interface): interface for interface in interfaces}
    try:
        print("listening", flush=True)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for port in select.select(list(ports), [], [], left)[0]:
                content, (_, _, kind, _, _) = port.recvfrom(2048)
                if kind != _OUTGOING and content == frame(token):
                    return ports[port]
        return ""
    finally:
        for port in ports:
            port.close()


def _port(interface: str) -> socket.socket:
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE))
    try:
        port.bind((interface, ETHERTYPE))
    except OSError:
        port.close()
        raise
    return port


def main(words: Sequence[str]) -> int:
    """Do what the command line says; return the exit status."""
    try:
        if words[0] == "send":
            send(words[1], words[2])
        else:
            print(listen(float(words[1]), words[2], words[3:]), flush=True)
    except OSError as error:
        print(f"{error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
