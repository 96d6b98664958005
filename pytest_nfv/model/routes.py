"""Routes: which next hop an IPv4 destination has, by longest prefix match (RFC 1812 section 5.2.4.3).

```toml
[[route]]
prefix = "198.19.0.0/16"
nic = 1                            # leaves by the second vNIC
next_hop = "02:00:00:00:00:02"     # left out: the station at the far end of that vNIC
```
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from pathlib import Path
from typing import Any

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.table_file import TableFile

NICS = 2
ROUTES_MIN, ROUTES_MAX = 2, 10_000
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_TEST_NETWORKS = (IPv4Network("198.18.0.0/16"), IPv4Network("198.19.0.0/16"))  # RFC 2544 appendix C.2.2
_ELSEWHERE = IPv4Network("10.0.0.0/8")


def mac_of(value: object) -> str:
    """Return a station's MAC address in small letters.

    Raises:
        ConfigurationError: it is none, or a group's.
    """
    text = value.lower() if isinstance(value, str) else ""
    if not _MAC.fullmatch(text) or int(text[:2], 16) & 1:
        raise ConfigurationError(f"{value!r}: accepted: a station's MAC address such as 02:00:00:00:00:01")
    return text


def network_of(value: object) -> IPv4Network:
    """Return an IPv4 prefix.

    Raises:
        ConfigurationError: it is none, or has bits set behind its length.
    """
    try:
        return value if isinstance(value, IPv4Network) else IPv4Network(str(value))
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise ConfigurationError(f"{value!r}: {error}; accepted: an IPv4 prefix such as 198.18.0.0/16") from error


def nic_of(value: object) -> int:
    """Return the number of a vNIC.

    Raises:
        ConfigurationError: there is none of that number.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < NICS:
        raise ConfigurationError(f"{value!r}: accepted: vNIC 0 or 1")
    return value


@dataclass(frozen=True, slots=True)
class Route:
    """One prefix.

    Attributes:
        prefix: destinations; a text is taken too.
        nic: the vNIC to leave by.
        next_hop: MAC address of the next hop; empty for the station at the far end of that vNIC.
    """

    prefix: IPv4Network
    nic: int
    next_hop: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "prefix", network_of(self.prefix))
        nic_of(self.nic)
        if self.next_hop:
            object.__setattr__(self, "next_hop", mac_of(self.next_hop))

    @classmethod
    def of(cls, prefix: str, nic: int, next_hop: str = "") -> Route:
        """Return a route to a prefix given as text."""
        return cls(network_of(prefix), nic, next_hop)


@dataclass(frozen=True, slots=True)
class RouteTable:
    """Routes of different prefixes; prefixes within one another are what longest prefix match is for.

    Attributes:
        routes: in any order, which means nothing.
        source: where they are from.
    """

    routes: tuple[Route, ...]
    source: str = field(default="given", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "routes", tuple(self.routes))
        if not 1 <= len(self.routes) <= ROUTES_MAX:
            raise ConfigurationError(f"a table of {len(self.routes)} routes: accepted: 1 to {ROUTES_MAX:,}")
        known: dict[IPv4Network, Route] = {}
        for route in self.routes:
            other = known.setdefault(route.prefix, route)
            if other is not route:
                raise ConfigurationError(
                    f"two routes overlap: both are to {route.prefix}, by vNIC {other.nic} and by vNIC {route.nic}"
                    "; accepted: each prefix once"
                )

    def __str__(self) -> str:
        return f"{len(self.routes)} routes"

    @classmethod
    def generated(cls, count: int, seed: int) -> RouteTable:
        """Return `count` routes, the same for the same seed.

        The test traffic of RFC 2544 is carried: 198.18.0.0/16 leaves by vNIC 0, 198.19.0.0/16 by vNIC 1. The
        other routes are longer prefixes: by turns one within those two, with the same way out, and one elsewhere.

        Raises:
            ConfigurationError: too few or too many, or no whole numbers.
        """
        if isinstance(count, bool) or not isinstance(count, int) or not ROUTES_MIN <= count <= ROUTES_MAX:
            raise ConfigurationError(
                f"routes={count!r}: accepted: {ROUTES_MIN} to {ROUTES_MAX:,}, or a RouteTable"
            )
        pick = random.Random(seed)
        routes = {prefix: Route(prefix, nic) for nic, prefix in enumerate(_TEST_NETWORKS)}
        while len(routes) < count:
            nic = pick.randrange(NICS)
            within = _TEST_NETWORKS[nic] if len(routes) % 2 else _ELSEWHERE
            length = pick.randint(within.prefixlen + 1, 28)
            first = int(within.network_address) | pick.randrange(within.num_addresses)
            prefix = IPv4Network((first >> 32 - length << 32 - length, length))
            routes.setdefault(prefix, Route(prefix, nic))
        return cls(tuple(routes.values()), f"generated, seed {seed}")

    @classmethod
    def load(cls, path: Path) -> RouteTable:
        """Read a file.

        Raises:
            ConfigurationError: names file, line, key, the value and what is accepted.
        """
        entries = TableFile(path, "route").entries(_READERS, ("prefix", "nic"))
        lines: dict[IPv4Network, str] = {}
        for entry in entries:
            prefix = entry.values["prefix"]
            if prefix in lines:
                raise ConfigurationError(
                    f"{entry.where}: prefix: two routes overlap: {prefix} is also that of {lines[prefix]}; "
                    "accepted: each prefix once"
                )
            lines[prefix] = entry.where
        return cls(tuple(Route(**entry.values) for entry in entries), str(path))

    def lookup(self, destination: IPv4Address) -> Route | None:
        """Return the route with the longest prefix that holds the address."""
        held = [route for route in self.routes if destination in route.prefix]
        return max(held, key=lambda route: route.prefix.prefixlen, default=None)

    def to_json(self) -> list[dict[str, Any]]:
        """Return plain JSON values."""
        return [
            {"prefix": str(route.prefix), "nic": route.nic, "next_hop": route.next_hop} for route in self.routes
        ]

    @classmethod
    def from_json(cls, data: list[dict[str, Any]]) -> RouteTable:
        """Read what `to_json` wrote."""
        return cls(tuple(Route.of(**one) for one in data))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{value!r} is not a text in quotes")
    return value


_READERS: dict[str, Callable[[Any], Any]] = {
    "prefix": lambda value: network_of(_text(value)),
    "nic": nic_of,
    "next_hop": mac_of,
}
