"""What a guest's kernel says of the frames that its function dropped: nftables' counters, or the router's own."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pytest_nfv.errors import DeploymentError
from pytest_nfv.model.nf import Drop, Firewall, Function, L3Fwd
from pytest_nfv.vnfs.kernel_rules import COUNTERS, FAMILY, FIRST_COUNTERS, TABLE
from pytest_nfv.vnfs.vm_steps import Step

_FIREWALL = Step(("nft", "-j", "list", "counters", "table", FAMILY, TABLE))
_ROUTER = Step(("cat", "/proc/net/snmp", "/proc/net/netstat"))
_GROUPS = ("Ip:", "IpExt:")


def asked(function: Function) -> Step | None:
    """Return the command whose output `drops` reads; nothing where the function drops no sound frame."""
    if isinstance(function, Firewall):
        return _FIREWALL
    return _ROUTER if isinstance(function, L3Fwd) else None


def drops(function: Function, said: str) -> dict[str, int]:
    """Read what the guest says: frames by reason, since its start; a router tells `malformed or ttl` as one.

    Raises:
        DeploymentError: it says something else.
    """
    try:
        return _firewall(said, COUNTERS) if isinstance(function, Firewall) else _router(said)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(error, said) from error


def firewall_drops(said: str) -> tuple[dict[str, int], dict[str, int]]:
    """Read what a firewall dropped of what came in by vNIC 0, and by vNIC 1.

    Raises:
        DeploymentError: the guest says something else.
    """
    try:
        first, both = _firewall(said, FIRST_COUNTERS), _firewall(said, COUNTERS)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(error, said) from error
    return first, {reason: both[reason] - first[reason] for reason in both}


def _unreadable(error: Exception, said: str) -> DeploymentError:
    return DeploymentError(f"a guest's drops cannot be read: {error!r} in {said[:200]!r}")


def _firewall(said: str, counters: Mapping[Drop, str]) -> dict[str, int]:
    listed = [entry["counter"] for entry in json.loads(said)["nftables"] if "counter" in entry]
    packets = {one["name"]: int(one["packets"]) for one in listed}
    return {str(reason): packets[name] for reason, name in counters.items()}


def _router(said: str) -> dict[str, int]:
    ip: dict[str, int] = {}
    for group in _GROUPS:
        names, values = (line.split()[1:] for line in said.splitlines() if line.startswith(group))
        ip |= {name: int(value) for name, value in zip(names, values, strict=True)}
    return {
        f"{Drop.MALFORMED} or {Drop.TTL}": ip["InHdrErrors"] + ip["InTruncatedPkts"],
        str(Drop.NO_ROUTE): ip["InNoRoutes"],
        # OutDiscards is left out: the ICMP errors that never come out are counted there.
        "other": ip["InAddrErrors"] + ip["InDiscards"] + ip["OutNoRoutes"],
    }
