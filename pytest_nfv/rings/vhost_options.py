"""What a vhost-user port is told by `PortSpec.parameters`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.memory import PAGES, Pages
from pytest_nfv.rings.rendezvous import ROLES, Role
from pytest_nfv.rings.virtqueue import SIZE_MAX

RX_SLOTS, TX_SLOTS = 16_384, 2048
SLOTS_MIN = 64
QUEUES_MAX = 128
MTU_MAX = 9600

T = TypeVar("T", bound=str)


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
            role=_one_of(name, given, "role", ROLES, "client"),
            queues=_whole(name, given, "queues", 1, 1, QUEUES_MAX),
            rx_slots=_power(name, given, "rx_slots", RX_SLOTS),
            tx_slots=_power(name, given, "tx_slots", TX_SLOTS),
            pages=_one_of(name, given, "pages", PAGES, "auto"),
        )


def _one_of(name: str, given: Mapping[str, str], key: str, accepted: tuple[T, ...], default: T) -> T:
    value = given.get(key, default)
    for one in accepted:
        if value == one:
            return one
    raise ConfigurationError(f"{name}: {key} {value!r}: accepted: {', '.join(accepted)}")


def _whole(name: str, given: Mapping[str, str], key: str, default: int, least: int, most: int) -> int:
    text = given.get(key, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and least <= int(text) <= most):
        raise ConfigurationError(f"{name}: {key} {text!r}: accepted: a whole number from {least} to {most}")
    return int(text)


def _power(name: str, given: Mapping[str, str], key: str, default: int) -> int:
    number = _whole(name, given, key, default, SLOTS_MIN, SIZE_MAX)
    if number & (number - 1):
        raise ConfigurationError(f"{name}: {key} {number}: accepted: a power of two")
    return number
