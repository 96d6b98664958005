"""What a vhost-user port is told by `PortSpec.parameters`."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.parameters import one_of, power_of_two, whole
from pytest_nfv.rings.memory import PAGES, Pages
from pytest_nfv.rings.rendezvous import ROLES, Role
from pytest_nfv.rings.virtqueue import SIZE_MAX

RX_SLOTS, TX_SLOTS = 16_384, 2048
SLOTS_MIN = 64
QUEUES_MAX = 128
MTU_MAX = 9600


@dataclass(frozen=True, slots=True)
class VhostOptions:
    """One port.

    Attributes:
        socket: path of the control socket.
        role: `client` connects to a socket that the peer serves, `server` serves it.
        queues: queue pairs.
        rx_slots, tx_slots: entries of each queue in the direction as this port sees it; a front end's choice.
        pages: `huge`, `plain`, or `auto`: huge pages where enough are free; a front end's choice.
    """

    socket: str
    mtu: int
    role: Role = "client"
    queues: int = 1
    rx_slots: int = RX_SLOTS
    tx_slots: int = TX_SLOTS
    pages: Pages = "auto"

    @classmethod
    def of(cls, spec: PortSpec) -> VhostOptions:
        """Read a spec.

        Raises:
            ConfigurationError: a parameter is missing, unknown or out of range.
        """
        name, given = f"{spec.kind} port {spec.address}", dict(spec.parameters)
        unknown = given.keys() - {"socket", "role", "queues", "rx_slots", "tx_slots", "pages"}
        if unknown or not given.get("socket"):
            what = f"unknown parameter {min(unknown)!r}" if unknown else "no socket"
            raise ConfigurationError(
                f"{name}: {what}; accepted: socket=PATH and role, queues, rx_slots, tx_slots, pages"
            )
        if not 68 <= spec.mtu <= MTU_MAX:
            raise ConfigurationError(f"{name}: mtu {spec.mtu}: accepted: 68 to {MTU_MAX}")
        return cls(
            socket=given["socket"],
            mtu=spec.mtu,
            role=one_of(name, given, "role", ROLES, "client"),
            queues=whole(name, given, "queues", 1, 1, QUEUES_MAX),
            rx_slots=power_of_two(name, given, "rx_slots", RX_SLOTS, SLOTS_MIN, SIZE_MAX),
            tx_slots=power_of_two(name, given, "tx_slots", TX_SLOTS, SLOTS_MIN, SIZE_MAX),
            pages=one_of(name, given, "pages", PAGES, "auto"),
        )
