"""A port on plain kernel sockets, as an application uses them (T20, experiment T1); `socket_kinds` opens them.

Opened in the network namespace that the process runs in. Run against veth and linux-bridge on Linux 6.18.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

from pytest_nfv.errors import ConfigurationError, GeneratorError
from pytest_nfv.rings.frames import Frames, Prepared
from pytest_nfv.rings.port import U64, Arrived
from pytest_nfv.rings.socket_receive import SocketReceiver
from pytest_nfv.rings.socket_send import SocketSender

BURST_MAX = 64
_TAG_PROTOCOLS = frozenset((0x8100, 0x88A8))


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
        """What the socket's buffer holds, at least."""
        return self._receiving().slots

    def prepare(self, frames: Prepared) -> None:
        """Make the transmit slots.

        Raises:
            ConfigurationError: longer than the MTU allows, or with a VLAN tag.
        """
        table = Frames.of(frames)
        name, most, octets = self._sockets.name, self._sockets.octets_max, table.longest
        if octets > most:
            raise ConfigurationError(f"{name}: {octets} octets at a time: accepted: up to {most}, by the MTU")
        if self._sockets.whole_frames:
            protocols = [int.from_bytes(frame[12:14].tobytes()) for frame in table.one_after()]
            if not _TAG_PROTOCOLS.isdisjoint(protocols):
                raise ConfigurationError(
                    f"{name}: a frame with a VLAN tag: accepted: frames without, as a plain socket receives them "
                    "without; the port kind af_packet carries tags"
                )
        self._sending().prepare(frames)

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
