"""From what a test asks (sizes, packets, flows) to the frames of a load, one stream a direction and packet."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_nfv.deployment.runner import Load
from pytest_nfv.deployment.wiring import Chains, Ends
from pytest_nfv.errors import ConfigurationError
from pytest_nfv.generators.templates import DESTINATION_IP, SOURCE_IP, ethernet_udp, from_packet
from pytest_nfv.model.mix import Mix, Sizes
from pytest_nfv.model.offer import LEARNING_FLOW, TUPLES_MAX
from pytest_nfv.model.topology import Topology
from pytest_nfv.model.trial import Direction
from pytest_nfv.trafgen.tuples import ipv4_at

if TYPE_CHECKING:
    from scapy.packet import Packet

Frame: TypeAlias = "Packet | Sequence[Packet] | None"


def load_of(
    topology: Topology, addresses: Sequence[str], sizes: Sizes, frame: Frame, flows: int, burst: int
) -> Load:
    """Return what a test asks for as a load.

    On the way back through VNFs, the default frame's IPv4 addresses are swapped.

    Raises:
        ConfigurationError: an argument is out of range, or the frames cannot be made.
    """
    if isinstance(burst, bool) or not isinstance(burst, int) or burst < 0:
        raise ConfigurationError(f"burst {burst!r}: accepted: 0 (as even as possible) or more frames")
    if isinstance(flows, bool) or not isinstance(flows, int) or not 1 <= flows <= TUPLES_MAX:
        raise ConfigurationError(f"flows={flows!r}: accepted: 1 to {TUPLES_MAX:,}")
    if topology.kernel_octets and (frame is not None or flows > 1):
        asked = f"frame={frame!r:.60}" if frame is not None else f"flows={flows}"
        raise ConfigurationError(
            f"{asked}: {topology}: the kernel makes the headers of what is sent; accepted: no frame and one flow, "
            "or SocketPair(protocol='raw')"
        )
    packets = _packets(frame, len(topology.directions))
    octets = sizes.sizes if isinstance(sizes, Mix) else (sizes.octets,)
    chains = Chains(topology)
    made = [
        (way, _made(packet, octets, flows, ends))
        for way in topology.directions
        for packet in packets
        for ends in chains.ends(way, addresses)
    ]
    streams: list[tuple[Direction, tuple[str, ...]]] = [
        (way, tuple(one[topology.kernel_octets :].hex() for one in each)) for way, each in made
    ]
    return Load(
        sizes.octets,
        tuple((way, each[0]) for way, each in streams),
        burst,
        others=tuple(each[1:] for _, each in streams),
        cycle=sizes.cycle if isinstance(sizes, Mix) else (),
        tuples=flows,
    )


def _packets(frame: Frame, directions: int) -> Sequence[Any]:
    if not isinstance(frame, list | tuple):
        return (frame,)
    most = LEARNING_FLOW // directions
    if not frame or len(frame) > most:
        raise ConfigurationError(
            f"frame={reprlib.repr(frame)}: {len(frame)} packets; accepted: a scapy packet, or 1 to {most:,}"
        )
    return frame


def _made(packet: Any, octets: Sequence[int], flows: int, ends: Ends) -> list[bytes]:
    if packet is None:
        source, target = (DESTINATION_IP, SOURCE_IP) if ends.swapped else (SOURCE_IP, DESTINATION_IP)
        made = [ethernet_udp(one, src=ends.src, dst=ends.dst, src_ip=source, dst_ip=target) for one in octets]
    else:
        made = [from_packet(packet, one, src=ends.src, dst=ends.dst) for one in octets]
    if flows == 1:
        return made
    for one in made:
        try:
            ipv4_at(one)
        except ConfigurationError as error:
            raise ConfigurationError(f"flows={flows}: {error}") from error
    return [_balanced(one) for one in made] if len(made) > 1 else made


def _balanced(frame: bytes) -> bytes:
    """Let the IPv4 identification make up for the total length, so that one checksum goes with all sizes.

    An identification means something for fragments only (RFC 6864).
    """
    at = ipv4_at(frame)
    header = bytearray(frame[at : at + 20])
    header[4:6] = (0xFFFF - int.from_bytes(header[2:4])).to_bytes(2)
    header[10:12] = bytes(2)
    total = sum(int.from_bytes(header[place : place + 2]) for place in range(0, 20, 2))
    header[10:12] = (0xFFFF - (total - 1) % 0xFFFF - 1).to_bytes(2)
    return frame[:at] + bytes(header) + frame[at + 20 :]
