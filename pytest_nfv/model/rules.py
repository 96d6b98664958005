"""Firewall rules: the first that matches decides.

```toml
default = "drop"                   # where no rule matches; left out: drop

[[rule]]
action = "allow"
source = "198.18.0.0/15"           # what is left out matches anything
destination = "198.18.0.0/15"
protocol = "udp"                   # tcp, udp, icmp, or a number
source_ports = "1024-65535"
destination_ports = 7
```
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.routes import network_of
from pytest_nfv.model.table_file import TableFile

ACTIONS = ("allow", "drop")
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17}
WITH_PORTS = (6, 17)
PORT_MAX = 65_535
ANY_PORT = (0, PORT_MAX)
RULES_MAX = 1_024
_ANYWHERE = IPv4Network("0.0.0.0/0")
_TEST_NETWORK = IPv4Network("198.18.0.0/15")  # RFC 2544 appendix C.2.2
_ELSEWHERE = IPv4Network("10.0.0.0/8")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


def ports_of(value: object) -> tuple[int, int]:
    """Return first and last of a range of ports; `7`, `"7"`, `"1024-65535"`, `"any"` and pairs are taken.

    Raises:
        ConfigurationError: it is none.
    """
    ends: Any = value
    if value == "any":
        return ANY_PORT
    if isinstance(value, str) and (found := _RANGE.fullmatch(value)):
        ends = (int(found[1]), int(found[2] or found[1]))
    elif isinstance(value, int):
        ends = (value, value)
    whole = isinstance(ends, list | tuple) and len(ends) == 2 and all(type(end) is int for end in ends)
    if not whole or not 0 <= ends[0] <= ends[1] <= PORT_MAX:
        raise ConfigurationError(
            f"port {value!r}: accepted: 0 to {PORT_MAX}, or a range such as '1024-{PORT_MAX}', the lower first"
        )
    return (ends[0], ends[1])


def protocol_of(value: object) -> int | None:
    """Return a protocol's number, None for any.

    Raises:
        ConfigurationError: it is none.
    """
    if value is None or value == "any":
        return None
    number = PROTOCOLS.get(value, -1) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= 255:
        raise ConfigurationError(f"protocol {value!r}: accepted: {', '.join(PROTOCOLS)}, any, or 0 to 255")
    return number


def action_of(value: object) -> str:
    """Return an action.

    Raises:
        ConfigurationError: it is none.
    """
    if value not in ACTIONS:
        raise ConfigurationError(f"action {value!r}: accepted: {', '.join(ACTIONS)}")
    return str(value)


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition on the 5-tuple, all parts of which must hold.

    A range of ports other than any port holds for TCP and UDP packets whose ports can be seen: not for a later
    fragment, nor for one that ends before its ports.

    Attributes:
        action: `allow` or `drop`.
        source, destination: prefixes; texts are taken too.
        protocol: its number, or a name; None is any.
        source_ports, destination_ports: first and last; what `ports_of` reads is taken too.
    """

    action: str
    source: IPv4Network = _ANYWHERE
    destination: IPv4Network = _ANYWHERE
    protocol: int | None = None
    source_ports: tuple[int, int] = ANY_PORT
    destination_ports: tuple[int, int] = ANY_PORT

    def __post_init__(self) -> None:
        action_of(self.action)
        for name, reader in _READERS.items():
            object.__setattr__(self, name, reader(getattr(self, name)))
        if self.looks_at_ports and self.protocol not in (None, *WITH_PORTS):
            raise ConfigurationError(f"protocol {self.protocol} has no ports: accepted: tcp, udp, any")

    @classmethod
    def to(cls, action: str, **fields: Any) -> Rule:
        """Return a rule whose parts are written as in a file: `Rule.to("drop", destination_ports="135-139")`."""
        read = {name: reader(fields.pop(name)) for name, reader in _READERS.items() if name in fields}
        return cls(action, **read, **fields)

    @property
    def looks_at_ports(self) -> bool:
        """Whether it holds only where there are ports."""
        return self.source_ports != ANY_PORT or self.destination_ports != ANY_PORT

    def matches(
        self, source: IPv4Address, destination: IPv4Address, protocol: int, ports: tuple[int, int] | None
    ) -> bool:
        """Say whether it holds; `ports` are source and destination, None where they cannot be seen."""
        if source not in self.source or destination not in self.destination:
            return False
        if self.protocol not in (None, protocol):
            return False
        if ports is None:
            return not self.looks_at_ports
        ranges = (self.source_ports, self.destination_ports)
        return all(first <= port <= last for port, (first, last) in zip(ports, ranges, strict=True))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "action": self.action,
            "source": str(self.source),
            "destination": str(self.destination),
            "protocol": self.protocol,
            "source_ports": list(self.source_ports),
            "destination_ports": list(self.destination_ports),
        }


_READERS: dict[str, Callable[[Any], Any]] = {
    "action": action_of,
    "source": network_of,
    "destination": network_of,
    "protocol": protocol_of,
    "source_ports": ports_of,
    "destination_ports": ports_of,
}


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules in their order.

    Attributes:
        rules: the first that matches decides.
        default: the action where none does.
        source: where they are from.
    """

    rules: tuple[Rule, ...]
    default: str = "drop"
    source: str = field(default="given", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", tuple(self.rules))
        action_of(self.default)
        if not 1 <= len(self.rules) <= RULES_MAX:
            raise ConfigurationError(f"a set of {len(self.rules)} rules: accepted: 1 to {RULES_MAX:,}")

    def __str__(self) -> str:
        return f"{len(self.rules)} rules"

    @classmethod
    def generated(cls, count: int, seed: int) -> RuleSet:
        """Return `count` rules, the same for the same seed; by default a packet is dropped.

        The last allows the test traffic of RFC 2544, 198.18.0.0/15. None before it does: their sources are in
        10.0.0.0/8, so that this traffic is compared with all.

        Raises:
            ConfigurationError: too few or too many, or no whole numbers.
        """
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= RULES_MAX:
            raise ConfigurationError(f"rules={count!r}: accepted: 1 to {RULES_MAX:,}, or a RuleSet")
        pick = random.Random(seed)
        rules = [_random_rule(pick) for _ in range(count - 1)]
        rules.append(Rule("allow", _TEST_NETWORK, _TEST_NETWORK))
        return cls(tuple(rules), source=f"generated, seed {seed}")

    @classmethod
    def load(cls, path: Path) -> RuleSet:
        """Read a file.

        Raises:
            ConfigurationError: names file, line, key, the value and what is accepted.
        """
        file = TableFile(path, "rule")
        head = file.head({"default": action_of})
        rules = []
        for entry in file.entries(_READERS, ("action",)):
            try:
                rules.append(Rule(**entry.values))
            except ConfigurationError as error:
                raise ConfigurationError(f"{entry.where}: {error}") from error
        return cls(tuple(rules), head.get("default", "drop"), str(path))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"default": self.default, "rules": [rule.to_json() for rule in self.rules]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RuleSet:
        """Read what `to_json` wrote."""
        return cls(tuple(Rule(**one) for one in data["rules"]), data["default"])


def _random_rule(pick: random.Random) -> Rule:
    def within(network: IPv4Network) -> IPv4Network:
        length = pick.randint(network.prefixlen + 1, 28)
        first = int(network.network_address) | pick.randrange(network.num_addresses)
        return IPv4Network((first >> 32 - length << 32 - length, length))

    first = pick.randrange(PORT_MAX)
    return Rule(
        pick.choice(ACTIONS),
        within(_ELSEWHERE),
        pick.choice((within(_TEST_NETWORK), within(_ELSEWHERE))),
        pick.choice(WITH_PORTS),
        destination_ports=(first, pick.randint(first, PORT_MAX)),
    )
