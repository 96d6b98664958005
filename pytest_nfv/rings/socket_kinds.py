"""The kinds of ports on kernel sockets, from their parameters.

`raw_socket` is AF_PACKET without a ring: whole frames, and the application makes the headers. `udp_socket` has
the payload only: templates and what arrives leave out the 42 octets of Ethernet, IPv4 and UDP header, which the
kernel writes, checks and takes off. Both send and receive by `send` and `recv` (parameter `call`: `single`), or by
`sendmmsg` and `recvmmsg` (`many`).

The receiving UDP socket is bound and not connected: datagrams of strangers arrive, and are counted as foreign.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Sequence

from pytest_nfv.errors import ConfigurationError, GeneratorError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.kernel_socket import KernelSocketPort, Sockets
from pytest_nfv.rings.packet_send import SEND_WAIT_S

_IPV4_UDP_OCTETS, _ETHERNET_OCTETS = 28, 14
_SOL_PACKET, _IGNORE_OUTGOING, _ETH_P_ALL = 263, 23, 3


class RawSockets:
    """Kind `raw_socket`; parameters `interface`, `call`."""

    @classmethod
    def open_all(cls, specs: Sequence[PortSpec]) -> tuple[KernelSocketPort, ...]:
        """Open one port a spec.

        Raises:
            ConfigurationError: a parameter is missing or wrong.
            GeneratorError: a socket cannot be opened.
        """
        return _all_or_none([_raw(spec) for spec in specs])


class UdpSockets:
    """Kind `udp_socket`; parameters `ip`, `peer`: IPv4 addresses; `source_port`, `destination_port`; `call`."""

    @classmethod
    def open_all(cls, specs: Sequence[PortSpec]) -> tuple[KernelSocketPort, ...]:
        """Open one port a spec.

        Raises:
            ConfigurationError: a parameter is missing or wrong.
            GeneratorError: a socket cannot be opened.
        """
        return _all_or_none([_udp(spec) for spec in specs])


def _all_or_none(kinds: Sequence[Sockets]) -> tuple[KernelSocketPort, ...]:
    ports: list[KernelSocketPort] = []
    try:
        for sockets in kinds:
            ports.append(KernelSocketPort(sockets))
    except GeneratorError:
        for port in ports:
            port.close()
        raise
    return tuple(ports)


def _parameter(spec: PortSpec, name: str) -> str:
    value = spec.parameters.get(name, "")
    if not value:
        raise ConfigurationError(f"{spec.kind} port {spec.address}: it needs the parameter `{name}`")
    return value


def _many(spec: PortSpec) -> bool:
    call = _parameter(spec, "call")
    if call not in ("single", "many"):
        raise ConfigurationError(f"{spec.kind} port {spec.address}: call {call!r}: accepted: single, many")
    return call == "many"


def _raw(spec: PortSpec) -> Sockets:
    interface = _parameter(spec, "interface")

    def sender() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        return _set_up(made, lambda: made.bind((interface, 0)))

    def receiver() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # deaf until it is bound
        made.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        return _set_up(made, lambda: made.bind((interface, _ETH_P_ALL)))

    return Sockets(
        f"raw socket on interface {interface}", _many(spec), spec.mtu + _ETHERNET_OCTETS, True, sender, receiver
    )


def _udp(spec: PortSpec) -> Sockets:
    ip, peer = _ipv4(spec, "ip"), _ipv4(spec, "peer")
    source, destination = _port(spec, "source_port"), _port(spec, "destination_port")

    def sender() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

        def place() -> None:
            made.bind((ip, source))
            made.connect((peer, destination))

        return _set_up(made, place)

    def receiver() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        return _set_up(made, lambda: made.bind((ip, destination)))

    name = f"UDP socket {ip} to {peer}"
    return Sockets(name, _many(spec), spec.mtu - _IPV4_UDP_OCTETS, False, sender, receiver)


def _ipv4(spec: PortSpec, name: str) -> str:
    value = _parameter(spec, name)
    try:
        socket.inet_aton(value)
    except OSError as error:
        raise ConfigurationError(
            f"udp_socket port {spec.address}: {name} {value!r}: accepted: an IPv4 address"
        ) from error
    return value


def _port(spec: PortSpec, name: str) -> int:
    value = _parameter(spec, name)
    if not value.isdecimal() or not 0 < int(value) < 1 << 16:
        raise ConfigurationError(f"udp_socket port {spec.address}: {name} {value!r}: accepted: 1 to 65535")
    return int(value)


def _set_up(made: socket.socket, place: Callable[[], None]) -> socket.socket:
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, int(SEND_WAIT_S * 1e6)))
        place()
    except OSError:
        made.close()
        raise
    return made
