"""Topologies as plain JSON values, and back: how a device on another host is told what stands there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model import nf
from pytest_nfv.model.chain import PVP, Chain, Colocated
from pytest_nfv.model.topology import P2P, Topology, VSwitch
from pytest_nfv.model.vnf import VNF

_VNF_FIELDS = ("engine", "host", "vnics", "queues", "vcpus", "memory_mib")


def to_json(topology: Topology) -> dict[str, Any]:
    """Return plain JSON values.

    Raises:
        ConfigurationError: one that stands on the machine of its generator only.
    """
    common: dict[str, Any] = {"kind": topology.kind, "vswitch": [topology.vswitch.name, topology.vswitch.settings]}
    if isinstance(topology, P2P):
        return common | {"bidirectional": topology.bidirectional, "pairs": topology.pairs}
    if isinstance(topology, Chain):
        return common | {
            "vnfs": [_vnf_json(vnf) for vnf in topology.vnfs],
            "bidirectional": topology.bidirectional,
            "placement": topology.placement,
        }
    if isinstance(topology, Colocated):
        return {"kind": topology.kind, "chain": to_json(topology.chain), "n": topology.n}
    raise ConfigurationError(f"{topology}: accepted on a testbed of several hosts: P2P, PVP, Chain and Colocated")


def from_json(data: Mapping[str, Any]) -> Topology:
    """Read what `to_json` wrote.

    Raises:
        ConfigurationError: an unknown kind, or values that it does not accept.
    """
    kind = data["kind"]
    if kind == Colocated.kind:
        chain = from_json(data["chain"])
        assert isinstance(chain, Chain)
        return Colocated(chain, data["n"])
    name, settings = data["vswitch"]
    vswitch = VSwitch(name, tuple((key, value) for key, value in settings))
    if kind == P2P.kind:
        return P2P(vswitch, bidirectional=data["bidirectional"], pairs=data["pairs"])
    vnfs = [_vnf(one) for one in data["vnfs"]]
    more = {"bidirectional": data["bidirectional"], "placement": data["placement"]}
    if kind == PVP.kind:
        return PVP(vswitch, vnfs[0], **more)
    if kind == Chain.kind:
        return Chain(vswitch, vnfs, **more)
    raise ConfigurationError(f"topology {kind!r}: accepted: P2P, PVP, Chain, Colocated")


def _vnf_json(vnf: VNF) -> dict[str, Any]:
    return {"function": nf.to_json(vnf.function), **{name: getattr(vnf, name) for name in _VNF_FIELDS}}


def _vnf(data: Mapping[str, Any]) -> VNF:
    return VNF(nf.from_json(data["function"]), **{name: data[name] for name in _VNF_FIELDS})
