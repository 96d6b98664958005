"""nftables' text for a firewall on a bridge, and for a router that says nothing of its own.

Checked before any rule, as `model.nf.Firewall` has it: what is no IPv4 meets the default; an unsound header is
malformed (the kernel's own check of an IPv4 header, after which `meta l4proto` is known); and rules that look at
ports hold for no packet that ends before its ports, and for no later fragment, in which nftables would see some.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_nfv.model.nf import Drop
from pytest_nfv.model.rules import ANY_PORT, WITH_PORTS, Rule, RuleSet

TABLE = "nfv"
FAMILY = "bridge"
_PORTS_OCTETS = 4
_FRAGMENT_OFFSET = 0x1FFF
_HEADER_WORDS = range(5, 16)
COUNTERS = {Drop.POLICY: "by_policy", Drop.MALFORMED: "malformed"}
"""Names of the table's counters; `policy` is a word of nftables' own."""
FIRST_COUNTERS = {reason: f"{name}_first" for reason, name in COUNTERS.items()}
"""The same, of what came in by vNIC 0; the rest came in by vNIC 1."""
_COUNTED = {reason: f"goto drop_{name}" for reason, name in COUNTERS.items()}
_VERDICTS = {"allow": "accept", "drop": _COUNTED[Drop.POLICY]}

QUIET = f"""\
table ip {TABLE} {{
  chain out {{
    type filter hook output priority 0; policy drop;
  }}
}}
"""
"""Drops what the namespace's kernel has to say itself: ICMP errors."""


def firewall(rules: RuleSet, first: str = "nic0") -> str:
    """Return the table of a firewall, for `nft -f -`; `first` is the interface that is vNIC 0."""
    default = _VERDICTS[rules.default]
    return "\n".join(
        (
            f"table {FAMILY} {TABLE} {{",
            *(f"  counter {name} {{ }}" for name in (*COUNTERS.values(), *FIRST_COUNTERS.values())),
            *(line for reason in COUNTERS for line in _drop(reason, first)),
            *_chain("portless", [_rule(rule) for rule in rules.rules if not rule.looks_at_ports], default),
            *_chain("optioned", [_ends_early(words) for words in _HEADER_WORDS[1:]], ""),
            *_chain("rules", [_rule(rule) for rule in rules.rules], default),
            "  chain forward {",
            "    type filter hook forward priority 0; policy drop;",
            f"    ether type != ip {default}",
            *_where_ports(rules),
            "    meta l4proto 0-255 goto rules",
            f"    {_COUNTED[Drop.MALFORMED]}",
            "  }",
            "}",
            "",
        )
    )


def _where_ports(rules: RuleSet) -> Iterator[str]:
    if any(rule.looks_at_ports for rule in rules.rules):
        yield f"    meta l4proto 0-255 ip frag-off & {_FRAGMENT_OFFSET} != 0 goto portless"
        yield f"    meta l4proto 0-255 {_ends_early(_HEADER_WORDS[0])}"
        yield "    meta l4proto 0-255 ip hdrlength > 5 jump optioned"


def _ends_early(words: int) -> str:
    """Match packets with a header of so many 32-bit words that end before their ports."""
    return f"ip hdrlength {words} ip length < {4 * words + _PORTS_OCTETS} goto portless"


def _drop(reason: Drop, first: str) -> Iterator[str]:
    counted = f'iifname "{first}" counter name {FIRST_COUNTERS[reason]}'
    return _chain(f"drop_{COUNTERS[reason]}", [counted], f"counter name {COUNTERS[reason]} drop")


def _chain(name: str, rules: list[str], last: str) -> Iterator[str]:
    yield f"  chain {name} {{"
    yield from (f"    {rule}" for rule in rules)
    if last:
        yield f"    {last}"
    yield "  }"


def _rule(rule: Rule) -> str:
    parts = []
    if rule.source.prefixlen:
        parts.append(f"ip saddr {rule.source}")
    if rule.destination.prefixlen:
        parts.append(f"ip daddr {rule.destination}")
    if rule.protocol is not None:
        parts.append(f"ip protocol {rule.protocol}")
    elif rule.looks_at_ports:
        parts.append(f"ip protocol {{ {', '.join(map(str, WITH_PORTS))} }}")
    for side, ports in (("sport", rule.source_ports), ("dport", rule.destination_ports)):
        if ports != ANY_PORT:
            parts.append(f"th {side} {ports[0]}-{ports[1]}" if ports[0] != ports[1] else f"th {side} {ports[0]}")
    return " ".join((*parts, _VERDICTS[rule.action]))
