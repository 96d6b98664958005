"""Network functions as values: what a VNF does with a frame, whatever carries it out.

Every function has two vNICs: what comes in by one leaves by the other, unless it says otherwise. It answers for
frames without FCS, from the destination MAC address on; VLAN tags are not looked through. It sends nothing of its
own, and what it does not pass it drops, for one of the reasons of `Drop`. `nf_oracle` carries all of this out,
slowly and plainly, and is what every engine is compared with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.routes import NICS, RouteTable, mac_of
from pytest_nfv.model.rules import RuleSet

SEED = 1
SIGNED_OCTETS = 64
ADDRESSES = ("02:6e:66:00:00:00", "02:6e:66:00:00:01")
NEIGHBOURS = ("02:6e:66:00:01:00", "02:6e:66:00:01:01")
_OWN = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


class Drop(StrEnum):
    """Why a frame does not come out."""

    MALFORMED = "malformed"
    """No frame, or packet, that the function could be applied to."""
    NO_ROUTE = "no_route"
    """No route to its destination."""
    TTL = "ttl"
    """Its time to live ends here."""
    POLICY = "policy"
    """A rule, or the rule set's default, says so."""
    TX_FULL = "tx_full"
    """The ring that it should have left by was full; never the function's own decision."""


@dataclass(frozen=True, slots=True)
class L2Fwd:
    """Every frame leaves by the other vNIC as it came.

    Frames without a whole Ethernet header (14 octets) are malformed, here and in all other functions.
    """

    kind: ClassVar[str] = "l2fwd"

    def __str__(self) -> str:
        return "L2Fwd"


@dataclass(frozen=True, slots=True)
class L3Fwd:
    """An IPv4 router (RFC 1812), without what routers say of their own.

    In this order:

    1. Malformed: no IPv4 (EtherType 0x0800); fewer than 20 octets behind the Ethernet header; version other than
       4; a header length below 20 octets, above the total length or beyond the frame; a total length beyond the
       frame; a wrong header checksum (section 5.2.2).
    2. No route: none holds the destination; the longest prefix decides (section 5.2.4.3).
    3. TTL: 0 or 1 on arrival (section 5.3.1).
    4. TTL less one, the checksum updated (RFC 1624, equation 3), the source MAC address that of the vNIC which the
       route says, the destination that of its next hop. All other octets stay, options and padding too.

    A route may lead back by the vNIC that the frame came from. Left out: ICMP errors (section 4.3.2), redirects,
    fragmentation, options (carried, not carried out), and the filters of sections 5.3.4 to 5.3.9: the frame's
    own MAC addresses are not looked at, and broadcast, multicast and martian addresses are looked up as any other.

    Attributes:
        routes: a table, or how many to generate with `seed`.
        seed: for generated routes.
        addresses: the MAC address of each vNIC; neighbours: that of the station at the far end of each.
    """

    kind: ClassVar[str] = "l3fwd"

    routes: RouteTable
    seed: int = field(default=SEED, compare=False)
    addresses: tuple[str, str] = ADDRESSES
    neighbours: tuple[str, str] = NEIGHBOURS

    def __init__(
        self,
        routes: RouteTable | int = 10,
        seed: int = SEED,
        addresses: tuple[str, str] = ADDRESSES,
        neighbours: tuple[str, str] = NEIGHBOURS,
    ) -> None:
        table = routes if isinstance(routes, RouteTable) else RouteTable.generated(routes, seed)
        object.__setattr__(self, "routes", table)
        object.__setattr__(self, "seed", seed)
        object.__setattr__(self, "addresses", _pair("addresses", addresses))
        object.__setattr__(self, "neighbours", _pair("neighbours", neighbours))

    def at(self, addresses: tuple[str, str], neighbours: tuple[str, str]) -> L3Fwd:
        """Return the same router between other stations."""
        return L3Fwd(self.routes, self.seed, addresses, neighbours)

    def __str__(self) -> str:
        return f"L3Fwd({self.routes})"


@dataclass(frozen=True, slots=True)
class Firewall:
    """A stateless packet filter: the first rule that matches decides; allowed frames leave as they came.

    - IPv4 is malformed if its header is: as for `L3Fwd`, but that the checksum is not looked at.
    - What is no IPv4 meets no rule: the default decides.
    - Ports are those of TCP and UDP, read from the first four octets behind the IPv4 header. A fragment that is
      not the first, and a packet that ends before, have none: see `Rule`.

    Attributes:
        rules: a set, or how many to generate with `seed`.
        seed: for generated rules.
    """

    kind: ClassVar[str] = "firewall"

    rules: RuleSet
    seed: int = field(default=SEED, compare=False)

    def __init__(self, rules: RuleSet | int = 10, seed: int = SEED) -> None:
        object.__setattr__(self, "rules", rules if isinstance(rules, RuleSet) else RuleSet.generated(rules, seed))
        object.__setattr__(self, "seed", seed)

    def __str__(self) -> str:
        return f"Firewall({self.rules})"


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature is computed over each frame, which then leaves as it came (the tiny NF of M15).

    It is the Internet checksum (RFC 1071) of the frame's first 64 octets, zeros behind a shorter one: a 64 B frame
    has 60 without its FCS. The paper does not say which signature it takes. An engine tells the sum of all, modulo
    2**64, so that it can be seen to have done the work.
    """

    kind: ClassVar[str] = "signature"

    def __str__(self) -> str:
        return "Signature"


@dataclass(frozen=True, slots=True)
class Own:
    """A Python function of a user's own over a batch of frames (docs/vnfs.md); only the numpy engine has it.

    Attributes:
        function: `module:name`.
        folder: where the module is, if not among the installed ones; seen from where the test runs.
    """

    kind: ClassVar[str] = "own"

    function: str
    folder: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.function, str) or not _OWN.fullmatch(self.function):
            raise ConfigurationError(f"function {self.function!r}: accepted: module:name")

    def __str__(self) -> str:
        return self.function


Function: TypeAlias = L2Fwd | L3Fwd | Firewall | Signature | Own
_ALL: tuple[type[Function], ...] = (L2Fwd, L3Fwd, Firewall, Signature, Own)
KINDS = {one.kind: one for one in _ALL}


def to_json(function: Function) -> dict[str, Any]:
    """Return plain JSON values."""
    match function:
        case L3Fwd():
            values: dict[str, Any] = {
                "routes": function.routes.to_json(),
                "addresses": list(function.addresses),
                "neighbours": list(function.neighbours),
            }
        case Firewall():
            values = {"rules": function.rules.to_json()}
        case Own():
            values = {"function": function.function, "folder": function.folder}
        case _:
            values = {}
    return {"kind": function.kind, **values}


def from_json(data: Mapping[str, Any]) -> Function:
    """Read what `to_json` wrote.

    Raises:
        ConfigurationError: it cannot be read.
    """
    values = dict(data)
    kind = values.pop("kind", None)
    if kind not in KINDS:
        raise ConfigurationError(f"network function {kind!r}: accepted: {', '.join(KINDS)}")
    try:
        if kind == "l3fwd":
            values["routes"] = RouteTable.from_json(values["routes"])
        if kind == "firewall":
            values["rules"] = RuleSet.from_json(values["rules"])
        made: Function = KINDS[kind](**values)
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"network function {kind}: cannot be read: {type(error).__name__}: {error}"
        ) from error
    return made


def _pair(name: str, addresses: tuple[str, str]) -> tuple[str, ...]:
    if isinstance(addresses, str) or len(addresses) != NICS:
        raise ConfigurationError(f"{name}={addresses!r}: accepted: one MAC address for each of the {NICS} vNICs")
    return tuple(mac_of(one) for one in addresses)
