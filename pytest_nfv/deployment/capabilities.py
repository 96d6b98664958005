"""What a machine can do, by the names that `--nfv-require` takes."""

from __future__ import annotations

import os
from shutil import which

from pytest_nfv.deployment import vnf_capabilities as vnfs
from pytest_nfv.deployment.cores import CAPABILITY as CORES
from pytest_nfv.deployment.plan import place
from pytest_nfv.errors import CapabilityMissing
from pytest_nfv.hosts.cores import usable_cores
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.hosts.tuning.cpufreq import CAPABILITY as CPUFREQ
from pytest_nfv.hosts.tuning.cpufreq import driver_of, frequencies, policy
from pytest_nfv.hosts.tuning.protocol import Scope
from pytest_nfv.hosts.userns import privileged
from pytest_nfv.model.chain import PVP
from pytest_nfv.model.nf import L2Fwd
from pytest_nfv.model.testbed import Testbed, built_in
from pytest_nfv.model.topology import P2P, VSwitch
from pytest_nfv.model.vnf import VNF
from pytest_nfv.vswitches.table import ALIASES, DRIVERS, driver

_MACHINE = {
    "netns": "network namespaces for this user, as root or inside a user namespace",
    "rootless": "network namespaces inside a user namespace",
    "two-cores": "a core for the device and one for the generator",
    CPUFREQ: "cores whose clock can be set, for --nfv-cpu-freq",
    "sshd": "a second host, as a namespace with an OpenSSH server, for this project's own tests",
    CORES: "a core for each VNF beside the switch's and the generator's, where a placement asks for that",
}


def known() -> dict[str, str]:
    """Return every capability's name and meaning."""
    switches = {name: f"the switch `{name}` runs here" for name in (*DRIVERS, *ALIASES)}
    return _MACHINE | switches | {name: meaning for name, (meaning, _) in vnfs.CAPABILITIES.items()}


def probe(name: str) -> str:
    """Try a capability; return what was found.

    Raises:
        CapabilityMissing: what is missing and how to get it.
        KeyError: no such capability; `known` lists them.
    """
    if name in DRIVERS or name in ALIASES:
        return driver(name).probe(LocalHost())
    if name in vnfs.CAPABILITIES:
        return vnfs.probe(name)
    if name in ("two-cores", CORES):
        cores = usable_cores()
        switch = VSwitch("linux-bridge")
        placed = P2P(switch) if name == "two-cores" else PVP(switch, VNF(L2Fwd()), placement="spread")
        place(placed, built_in()["local"], cores)
        return f"{len(cores)} cores"
    if name == CPUFREQ:
        folder = policy(min(os.sched_getaffinity(0)), Scope())
        listed = ", ".join(map(str, frequencies(folder)))
        return f"{driver_of(folder)}, {listed or 'any frequency between its limits'}"
    if name == "sshd":
        return _sshd()
    _ = _MACHINE[name]
    lab = Lab(LocalHost(), new_run_id(), rootless=True if name == "rootless" else None)
    try:
        lab.namespace("probe")
        return "in a user namespace" if lab.rootless else "as root"
    finally:
        lab.close()


def _sshd() -> str:
    place = which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if place is None:
        raise CapabilityMissing("sshd", "no OpenSSH server", "apt-get install openssh-server")
    if not privileged():
        raise CapabilityMissing("sshd", "a host of its own takes mount and network namespaces", "run as root")
    return place


def switches(testbed: Testbed) -> list[tuple[str, str, str]]:
    """Return (switch, version, what is missing) of every switch there is, as found on a testbed."""
    if testbed.kind == "sim":
        return [(name, "simulated", "") for name in testbed.vswitches]
    found = []
    for name in DRIVERS:
        try:
            found.append((name, probe(name), ""))
        except CapabilityMissing as missing:
            found.append((name, "", str(missing)))
    return found
