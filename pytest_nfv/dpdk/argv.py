"""testpmd's command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_nfv.dpdk.settings import Settings

COMMAND = "dpdk-testpmd"
_MBUFS = 16_384
_HEADROOM, _ETHERNET_OCTETS = 128, 18 + 4
_MBUF_OCTETS_MIN = 2176  # DPDK's own default: 2,048 and the headroom
_MBUF_OVERHEAD = 512  # the buffer's own header, the pool's, and what alignment costs
_UMEM_SLOTS = 2048  # what net_af_xdp has in a ring where nothing else is told
_XDP_HEADROOM = 256
_OTHER_MIB = 160


@dataclass(frozen=True, slots=True)
class Need:
    """Memory for frames.

    Attributes:
        mbufs: buffers, in all; mbuf_octets: the size of each, with its headroom.
    """

    mbufs: int
    mbuf_octets: int

    @classmethod
    def of(cls, settings: Settings, ports: int, mtu: int) -> Need:
        """Return what so many ports take. A frame of the MTU lies in one buffer."""
        in_rings = 4 * (settings.slots or _UMEM_SLOTS) if settings.ports == "af_xdp" else 0
        headroom = _HEADROOM + (_XDP_HEADROOM if settings.ports == "af_xdp" else 0)
        octets = -(-(headroom + mtu + _ETHERNET_OCTETS) // 64) * 64
        moving = 2 * settings.queues * ports * max(settings.burst, 256)
        return cls(max(_MBUFS, moving) + ports * in_rings, max(_MBUF_OCTETS_MIN, octets))

    @property
    def mebibytes(self) -> int:
        """The buffers, and what DPDK takes beside them."""
        return self.mbufs * (self.mbuf_octets + _MBUF_OVERHEAD) // (1 << 20) + _OTHER_MIB


def _is_pci(device: str) -> bool:
    return device.count(":") == 2 and "," not in device


def argv(
    settings: Settings,
    need: Need,
    devices: Sequence[str],
    peers: Sequence[str],
    cores: Sequence[int],
    prefix: str,
    *,
    huge: bool,
) -> list[str]:
    """Return the command line.

    Args:
        settings: the switch's.
        need: memory for frames.
        devices: as `--vdev` takes them, one a port; or PCI addresses of network cards.
        peers: MAC address that each port's frames go to, in mode `mac`.
        cores: control runs on the first, a forwarding thread on each.
        prefix: keeps its files apart from those of others.
        huge: on huge pages.
    """
    threads = [f"0@{cores[0]}", *(f"{number}@{core}" for number, core in enumerate(cores, 1))]
    memory = ["--in-memory"] if huge else ["--no-huge", "--no-shconf", "-m", str(need.mebibytes)]
    # Its stdout would otherwise be held back in a buffer, and a prompt come before the answer.
    line = ["stdbuf", "-oL", COMMAND, "--lcores", ",".join(threads)]
    cards = [device for device in devices if _is_pci(device)]
    line += ["--no-telemetry"] if cards else ["--no-pci", "--no-telemetry"]
    line += ["--iova-mode=va", f"--file-prefix={prefix}", *memory]
    for device in devices:
        line += ["--allow" if device in cards else "--vdev", device]
    line += [
        "--",
        "-i",
        f"--nb-cores={len(cores)}",
        f"--forward-mode={settings.mode}",
        f"--burst={settings.burst}",
    ]
    line += ["--no-flush-rx", "--disable-link-check", "--record-core-cycles"]
    line += [f"--total-num-mbufs={need.mbufs}", f"--mbuf-size={need.mbuf_octets}"]
    line += [f"--rxq={settings.queues}", f"--txq={settings.queues}"]
    if settings.ports == "af_xdp" and settings.slots:
        line += [f"--rxd={settings.slots}", f"--txd={settings.slots}"]
    return line + [f"--eth-peer={port},{peer}" for port, peer in enumerate(peers)]
