"""What nftables is told; that it understands it is seen in the functional tests."""

from __future__ import annotations

from pytest_nfv.model.rules import Rule, RuleSet
from pytest_nfv.vnfs.kernel_rules import firewall


def lines(rules: RuleSet) -> list[str]:
    return [line.strip() for line in firewall(rules).splitlines()]


def chain(rules: RuleSet, name: str) -> list[str]:
    text = lines(rules)
    start = text.index(f"chain {name} {{")
    return text[start + 1 : text.index("}", start)]


def test_each_rule_in_its_order_then_the_default() -> None:
    rules = RuleSet(
        (
            Rule("allow", protocol=17, destination_ports=(7, 9)),
            Rule("drop", source_ports=(80, 80)),
            Rule("drop", protocol=47),
            Rule("allow"),
        )
    )
    drop = "goto drop_by_policy"
    assert chain(rules, "rules") == [
        "ip protocol 17 th dport 7-9 accept",
        f"ip protocol {{ 6, 17 }} th sport 80 {drop}",
        f"ip protocol 47 {drop}",
        "accept",
        drop,
    ]
    assert chain(rules, "portless") == [f"ip protocol 47 {drop}", "accept", drop], "no ports are to be seen there"


def test_the_default_decides_over_what_is_no_ipv4() -> None:
    assert "ether type != ip accept" in lines(RuleSet((Rule("drop"),), default="allow"))
    assert "ether type != ip goto drop_by_policy" in lines(RuleSet((Rule("allow"),)))


def test_what_is_dropped_is_counted_by_reason_and_by_where_it_came_in() -> None:
    text = firewall(RuleSet((Rule("drop"),)), first="v2-run01")
    for name in ("by_policy", "malformed"):
        chain = text[text.index(f"  chain drop_{name} {{") :].partition("  }")[0]
        assert [line.strip() for line in chain.splitlines()[1:]] == [
            f'iifname "v2-run01" counter name {name}_first',
            f"counter name {name} drop",
        ]
        assert f"  counter {name} {{ }}" in text
        assert f"  counter {name}_first {{ }}" in text


def test_later_fragments_meet_no_rule_that_looks_at_ports() -> None:
    with_ports = RuleSet((Rule("drop", protocol=17, source_ports=(1, 2)),))
    assert "meta l4proto 0-255 ip frag-off & 8191 != 0 goto portless" in chain(with_ports, "forward")


def test_packets_are_measured_only_for_rules_that_look_at_ports() -> None:
    assert "goto portless" not in "".join(chain(RuleSet((Rule("drop", protocol=6),)), "forward"))
    assert "goto portless" in "".join(chain(RuleSet((Rule("drop", protocol=6, source_ports=(1, 2)),)), "forward"))
