"""Offloads of an interface by the ioctl that `ethtool -K` uses; the program itself is not needed."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct

from pytest_nfv.errors import DeploymentError

_SIOCETHTOOL = 0x8946
# linux/ethtool.h: (get, set)
_COMMANDS = {"tso": (0x1E, 0x1F), "gso": (0x23, 0x24), "gro": (0x2B, 0x2C)}


def set_offload(interface: str, offload: str, on: bool) -> None:
    """Switch `tso`, `gso` or `gro` of an interface of the calling thread's network namespace.

    Raises:
        DeploymentError: the interface refuses it, or did not keep it.
    """
    read, write = _COMMANDS[offload]
    state = "on" if on else "off"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            _value(any_socket, interface, write, int(on))
            kept = bool(_value(any_socket, interface, read, 0))
        except OSError as error:
            raise DeploymentError(f"cannot switch {offload} of {interface} {state}: {error.strerror}") from error
    if kept != on:
        raise DeploymentError(f"{interface} did not take {offload} {state}; its other offloads hold it")


def read_offload(interface: str, offload: str) -> bool:
    """Return whether `tso`, `gso` or `gro` is on.

    Raises:
        OSError: there is no such interface, or it cannot tell.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        return bool(_value(any_socket, interface, _COMMANDS[offload][0], 0))


def get_offload(interface: str, offload: str) -> bool:
    """Return whether `tso`, `gso` or `gro` of an interface of the calling thread's network namespace is on.

    Raises:
        DeploymentError: the interface does not tell.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            return bool(_value(any_socket, interface, _COMMANDS[offload][0], 0))
        except OSError as error:
            raise DeploymentError(f"cannot read {offload} of {interface}: {error.strerror}") from error


def _value(any_socket: socket.socket, interface: str, command: int, value: int) -> int:
    return int(struct.unpack("=II", _exchange(any_socket, interface, struct.pack("=II", command, value)))[1])


def exchange(interface: str, request: bytes) -> bytes:
    """Hand the driver a structure of linux/ethtool.h, and return what it made of it.

    Raises:
        OSError: refused, or there is no such interface.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        return _exchange(any_socket, interface, request)


def _exchange(any_socket: socket.socket, interface: str, structure: bytes) -> bytes:
    buffer = ctypes.create_string_buffer(structure, len(structure))
    request = struct.pack("16sP", os.fsencode(interface), ctypes.addressof(buffer)).ljust(40, b"\0")
    fcntl.ioctl(any_socket.fileno(), _SIOCETHTOOL, request)
    return buffer.raw
