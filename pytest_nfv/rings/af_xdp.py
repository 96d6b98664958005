"""A port on a Linux network interface, by AF_XDP: past the kernel's network stack, on memory shared with it.

Frames that the program (`xdp_program.py`) does not take go on to the kernel, and none are seen twice. The program
is detached by the kernel when the process ends, however it ends. An interface takes one program: one port each.

Opened in the network namespace that the process runs in. Loading the program takes CAP_BPF in the initial user
namespace: a port that finds it missing raises CapabilityMissing. Run against veth on Linux 6.18, in copy mode, as
root; zero copy was not run for want of a device that has it.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence

from pytest_nfv.errors import ConfigurationError, GeneratorError, NfvError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.bpf import attach, load
from pytest_nfv.rings.frames import I64, Frames, Prepared
from pytest_nfv.rings.port import U8, U64, Arrived
from pytest_nfv.rings.spread import Gather, Spread
from pytest_nfv.rings.xdp_options import ETHERNET_OCTETS, XdpOptions
from pytest_nfv.rings.xdp_program import SocketMap, by_mac, by_queue
from pytest_nfv.rings.xdp_receive import XdpReceiver
from pytest_nfv.rings.xdp_send import XdpSender
from pytest_nfv.rings.xdp_socket import Umem, XdpSocket

BURST_MAX = 64  # a quarter of a veth's ring of 256


class AfXdpPort:
    """One interface.

    Attributes:
        zero_copy: whether the device reads and writes the frames' memory itself.
        native: whether the program runs in the driver, before the kernel makes an skb of the frame.
    """

    def __init__(self, options: XdpOptions) -> None:
        self._options = options
        self._name = f"interface {options.interface}"
        self._sockets: list[XdpSocket] = []
        self._held: list[int] = []
        self._map: SocketMap | None = None
        self._leaving: XdpSender | Spread | None = None
        self._arriving: Gather[XdpReceiver] | None = None
        try:
            self._map = SocketMap(options.queues)  # first, as it tells whether bpf(2) is allowed
            self._open_sockets()
            self._take_frames(self._map)
        except OSError as error:
            self.close()
            raise GeneratorError(self._cannot(error)) from error
        except NfvError:
            self.close()
            raise
        self.zero_copy = all(xsk.zero_copy for xsk in self._sockets)

    def _cannot(self, error: OSError) -> str:
        options = self._options
        why = f"interface {options.interface!r} cannot be opened: {error.strerror or error}"
        if error.errno == errno.EBUSY:
            return f"{why}: another AF_XDP socket has one of its queues 0 to {options.queues - 1}"
        if error.errno == errno.EINVAL:
            return f"{why}: has it {options.queues} queues, both ways?"
        if error.errno == errno.EOPNOTSUPP:
            return f"{why}: mode {options.mode}: its driver has no zero copy"
        if isinstance(error, PermissionError):
            return f"{why}; AF_XDP needs CAP_NET_RAW"
        return why

    @classmethod
    def open_all(cls, specs: Sequence[PortSpec]) -> tuple[AfXdpPort, ...]:
        """Open one port a spec.

        Raises:
            ConfigurationError: a spec cannot be read.
            CapabilityMissing: no XDP program may be loaded here.
            GeneratorError: an interface cannot be opened.
        """
        ports: list[AfXdpPort] = []
        try:
            for options in [XdpOptions.of(spec) for spec in specs]:
                ports.append(cls(options))
        except NfvError:
            for port in ports:
                port.close()
            raise
        return tuple(ports)

    def _open_sockets(self) -> None:
        options = self._options
        slots = options.rx_slots, options.tx_slots
        part = sum(slots) * options.chunk
        umem = Umem(options.queues * part, options.chunk)
        senders, receivers = [], []
        for queue in range(options.queues):
            xsk = XdpSocket(options.interface, queue, umem, slots, options.mode)
            self._sockets.append(xsk)
            start = queue * part
            receivers.append(XdpReceiver(xsk, umem, start, self._name))
            send_from = start + options.rx_slots * options.chunk
            senders.append(XdpSender(xsk, umem, send_from, min(BURST_MAX, options.tx_slots // 4), self._name))
        self._leaving = senders[0] if len(senders) == 1 else Spread(senders)
        self._arriving = Gather(receivers)

    def _take_frames(self, sockets: SocketMap) -> None:
        options = self._options
        for queue, xsk in enumerate(self._sockets):
            sockets.set(queue, xsk.fileno())
        program = by_mac(sockets.fd, [options.address]) if options.steer == "mac" else by_queue(sockets.fd)
        self._held.append(load(program))
        link, self.native = attach(self._held[0], socket.if_nametoindex(options.interface), options.interface)
        self._held.append(link)

    def _out(self) -> XdpSender | Spread:
        if self._leaving is None:
            raise GeneratorError(f"{self._name}: the port is closed")
        return self._leaving

    def _in(self) -> Gather[XdpReceiver]:
        if self._arriving is None:
            raise GeneratorError(f"{self._name}: the port is closed")
        return self._arriving

    @property
    def burst_max(self) -> int:
        """A part of a veth's ring."""
        return self._out().burst_max

    @property
    def receive_slots(self) -> int:
        """Of one queue: all frames may come by the same."""
        return self._options.rx_slots

    def prepare(self, frames: Prepared) -> None:
        """Fill the transmit slots.

        Raises:
            ConfigurationError: frames longer than the MTU allows.
            GeneratorError: the device holds on to frames sent before.
        """
        self._check_fits(Frames.of(frames).longest)
        self._out().prepare(frames)

    def _check_fits(self, octets: int) -> None:
        mtu = self._options.mtu
        if octets > mtu + ETHERNET_OCTETS - 4:
            raise ConfigurationError(
                f"frame size {octets + 4}: accepted on {self._name}: up to {mtu + 18} octets with FCS, as its MTU "
                f"is {mtu}"
            )

    def arrange(self, octets: int) -> None:
        """Lay the chunks out for frames that are forwarded.

        Raises:
            ConfigurationError: frames longer than the MTU allows.
            GeneratorError: the device holds on to frames sent before.
        """
        self._check_fits(octets)
        self._out().arrange(octets)

    def forward(self, frames: U8, octets: I64) -> int:
        """Copy frames into chunks and send them; return how many were taken."""
        return self._out().forward(frames, octets)

    def expect(self, octets: int) -> None:
        """A chunk holds any frame of the MTU."""
        self._in()

    def reserve(self, count: int) -> U64:
        """Return the signature words of the next slots."""
        return self._out().reserve(count)

    def commit(self, count: int) -> tuple[int, int]:
        """Send; return (taken, refused)."""
        return self._out().commit(count)

    def receive(self, limit: int) -> Arrived | None:
        """Return what arrived."""
        return self._in().receive(limit)

    def release(self) -> None:
        """Give the chunks back."""
        self._in().release()

    def overruns(self) -> int:
        """Return how many frames found no free chunk.

        Raises:
            GeneratorError: the interface went away.
        """
        self._in()
        return sum(xsk.dropped() for xsk in self._sockets)

    def close(self) -> None:
        """Detach the program, then close the sockets."""
        for descriptor in reversed(self._held):
            os.close(descriptor)
        self._held = []
        if self._map is not None:
            self._map.close()
            self._map = None
        self._leaving = self._arriving = None
        for xsk in self._sockets:
            xsk.close()
        self._sockets = []
