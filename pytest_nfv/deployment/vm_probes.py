"""Tries what virtual machines ask of a machine; `vnf_capabilities` has the names."""

from __future__ import annotations

from pytest_nfv.errors import CapabilityMissing
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.vnfs import vm_kvm
from pytest_nfv.vnfs.vm_needs import found, qemu


def vm() -> str:
    """Look for all that a guest needs; return the versions of QEMU and of the guest's kernel.

    Raises:
        CapabilityMissing: what is missing and how to get it.
    """
    return found(LocalHost())


def kvm() -> str:
    """Run a guest of a few instructions by KVM; return QEMU's version.

    Raises:
        CapabilityMissing: no QEMU, or KVM does not run it; with the reason.
    """
    run_id = new_run_id()
    host = LocalHost(run_id)
    said = qemu(host)
    lab = Lab(host, run_id)
    try:
        why = vm_kvm.kvm(host, lab.directory)
    finally:
        lab.close()
    if why:
        raise CapabilityMissing("kvm", why, vm_kvm.REMEDY)
    return f"{said} runs guests by KVM"
