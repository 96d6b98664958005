"""Ports on plain kernel sockets, as an application uses them (T20, experiment T1).

`raw_socket` is AF_PACKET without a ring: whole frames, and the application makes the headers. `udp_socket` has
the payload only: templates and what arrives leave out the 42 octets of Ethernet, IPv4 and UDP header, which the
kernel writes, checks and takes off. Both send and receive by `send` and `recv` (parameter `call = single`), or by
`sendmmsg` and `recvmmsg` (`many`).

The receiving UDP socket is bound and not connected: datagrams of strangers arrive, and are counted as foreign.
Opened in the network namespace that the process runs in. Run against veth and linux-bridge on Linux 6.18.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pytest_nfv.errors import ConfigurationError, GeneratorError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.packet_send import SEND_WAIT_S
from pytest_nfv.rings.port import U8, U64, Arrived
from pytest_nfv.rings.socket_receive import SocketReceiver
from pytest_nfv.rings.socket_send import SocketSender

BURST_MAX = 64
_IPV4_UDP_OCTETS, _ETHERNET_OCTETS = 28, 14
_TAG_PROTOCOLS = (0x8100, 0x88A8)
_SOL_PACKET, _IGNORE_OUTGOING, _ETH_P_ALL = 263, 23, 3


@dataclass(frozen=True, slots=True)
class Sockets:
    """How one port's sockets are made.

    Attributes:
        name: the port, for texts.
        many: many frames a system call.
        octets_max: the most that is sent at a time.
        whole_frames: with their headers.
        sender, receiver: open a socket each.
    """

    name: str
    many: bool
    octets_max: int
    whole_frames: bool
    sender: Callable[[], socket.socket]
    receiver: Callable[[], socket.socket]


class KernelSocketPort:
    """A sender and a receiver.

    A raw receiver is opened when it is first needed: one that nobody reads would cost the sender a look at it for
    every frame. A UDP one is there from the start, or the kernel would tell those who send to it that nobody is.
    """

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets
        self._receiver: SocketReceiver | None = None
        self._sender: SocketSender | None = SocketSender(
            self._opened(sockets.sender), sockets.name, sockets.many, BURST_MAX
        )
        if not sockets.whole_frames:
            try:
                self._receiving()
            except GeneratorError:
                self.close()
                raise

    def _opened(self, make: Callable[[], socket.socket]) -> socket.socket:
        try:
            return make()
        except OSError as error:
            why = f"{self._sockets.name} cannot be opened: {error.strerror or error}"
            if isinstance(error, PermissionError):
                why += "; raw frames need root or, in a user namespace of one's own, its root"
            raise GeneratorError(why) from error

    def _sending(self) -> SocketSender:
        if self._sender is None:
            raise GeneratorError(f"{self._sockets.name}: the port is closed")
        return self._sender

    def _receiving(self) -> SocketReceiver:
        self._sending()
        if self._receiver is None:
            made = self._opened(self._sockets.receiver)
            self._receiver = SocketReceiver(made, self._sockets.name, self._sockets.many)
        return self._receiver

    @property
    def burst_max(self) -> int:
        """T20's B."""
        return BURST_MAX

    @property
    def receive_slots(self) -> int:
        """What the socket's buffer holds, about."""
        return self._receiving().slots

    def prepare(self, templates: U8) -> None:
        """Make the transmit slots.

        Raises:
            ConfigurationError: longer than the MTU allows, or with a VLAN tag.
        """
        name, most, octets = self._sockets.name, self._sockets.octets_max, templates.shape[1]
        if octets > most:
            raise ConfigurationError(f"{name}: {octets} octets at a time: accepted: up to {most}, by the MTU")
        if self._sockets.whole_frames:
            protocols = templates[:, 12].astype(np.int64) << 8 | templates[:, 13]
            if np.isin(protocols, _TAG_PROTOCOLS).any():
                raise ConfigurationError(
                    f"{name}: a frame with a VLAN tag: accepted: frames without, as a plain socket receives them "
                    "without; the port kind af_packet carries tags"
                )
        self._sending().prepare(templates)

    def expect(self, octets: int) -> None:
        """Make the receive slots."""
        self._receiving().expect(octets)

    def reserve(self, count: int) -> U64:
        """Fill the next slots; return their signature words."""
        return self._sending().reserve(count)

    def commit(self, count: int) -> tuple[int, int]:
        """Send; return (taken, refused)."""
        return self._sending().commit(count)

    def receive(self, limit: int) -> Arrived | None:
        """Return what arrived."""
        return self._receiving().receive(limit)

    def release(self) -> None:
        """Nothing to give back: the slots are the application's own."""

    def overruns(self) -> int:
        """Return how many frames found the socket's buffer full."""
        return self._receiving().overruns()

    def close(self) -> None:
        """Close both sockets."""
        if self._sender is not None:
            self._sender.close()
        if self._receiver is not None:
            self._receiver.close()
        self._sender = self._receiver = None


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
