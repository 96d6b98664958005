"""Where Open vSwitch's programs are on a host, and which version they are."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_nfv.errors import CapabilityMissing, CommandError
from pytest_nfv.hosts.protocol import Host

# Debian has two builds side by side; which one /usr/sbin/ovs-vswitchd is, is a matter of alternatives. A user's
# search path may lack /usr/sbin.
PLAIN = ("/usr/lib/openvswitch-switch/ovs-vswitchd", "ovs-vswitchd", "/usr/sbin/ovs-vswitchd")
WITH_DPDK = ("/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk", "ovs-vswitchd", "/usr/sbin/ovs-vswitchd")
DATABASE = ("ovsdb-server", "/usr/sbin/ovsdb-server")
_OVS, _DPDK = re.compile(r"\(Open vSwitch\) (\S+)"), re.compile(r"^DPDK (\S+)", re.MULTILINE)


def find(host: Host, capability: str, candidates: Sequence[str], *, dpdk: bool, package: str) -> tuple[str, str]:
    """Return the first of `candidates` that runs, and its version: `3.1.0`, `3.1.0, DPDK 22.11.11`.

    Args:
        host: where it is to run.
        capability: the driver, for the message.
        candidates: names or paths of the program.
        dpdk: it must have been built with DPDK.
        package: what gives it on Debian.

    Raises:
        CapabilityMissing: there is none.
    """
    without = ""
    for program in candidates:
        try:
            said = host.run([program, "--version"]).stdout
        except CommandError:
            continue  # not there, or not for this machine
        version, built_with = _OVS.search(said), _DPDK.search(said)
        if version and not dpdk:
            return program, version[1]
        if version and built_with:
            return program, f"{version[1]}, DPDK {built_with[1]}"
        without = f"; {program} is built without DPDK"
    raise CapabilityMissing(
        capability, f"no {candidates[-1]} on {host.name}{without}", f"sudo apt-get install {package}"
    )
