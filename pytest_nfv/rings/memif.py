"""A memif port, as the client, which owns the memory, or as the server, which serves the socket.

One memfd holds rings and buffers of all queues; a server maps what the client brings. Frames of one flow keep to
one queue (`spread.py`). `rx_slots` and `tx_slots` are the client's choice; a server takes what comes.

What the peer does wrong is an error that names the port. A peer that died is seen by its control socket, one that
stopped polling by frames that it does not take for half a second; both by `overruns`, which the engine calls every
20 ms. To a server, a client with buffers left to fill looks alive. The peer drops and counts what finds no buffer
here; only a ring that was found full is seen, and counts as one overrun: at least one frame had no room, or would
have had none.

Run against DPDK 22.11 testpmd (`net_memif`, client and server, path and abstract sockets) and against itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_nfv.errors import ConfigurationError, GeneratorError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.frames import I64, Frames, Prepared
from pytest_nfv.rings.memif_channel import Channel
from pytest_nfv.rings.memif_ends import ETHERNET_OCTETS, ClientEnd, End, ServerEnd, Watch
from pytest_nfv.rings.memif_link import Agreed
from pytest_nfv.rings.memif_meeting import ClientMeeting, Meeting, ServerMeeting, meet
from pytest_nfv.rings.memif_options import MemifOptions
from pytest_nfv.rings.port import U8, U64, Arrived
from pytest_nfv.rings.spread import Gather, Spread


class MemifPort:
    """One interface, of one or several queues."""

    def __init__(self, options: MemifOptions) -> None:
        self.options = options
        self._name = options.name
        self._end: End | None = None
        self._channel: Channel | None = None
        self._server: ServerMeeting | None = None

    @classmethod
    def open_all(cls, specs: Sequence[PortSpec]) -> tuple[MemifPort, ...]:
        """Open one port a spec: first all sockets are served, then all get connected, in any order.

        Raises:
            ConfigurationError: a spec cannot be read, or two want the same.
            GeneratorError: a peer is not there, or cannot be used.
        """
        options = [MemifOptions.of(spec) for spec in specs]
        _check_distinct(options)
        ports = tuple(cls(one) for one in options)
        try:
            meetings = _serve([port for port in ports if port.options.role == "server"])
            clients = [(port, port._join()) for port in ports if port.options.role == "client"]
            try:
                meet([*meetings, *(meeting for _, meeting in clients)], max(one.wait_s for one in options))
            finally:
                for port, meeting in clients:
                    port._channel = meeting.channel
            for port, _ in clients:
                port._start()
        except GeneratorError:
            for port in ports:
                port.close()
            raise
        return ports

    def _join(self) -> ClientMeeting:
        self._end = end = ClientEnd(self.options)
        return ClientMeeting(self.options, (end.memory.fd, len(end.memory.array)), end.places)

    def attach(self, channel: Channel, agreed: Agreed) -> None:
        """Take a client that was served."""
        channel.name = self._name
        self._channel = channel
        self._end = ServerEnd(self.options, agreed)
        self._start()

    def served_by(self, meeting: ServerMeeting) -> None:
        """Close the listener with the port."""
        self._server = meeting

    def _start(self) -> None:
        """Let the rings run, now that both ends have set them to their beginnings."""
        end = self._opened()
        for receiver in end.receivers:
            receiver.open()
        senders = [sender for _, sender in end.senders]
        self._leaving = senders[0] if len(senders) == 1 else Spread(senders)
        self._arriving = Gather(end.receivers)
        self._watches = [Watch(ring, sender) for ring, sender in end.senders]

    def _opened(self) -> End:
        if self._end is None:
            raise GeneratorError(f"{self._name}: the port is closed")
        return self._end

    @property
    def burst_max(self) -> int:
        """A quarter of the transmit ring."""
        return self._leaving.burst_max

    @property
    def receive_slots(self) -> int:
        """Of one queue: the peer may put all frames into the same."""
        return self._opened().receive_slots

    def prepare(self, frames: Prepared) -> None:
        """Fill the transmit slots.

        Raises:
            ConfigurationError: frames longer than the MTU allows.
            GeneratorError: the peer holds on to frames sent before.
        """
        self._check_fits(Frames.of(frames).longest)
        self._opened()
        self._leaving.prepare(frames)

    def _check_fits(self, octets: int) -> None:
        most = self.options.mtu + ETHERNET_OCTETS
        if octets > most:
            raise ConfigurationError(
                f"frame size {octets + 4}: accepted on {self._name}: up to {most + 4} octets with FCS and VLAN "
                f"tag, as its MTU is {self.options.mtu}"
            )

    def arrange(self, octets: int) -> None:
        """Lay the transmit slots out for frames that are forwarded.

        Raises:
            ConfigurationError: frames longer than the MTU allows.
            GeneratorError: the peer holds on to frames sent before.
        """
        self._check_fits(octets)
        self._opened()
        self._leaving.arrange(octets)

    def forward(self, frames: U8, octets: I64) -> int:
        """Copy frames into slots and send them; return how many were taken."""
        return self._leaving.forward(frames, octets)

    def expect(self, octets: int) -> None:
        """Place buffers so that signatures lie on words; they hold any frame of the MTU."""
        for receiver in self._opened().receivers:
            receiver.expect(octets)

    def reserve(self, count: int) -> U64:
        """Return the signature words of the next slots."""
        self._opened()
        return self._leaving.reserve(count)

    def commit(self, count: int) -> tuple[int, int]:
        """Publish; return (taken, refused)."""
        return self._leaving.commit(count)

    def receive(self, limit: int) -> Arrived | None:
        """Return what arrived."""
        self._opened()
        return self._arriving.receive(limit)

    def release(self) -> None:
        """Give the slots back."""
        self._arriving.release()

    def overruns(self) -> int:
        """Return how often a receive ring was found full.

        Raises:
            GeneratorError: the peer is gone, or stopped polling.
        """
        end = self._opened()
        if self._channel is not None:
            self._channel.check()
        for watch in self._watches:
            watch.look()
        return sum(receiver.found_full for receiver in end.receivers)

    def close(self) -> None:
        """Leave the peer, and give memory and descriptors back."""
        if self._channel is not None:
            self._channel.close("closed")
            self._channel = None
        if self._server is not None:
            self._server.close()
            self._server = None
        for held in ("_leaving", "_arriving", "_watches"):
            if hasattr(self, held):
                delattr(self, held)
        if self._end is not None:
            self._end.close()
            self._end = None


def _check_distinct(options: Sequence[MemifOptions]) -> None:
    taken: set[tuple[str, int, str]] = set()
    for one in options:
        if (one.socket, one.id, one.role) in taken:
            raise ConfigurationError(f"{one.name}: two ports want to be its {one.role}; accepted: another id")
        taken.add((one.socket, one.id, one.role))


def _serve(ports: Sequence[MemifPort]) -> list[Meeting]:
    """Listen once a socket."""
    meetings: list[Meeting] = []
    for path in dict.fromkeys(port.options.socket for port in ports):
        served = {port.options.id: port for port in ports if port.options.socket == path}

        def done(channel: Channel, agreed: Agreed, served: dict[int, MemifPort] = served) -> None:
            served[agreed.id].attach(channel, agreed)

        meeting = ServerMeeting([port.options for port in served.values()], done)
        for port in served.values():
            port.served_by(meeting)
        meetings.append(meeting)
    return meetings
