"""A port on a Linux network interface, by AF_PACKET: `packet_send` is its way out, `packet_receive` its way in.

Opened in the network namespace that the process runs in. Run against veth on Linux 6.18, as root and as a user
namespace's root.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_nfv.errors import ConfigurationError, GeneratorError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.frames import I64, Frames, Prepared
from pytest_nfv.rings.packet_receive import PacketRing
from pytest_nfv.rings.packet_send import PacketSender
from pytest_nfv.rings.port import U8, U64, Arrived

BURST_MAX = 64  # a quarter of a veth's ring of 256
RECEIVE_SLOTS = 65_536  # 80 ms at 0.8 Mpps
ETHERNET_HEADER = 14
_FIRST_OCTETS = 60


class AfPacketPort:
    """One interface."""

    def __init__(self, interface: str, mtu: int, slots: int = RECEIVE_SLOTS) -> None:
        self._interface = interface
        self._mtu = mtu
        self._slots = slots
        self._octets = _FIRST_OCTETS
        self._overruns = 0
        self._sender: PacketSender | None = None
        try:
            self._ring: PacketRing | None = PacketRing(interface, _FIRST_OCTETS, slots)
            self._sender = PacketSender(interface, BURST_MAX)
        except OSError as error:
            self.close()
            raise GeneratorError(self._cannot(error)) from error

    def _cannot(self, error: OSError) -> str:
        why = f"interface {self._interface!r} cannot be opened: {error.strerror or error}"
        if isinstance(error, PermissionError):
            return f"{why}; raw frames need root or, in a user namespace of one's own, its root"
        return why

    @classmethod
    def open_all(cls, specs: Sequence[PortSpec]) -> tuple[AfPacketPort, ...]:
        """Open one port a spec.

        Raises:
            ConfigurationError: a spec names no interface.
            GeneratorError: an interface cannot be opened.
        """
        ports: list[AfPacketPort] = []
        try:
            for spec in specs:
                if not spec.parameters.get("interface"):
                    raise ConfigurationError(f"af_packet port {spec.address}: it needs the parameter `interface`")
                ports.append(cls(spec.parameters["interface"], spec.mtu))
        except (ConfigurationError, GeneratorError):
            for port in ports:
                port.close()
            raise
        return tuple(ports)

    @property
    def burst_max(self) -> int:
        """A part of a veth's ring."""
        return BURST_MAX

    @property
    def receive_slots(self) -> int:
        """As many as the memory for large frames allows."""
        return self._open_ring().slots

    def _open_ring(self) -> PacketRing:
        if self._ring is None:
            raise GeneratorError(f"interface {self._interface}: the port is closed")
        return self._ring

    def _open_sender(self) -> PacketSender:
        if self._sender is None:
            raise GeneratorError(f"interface {self._interface}: the port is closed")
        return self._sender

    def prepare(self, frames: Prepared) -> None:
        """Fill the transmit slots.

        Raises:
            ConfigurationError: frames longer than the MTU allows.
        """
        self._check_fits(Frames.of(frames).longest)
        self._open_sender().prepare(frames)

    def _check_fits(self, octets: int) -> None:
        if octets > self._mtu + ETHERNET_HEADER:
            raise ConfigurationError(
                f"frame size {octets + 4}: accepted on interface {self._interface}: up to {self._mtu + 18} octets "
                f"with FCS, as its MTU is {self._mtu}"
            )

    def arrange(self, octets: int) -> None:
        """Make headers for frames that lie elsewhere.

        Raises:
            ConfigurationError: frames longer than the MTU allows.
        """
        self._check_fits(octets)
        self._open_sender().arrange()

    def forward(self, frames: U8, octets: I64) -> int:
        """Send frames from where they lie; return how many were taken."""
        return self._open_sender().forward(frames, octets)

    def expect(self, octets: int) -> None:
        """Make the ring anew where the size of its slots has to change."""
        if octets == self._octets:
            return
        old = self._open_ring()
        self._overruns += old.overruns()
        old.close()
        self._ring = None
        try:
            self._ring = PacketRing(self._interface, octets, self._slots)
        except OSError as error:
            raise GeneratorError(self._cannot(error)) from error
        self._octets = octets

    def reserve(self, count: int) -> U64:
        """Return the signature words of the next slots."""
        return self._open_sender().reserve(count)

    def commit(self, count: int) -> tuple[int, int]:
        """Send; return (taken, refused)."""
        return self._open_sender().commit(count)

    def receive(self, limit: int) -> Arrived | None:
        """Return what arrived."""
        return self._open_ring().receive(limit)

    def release(self) -> None:
        """Give the slots back."""
        self._open_ring().release()

    def overruns(self) -> int:
        """Return how many frames the ring had no room for."""
        return self._overruns + self._open_ring().overruns()

    def close(self) -> None:
        """Close both sockets."""
        if self._sender is not None:
            self._sender.close()
            self._sender = None
        ring: PacketRing | None = getattr(self, "_ring", None)
        if ring is not None:
            ring.close()
        self._ring = None
