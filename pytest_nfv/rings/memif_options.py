"""What a memif port is told by `PortSpec.parameters`."""

from __future__ import annotations

import os
from dataclasses import dataclass

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.parameters import one_of, power_of_two, whole
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
            role=one_of(name, given, "role", ROLES, "client"),
            id=whole(name, given, "id", 0, 0, ID_MAX),
            queues=whole(name, given, "queues", 1, 1, QUEUES_MAX),
            rx_slots=power_of_two(name, given, "rx_slots", SLOTS, SLOTS_MIN, SLOTS_MAX),
            tx_slots=power_of_two(name, given, "tx_slots", SLOTS, SLOTS_MIN, SLOTS_MAX),
            pages=one_of(name, given, "pages", PAGES, "auto"),
            secret=secret,
            wait_s=whole(name, given, "wait_s", int(MEET_S), 1, WAIT_S_MAX),
        )

    @property
    def name(self) -> str:
        """How errors name the port."""
        return f"memif port {self.socket} id {self.id}"

    @property
    def bound(self) -> str:
        """The address for bind and connect; abstract names begin with a zero."""
        return "\0" + self.socket[1:] if self.socket.startswith("@") else self.socket
