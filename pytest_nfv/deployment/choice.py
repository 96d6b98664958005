"""Which engine carries a VNF out, by what the switch's ports are. Pure: nothing is touched."""

from __future__ import annotations

from dataclasses import replace

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.chain import Chain, Colocated
from pytest_nfv.model.topology import Topology
from pytest_nfv.model.vnf import AUTO, VM_ENGINES, VNF
from pytest_nfv.vswitches.table import driver

ACCEPTED = {
    "veth": ("kernel", "numpy", "testpmd", "xdp"),
    "vhost_user": ("numpy", "testpmd"),
    "memif": ("numpy",),
}
"""Engines by what the far end of the switch's ports is, the one that is taken first at the head."""
VM_ACCEPTED: dict[str, tuple[str, ...]] = {"veth": VM_ENGINES, "vhost_user": VM_ENGINES, "memif": ()}
"""The same inside a guest."""


def with_engines(topology: Topology) -> Topology:
    """Return a topology with every VNF's engine chosen for its switch.

    Raises:
        ConfigurationError: an unknown switch, or a VNF that cannot be at it; names both and what is accepted.
    """
    switch = topology.vswitch
    joins = driver(switch.name).joins(dict(switch.settings))
    if isinstance(topology, Colocated):
        return replace(topology, chain=_with_engines(topology.chain, joins))
    return _with_engines(topology, joins) if isinstance(topology, Chain) else topology


def _with_engines(chain: Chain, joins: str) -> Chain:
    return chain.of([chosen(vnf, joins, str(chain.vswitch)) for vnf in chain.vnfs])


def chosen(vnf: VNF, joins: str, switch: str) -> VNF:
    """Return a VNF with its engine chosen: the first that is at home at a switch's ports and has the function.

    Raises:
        ConfigurationError: no engine, or not the one that is asked for.
    """
    there = VM_ACCEPTED if vnf.host == "vm" else ACCEPTED
    accepted = [engine for engine in there[joins] if engine in vnf.engines]
    if not accepted or vnf.engine not in (AUTO, *accepted):
        raise ConfigurationError(
            f"VNF({vnf.function}, engine={vnf.engine!r}, host={vnf.host!r}) on {switch}, whose ports are "
            f"{joins}: accepted: {', '.join(accepted) or 'none'}"
        )
    if vnf.queues > 1 and joins == "veth" and vnf.host != "vm":
        raise ConfigurationError(
            f"VNF(queues={vnf.queues}) on {switch}: accepted: 1, as an interface has, or a VM"
        )
    return vnf.on(accepted[0] if vnf.engine == AUTO else vnf.engine)
