"""OpenFlow rules of a topology of port pairs: port 2k faces 2k + 1, and OVS's own numbers count from 1."""

from __future__ import annotations

from pytest_nfv.errors import ConfigurationError

# Reading a field with `move` into a register makes the datapath match on all of it; the frame stays as it is.
_READ_ADDRESSES = "move:NXM_OF_IP_SRC[]->NXM_NX_REG0[],move:NXM_OF_IP_DST[]->NXM_NX_REG1[]"
_READ_PORTS = "move:NXM_OF_{0}_SRC[]->NXM_NX_REG2[0..15],move:NXM_OF_{0}_DST[]->NXM_NX_REG2[16..31]"


def openflow_port(port: int) -> int:
    """Return OVS's number of the port that faces the generator's `port`."""
    return port + 1


def flow_rules(rules: str, ports: int) -> tuple[str, ...]:
    """Return the rules as ovs-ofctl(8) reads them.

    Args:
        rules: `port`, `normal` or `5tuple`, as in `DatapathSettings`.
        ports: how many generator ports there are, two a pair.

    Raises:
        ConfigurationError: an odd number of ports, but for `normal`.
    """
    if rules == "normal":
        return tuple(f"in_port={openflow_port(port)},actions=NORMAL" for port in range(ports))  # counted by port
    if ports % 2:
        raise ConfigurationError(f"rules {rules!r} with {ports} ports: accepted: pairs of ports")
    made: list[str] = []
    for port in range(ports):
        way = f"in_port={openflow_port(port)}"
        out = f"output:{openflow_port(port ^ 1)}"
        if rules == "5tuple":
            made += [
                f"priority=10,{way},{name.lower()},actions={_READ_ADDRESSES},{_READ_PORTS.format(name)},{out}"
                for name in ("UDP", "TCP")
            ]
        made.append(f"priority=1,{way},actions={out}")
    return tuple(made)
