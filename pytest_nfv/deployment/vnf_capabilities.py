"""What network functions ask of a machine, by the names that `--nfv-require` takes; imported as it is tried."""

from __future__ import annotations

from importlib import import_module

_PROBES = "pytest_nfv.deployment.vnf_probes"
_VM_PROBES = "pytest_nfv.deployment.vm_probes"
CAPABILITIES: dict[str, tuple[str, str]] = {
    "nftables": ("the function `Firewall` by the engine `kernel`", f"{_PROBES}:nftables"),
    "xdp": ("the engine `xdp`", f"{_PROBES}:xdp"),
    "namespace": ("VNFs in PID and mount namespaces", f"{_PROBES}:namespace"),
    "lxc": ("VNFs in LXC containers", f"{_PROBES}:lxc"),
    "memory-limit": ("VNFs with a memory limit", f"{_PROBES}:memory_limit"),
    "vm": ("VNFs in virtual machines, by TCG where KVM runs none", f"{_VM_PROBES}:vm"),
    "kvm": ("virtual machines by KVM", f"{_VM_PROBES}:kvm"),
}
"""Capability to its meaning, and the function that tries it and returns what was found."""


def probe(name: str) -> str:
    """Try a capability; return what was found.

    Raises:
        CapabilityMissing: what is missing and how to get it.
        KeyError: no such capability.
    """
    module, _, function = CAPABILITIES[name][1].partition(":")
    return str(getattr(import_module(module), function)())
