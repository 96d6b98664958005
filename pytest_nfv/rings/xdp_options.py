"""What an AF_XDP port is told by `PortSpec.parameters`."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.parameters import one_of, power_of_two, whole
from pytest_nfv.rings.xdp_program import mac
from pytest_nfv.rings.xdp_receive import HEADROOM
from pytest_nfv.rings.xdp_socket import MODES

RX_SLOTS, TX_SLOTS = 8192, 1024
SLOTS_MIN, SLOTS_MAX = 64, 1 << 17
QUEUES_MAX = 64
STEER = ("queue", "mac")
CHUNKS = (2048, 4096)  # what the kernel accepts, on pages of 4 KiB
ETHERNET_OCTETS = 18  # header and one VLAN tag


@dataclass(frozen=True, slots=True)
class XdpOptions:
    """One port.

    Attributes:
        interface: its name in the network namespace of the process.
        chunk: octets for a frame and what the kernel keeps before it, as the MTU asks.
        queues: sockets, on the interface's queues from 0 on; they share one UMEM.
        mode: `copy`, `zero_copy`, or `auto`: zero copy where the driver has it.
        steer: what is taken: `queue` all frames of these queues, `mac` those to the port's address; the rest goes
            on to the kernel.
        rx_slots, tx_slots: of each queue.
    """

    interface: str
    address: bytes
    mtu: int
    chunk: int
    queues: int
    mode: str
    steer: str
    rx_slots: int
    tx_slots: int

    @classmethod
    def of(cls, spec: PortSpec) -> XdpOptions:
        """Read a spec.

        Raises:
            ConfigurationError: a parameter is missing, unknown or out of range.
        """
        name, given = f"af_xdp port {spec.address}", dict(spec.parameters)
        accepted = ("interface", "queues", "mode", "steer", "rx_slots", "tx_slots")
        unknown = given.keys() - set(accepted)
        if unknown:
            raise ConfigurationError(
                f"{name}: unknown parameter {min(unknown)!r}: accepted: {', '.join(accepted)}"
            )
        if not given.get("interface"):
            raise ConfigurationError(f"{name}: it needs the parameter `interface`")
        return cls(
            interface=given["interface"],
            address=mac(spec.address),
            mtu=spec.mtu,
            chunk=_chunk(name, spec.mtu),
            queues=whole(name, given, "queues", 1, 1, QUEUES_MAX),
            mode=one_of(name, given, "mode", tuple(MODES), next(iter(MODES))),
            steer=one_of(name, given, "steer", STEER, STEER[0]),
            rx_slots=power_of_two(name, given, "rx_slots", RX_SLOTS, SLOTS_MIN, SLOTS_MAX),
            tx_slots=power_of_two(name, given, "tx_slots", TX_SLOTS, SLOTS_MIN, SLOTS_MAX),
        )


def _chunk(name: str, mtu: int) -> int:
    for chunk in CHUNKS:
        if mtu + ETHERNET_OCTETS + HEADROOM <= chunk:
            return chunk
    most = CHUNKS[-1] - HEADROOM - ETHERNET_OCTETS
    raise ConfigurationError(f"{name}: mtu {mtu}: accepted: up to {most}, as a frame lies in one page")
