"""OpenFlow rules of a topology: what reaches what. OVS's own port numbers count from 1."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_nfv.vswitches.protocol import Wiring

# Reading a field with `move` into a register makes the datapath match on all of it; the frame stays as it is.
_READ_ADDRESSES = "move:NXM_OF_IP_SRC[]->NXM_NX_REG0[],move:NXM_OF_IP_DST[]->NXM_NX_REG1[]"
_READ_PORTS = "move:NXM_OF_{0}_SRC[]->NXM_NX_REG2[0..15],move:NXM_OF_{0}_DST[]->NXM_NX_REG2[16..31]"


def openflow_port(port: int) -> int:
    """Return OVS's number of `port`."""
    return port + 1


def flow_rules(rules: str, wiring: Wiring, addresses: Sequence[str]) -> tuple[str, ...]:
    """Return the rules as ovs-ofctl(8) reads them.

    Within a segment of more than two ports, frames go to the port that has their destination address.

    Args:
        rules: `port`, `normal` or `5tuple`, as in `DatapathSettings`.
        wiring: the topology's; without segments ports are pairs.
        addresses: MAC address of the station at each port.

    Raises:
        ConfigurationError: an odd number of ports without segments, but for `normal`.
    """
    ports = len(addresses)
    if rules == "normal":
        return tuple(f"in_port={openflow_port(port)},actions=NORMAL" for port in range(ports))  # counted by port
    if any(len(one) > 2 for one in wiring.segments):
        ways = [
            (port, f",dl_dst={addresses[other]}", other)
            for one in wiring.segments
            for port in one
            for other in one
            if other != port
        ]
    else:
        ways = [(port, "", other) for port, other in sorted(wiring.pairs(ports, f"rules {rules!r}").items())]
    return tuple(rule for way in ways for rule in _way(rules, *way))


def _way(rules: str, port: int, match: str, other: int) -> list[str]:
    way = f"in_port={openflow_port(port)}{match}"
    out = f"output:{openflow_port(other)}"
    made = []
    if rules == "5tuple":
        made = [
            f"priority=10,{way},{name.lower()},actions={_READ_ADDRESSES},{_READ_PORTS.format(name)},{out}"
            for name in ("UDP", "TCP")
        ]
    return [*made, f"priority=1,{way},actions={out}"]


def segment_tag(rules: str, wiring: Wiring, port: int) -> list[str]:
    """Return ovs-vsctl's words that keep the segments of a learning switch apart: a VLAN of its own for each."""
    if rules != "normal" or len(wiring.segments) < 2:
        return []
    return [f"tag={wiring.segment(port) + 1}"]
