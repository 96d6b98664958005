"""What a memif port is told by `PortSpec.parameters`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.memif_messages import SECRET_OCTETS
from pytest_nfv.rings.memory import PAGES, Pages
from pytest_nfv.rings.rendezvous import MEET_S, PATH_OCTETS_MAX, ROLES, Role

SLOTS = 2048
SLOTS_MIN, SLOTS_MAX = 64, 32_768  # head and tail have 16 bits: their distance must tell full from empty
QUEUES_MAX = 256
ID_MAX = (1 << 32) - 1
MTU_MAX = 9600
WAIT_S_MAX = 600
_KEYS = ("id", "role", "queues", "rx_slots", "tx_slots", "pages", "secret", "wait_s")


@dataclass(frozen=True, slots=True)
class MemifOptions:
    """One port.

    Attributes:
        socket: path of the control socket, or `@name` in the abstract name space.
        role: `client` connects to a socket that the peer serves and owns the memory, `server` serves the socket.
        id: number of the interface on that socket.
        queues: pairs of rings.
        rx_slots, tx_slots: entries of each ring as this port sees the direction; the client's choice, hence
            unused by a server.
        pages: `huge`, `plain`, or `auto`: huge pages where enough are free; the client's choice.
        secret: what both ends must know; empty for none.
        wait_s: deadline for the peer to be there.
    """

    address: str
    socket: str
    mtu: int
    role: Role = "client"
    id: int = 0
    queues: int = 1
    rx_slots: int = SLOTS
    tx_slots: int = SLOTS
    pages: Pages = "auto"
    secret: str = ""
    wait_s: int = int(MEET_S)

    @classmethod
    def of(cls, spec: PortSpec) -> MemifOptions:
        """Read a spec.

        Raises:
            ConfigurationError: a parameter is missing, unknown or out of range.
        """
        name, given = f"memif port {spec.address}", dict(spec.parameters)
        unknown = given.keys() - {"socket", *_KEYS}
        if unknown or not given.get("socket"):
            what = f"unknown parameter {min(unknown)!r}" if unknown else "no socket"
            raise ConfigurationError(f"{name}: {what}; accepted: socket=PATH or @NAME and {', '.join(_KEYS)}")
        if len(os.fsencode(given["socket"])) > PATH_OCTETS_MAX:
            raise ConfigurationError(
                f"{name}: socket {given['socket']!r}: accepted: up to {PATH_OCTETS_MAX} octets"
            )
        if not 68 <= spec.mtu <= MTU_MAX:
            raise ConfigurationError(f"{name}: mtu {spec.mtu}: accepted: 68 to {MTU_MAX}")
        secret = given.get("secret", "")
        if not secret.isascii() or len(secret) > SECRET_OCTETS:
            raise ConfigurationError(
                f"{name}: secret of {len(secret)} letters: accepted: up to {SECRET_OCTETS}, ASCII"
            )
        return cls(
            address=spec.address,
            socket=given["socket"],
            mtu=spec.mtu,
            role=_role(name, given.get("role", "client")),
            id=_whole(name, given, "id", 0, 0, ID_MAX),
            queues=_whole(name, given, "queues", 1, 1, QUEUES_MAX),
            rx_slots=_power(name, given, "rx_slots"),
            tx_slots=_power(name, given, "tx_slots"),
            pages=_pages(name, given.get("pages", "auto")),
            secret=secret,
            wait_s=_whole(name, given, "wait_s", int(MEET_S), 1, WAIT_S_MAX),
        )

    @property
    def name(self) -> str:
        """How errors name the port."""
        return f"memif port {self.socket} id {self.id}"

    @property
    def bound(self) -> str:
        """The address for bind and connect; abstract names begin with a zero."""
        return "\0" + self.socket[1:] if self.socket.startswith("@") else self.socket


def _role(name: str, value: str) -> Role:
    for one in ROLES:
        if value == one:
            return one
    raise ConfigurationError(f"{name}: role {value!r}: accepted: {', '.join(ROLES)}")


def _pages(name: str, value: str) -> Pages:
    for one in PAGES:
        if value == one:
            return one
    raise ConfigurationError(f"{name}: pages {value!r}: accepted: {', '.join(PAGES)}")


def _whole(name: str, given: Mapping[str, str], key: str, default: int, least: int, most: int) -> int:
    value = given.get(key, str(default))
    if not (value.isascii() and value.isdecimal() and len(value) < 12 and least <= int(value) <= most):
        raise ConfigurationError(f"{name}: {key} {value!r}: accepted: a whole number from {least} to {most}")
    return int(value)


def _power(name: str, given: Mapping[str, str], key: str) -> int:
    number = _whole(name, given, key, SLOTS, SLOTS_MIN, SLOTS_MAX)
    if number & (number - 1):
        raise ConfigurationError(f"{name}: {key} {number}: accepted: a power of two")
    return number
