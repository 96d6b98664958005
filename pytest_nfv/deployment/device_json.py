"""A device's part and what a trial cost it, as plain JSON values: both go over the lines to another host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pytest_nfv.deployment.device import Part, Spent
from pytest_nfv.deployment.engines import VnfCounters
from pytest_nfv.deployment.hops import Counters
from pytest_nfv.hosts.nic import Nic
from pytest_nfv.model import topology_json
from pytest_nfv.model.trial import CoreUse, GuestUse, ThreadUse
from pytest_nfv.vnfs.protocol import VnicCounters
from pytest_nfv.vswitches.protocol import PortCounters


def part_json(part: Part) -> dict[str, Any]:
    """Return what stands on a host."""
    return {
        "topology": topology_json.to_json(part.topology),
        "mtu": part.mtu,
        "switch_cores": part.switch_cores,
        "vnf_cores": part.vnf_cores,
        "shared": part.shared,
        "uplinks": [asdict(one) for one in part.uplinks],
        "stations": part.stations,
        "first_instance": part.first_instance,
        "first_vnf": part.first_vnf,
        "may_change": None if part.may_change is None else sorted(part.may_change),
    }


def part_of(data: Mapping[str, Any]) -> Part:
    """Read what `part_json` wrote."""
    return Part(
        topology=topology_json.from_json(data["topology"]),
        mtu=data["mtu"],
        switch_cores=tuple(data["switch_cores"]),
        vnf_cores=tuple(map(tuple, data["vnf_cores"])),
        shared=data["shared"],
        uplinks=tuple(Nic(**one) for one in data["uplinks"]),
        stations=tuple(data["stations"]),
        first_instance=data["first_instance"],
        first_vnf=data["first_vnf"],
        may_change=None if data["may_change"] is None else frozenset(data["may_change"]),
    )


def spent_json(spent: Spent) -> dict[str, Any]:
    """Return what a trial cost."""
    return {
        "before": _counters_json(spent.before),
        "after": _counters_json(spent.after),
        "cores": [asdict(one) for one in spent.cores],
        "threads": [asdict(one) for one in spent.threads],
        "guests": [asdict(one) for one in spent.guests],
    }


def spent_of(data: Mapping[str, Any]) -> Spent:
    """Read what `spent_json` wrote."""
    return Spent(
        _counters(data["before"]),
        _counters(data["after"]),
        tuple(CoreUse(**one) for one in data["cores"]),
        tuple(ThreadUse(**one) for one in data["threads"]),
        tuple(GuestUse(**one) for one in data["guests"]),
    )


def _counters_json(counters: Counters) -> list[Any]:
    ports, vnfs = counters
    return [[asdict(one) for one in ports], {name: asdict(one) for name, one in vnfs.items()}]


def _counters(data: Sequence[Any]) -> Counters:
    ports, vnfs = data
    return tuple(PortCounters(**one) for one in ports), {name: _vnf(one) for name, one in vnfs.items()}


def _vnf(data: Mapping[str, Any]) -> VnfCounters:
    return VnfCounters(**{**data, "nics": tuple(VnicCounters(**one) for one in data["nics"])})
