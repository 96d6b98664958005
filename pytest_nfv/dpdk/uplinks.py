"""Ports of network cards under DPDK: by a driver of its own where it has the card, else by the kernel's sockets.

A card that no driver of the kernel's has (it is bound to vfio-pci) is DPDK's by its PCI address. Another is taken
into the switch's namespace and opened by a packet socket (`net_af_packet`): a kernel thread on the device's core
(threaded NAPI) takes its frames in.

Run against veth pairs between two hosts; no card bound to vfio-pci has been at hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_nfv.hosts.lab import Lab, LinkState, VethEnd
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.nic import Nic

_FRAME_OCTETS_MIN = 2048  # of a slot of its ring; with the socket's header, and a frame of 1,500 in it
_SOCKET_HEADER = 128
_WHOLE_FRAMES = {"tso": False, "gso": False, "gro": True}


class DpdkUplinks:
    """The uplinks of one switch, taken when made; they go back with the namespace.

    Attributes:
        devices: what DPDK is told of each: a virtual device's arguments, or a PCI address.
        notes: what must be read beside every figure.
    """

    def __init__(self, lab: Lab, device: NamespaceHost, uplinks: Sequence[Nic], mtu: int) -> None:
        """Take what is the kernel's into `device`.

        Raises:
            DeploymentError: the host has no such port, or it is in use.
        """
        self._lab, self._device = lab, device
        self._names = [f"s{port}-{lab.run_id}" if one.interface else "" for port, one in enumerate(uplinks)]
        self._threads: dict[int, str] = {}
        self.notes: tuple[str, ...] = ()
        for one, name in zip(uplinks, self._names, strict=True):
            if name:
                lab.adopt(device, one.interface, VethEnd(device, name, "", _WHOLE_FRAMES), mtu)
                threads, note = lab.threaded(device, name)
                self._threads |= threads
                self.notes += (note,) if note else ()
        octets = max(_FRAME_OCTETS_MIN, 1 << (mtu + _SOCKET_HEADER).bit_length())
        self.devices = tuple(
            f"net_af_packet{port},iface={name},framesz={octets},blocksz={octets * 2}" if name else one.pci
            for port, (one, name) in enumerate(zip(uplinks, self._names, strict=True))
        )

    @property
    def pci(self) -> tuple[str, ...]:
        """PCI addresses of those that DPDK has by a driver of its own."""
        return tuple(one for one, name in zip(self.devices, self._names, strict=True) if not name)

    def pin(self, cores: Sequence[int]) -> list[str]:
        """Keep the kernel's threads on the device's cores; return which were not let."""
        pinned = self._lab.pin(self._threads, cores) if cores and self._threads else []
        return [f"device core not pinned: {note}" for note in pinned]

    def threads(self) -> dict[int, str]:
        """Return the kernel's threads that take frames in, id to name."""
        return dict(self._threads)

    def drops(self, port: int, links: Mapping[str, LinkState]) -> dict[str, int]:
        """Return what the kernel dropped on the way in."""
        link = links.get(self._names[port])
        return {"dropped on receipt": link.rx_dropped + link.rx_missed} if link else {}

    def links(self) -> dict[str, LinkState]:
        """Return the interfaces that were taken, by name."""
        return self._lab.links(self._device) if any(self._names) else {}
