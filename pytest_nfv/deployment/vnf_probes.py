"""Tries what network functions ask of a machine, for what it is; `vnf_capabilities` has the names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pytest_nfv.errors import CapabilityMissing, CommandError
from pytest_nfv.hosts import cgroups
from pytest_nfv.hosts.lab import Lab, VethEnd
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.nf import ADDRESSES, NEIGHBOURS, Firewall, L2Fwd
from pytest_nfv.vnfs.kernel import KernelEngine
from pytest_nfv.vnfs.kernel_rules import firewall
from pytest_nfv.vnfs.lxc import LxcVnf
from pytest_nfv.vnfs.namespace import NamespaceVnf
from pytest_nfv.vnfs.xdp import XdpEngine

_MTU = 1500
_MIB = 64


@contextmanager
def _space() -> Iterator[tuple[Lab, NamespaceHost]]:
    """Yield a lab of its own, and a namespace in it."""
    run_id = new_run_id()
    lab = Lab(LocalHost(run_id), run_id)
    try:
        yield lab, lab.namespace("probe")
    finally:
        lab.close()


def nftables() -> str:
    """Load a firewall; return nft's version.

    Raises:
        CapabilityMissing: nft is not installed, or the kernel refuses.
    """
    function = Firewall(rules=1)
    KernelEngine.probe(function)
    with _space() as (_, space):
        try:
            space.run(["nft", "-f", "-"], stdin=firewall(function.rules))
            return space.run(["nft", "--version"]).stdout.strip()
        except CommandError as error:
            raise CapabilityMissing(
                "nftables",
                f"nft is refused ({error.stderr.strip()})",
                "use a kernel with nf_tables, bridges included",
            ) from error


def xdp() -> str:
    """Attach a program; return where it runs.

    Raises:
        CapabilityMissing: not permitted, or not known here.
    """
    with _space() as (lab, space):
        lab.veth(VethEnd(space, "nic0", ADDRESSES[0]), VethEnd(space, "nic1", NEIGHBOURS[0]), _MTU)
        engine = XdpEngine(lab, space, L2Fwd())
        try:
            engine.start()
            return "; ".join(engine.notes) or "in the driver of veth"
        finally:
            engine.stop()


def lxc() -> str:
    """Start a container; return LXC's version.

    Raises:
        CapabilityMissing: not installed, or not permitted.
        DeploymentError: it does not start; with its last words.
    """
    LxcVnf.probe()
    with _space() as (lab, space):
        vnf = LxcVnf(lab, space)
        try:
            vnf.start_container()
        finally:
            vnf.stop()
    return LocalHost().run(["lxc-start", "--version"]).stdout.strip()


def namespace() -> str:
    """Enclose a command; return that it was.

    Raises:
        CapabilityMissing: not permitted.
    """
    with _space() as (lab, space):
        NamespaceVnf(lab, space)
        return "in a user namespace" if lab.rootless else "as root"


def memory_limit() -> str:
    """Make a control group; return where.

    Raises:
        CapabilityMissing: no memory controller, or not ours to use.
    """
    with _space() as (lab, space):
        lab.limit_memory(space, _MIB)
        return str(cgroups.memory_hierarchy().root)
