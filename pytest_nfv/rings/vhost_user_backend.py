"""A vhost-user port as its back end: the device's side, for a QEMU guest, a DPDK virtio-user port or `vhost_user`.

Frames are copied, as the buffers are the driver's. What finds no buffer there is refused, as by a full NIC.
Where the driver does not poll, its eventfd is written once a batch: the guest's interrupt.

A front end that cuts the file of its memory short while it is mapped ends this process with SIGBUS; what can be
sealed against that is.

Run against DPDK 22.11 testpmd (`net_virtio_user`, client and server) and `vhost_user`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from pytest_nfv.errors import ConfigurationError, GeneratorError
from pytest_nfv.model.offer import SIGNATURE_OCTETS, PortSpec
from pytest_nfv.rings.forwarding import copy_frames
from pytest_nfv.rings.frames import I64, Frames, Prepared
from pytest_nfv.rings.port import U8, U64, Arrived
from pytest_nfv.rings.rendezvous import MEET_S, Rendezvous
from pytest_nfv.rings.slots import AsideSlots
from pytest_nfv.rings.spread import Gather, Spread
from pytest_nfv.rings.vhost_options import VhostOptions
from pytest_nfv.rings.vhost_rings import DeviceRings
from pytest_nfv.rings.vhost_service import BackService
from pytest_nfv.rings.virtqueue import SIZE_MAX

BURST_MAX = 256
ETHERNET_OCTETS = 14
_FIRST_OCTETS = 60
_ONE_BUFFER = np.array([1, 0], np.uint8)  # the longer header's last word: buffers that the frame fills


class _Out:
    """One queue to the driver: slots of ours with the frames, copied out on commit."""

    burst_max = BURST_MAX

    def __init__(self, rings: DeviceRings, pair: int) -> None:
        self._rings, self._pair = rings, pair

    def prepare(self, frames: Prepared) -> None:
        self._header = self._rings.header
        header: U8 = np.zeros(self._header, np.uint8)
        header[10:] = _ONE_BUFFER[: self._header - 10]
        table = Frames.of(frames).behind(header)
        width = -(-table.longest // 8) * 8
        rows = np.zeros((AsideSlots.rows_for(table, BURST_MAX), width), np.uint8)
        self._slots = AsideSlots(table, rows, BURST_MAX)
        self._words: U64 = rows[:, width - SIGNATURE_OCTETS :].view(np.uint64)
        self._rows = rows[:, width - table.longest :]
        self._alike = table.alike

    def reserve(self, count: int) -> U64:
        count = min(count, BURST_MAX)
        first = self._slots.ready(count)
        return self._words[first : first + count]

    def commit(self, count: int) -> tuple[int, int]:
        queue = self._rings.sending(self._pair)
        if queue is None or queue.header != self._header:  # down, or another driver since `prepare`
            return 0, 0
        first = self._slots.first
        rows = self._rows[first : first + count] if self._alike else self._slots.left(0, count)
        taken = queue.put(rows, self._slots.octets[first : first + count])
        self._slots.went(count)
        return taken, count - taken

    def arrange(self, octets: int) -> None:
        self._header = self._rings.header
        self._aside: U8 = np.zeros((BURST_MAX, self._header + octets), np.uint8)
        self._aside[:, 10 : self._header] = _ONE_BUFFER[: self._header - 10]

    def forward(self, frames: U8, octets: I64) -> int:
        """The driver's buffers are checked one batch at a time: frames are put behind their headers first."""
        queue = self._rings.sending(self._pair)
        if queue is None or queue.header != self._header:  # down, or another driver since `arrange`
            return 0
        done, header = 0, self._header
        while done < len(frames):
            some = slice(done, done + BURST_MAX)
            lengths = octets[some]
            width = int(lengths.max())
            rows = self._aside[: len(lengths), : header + width]
            copy_frames(rows[:, header:], frames[some], width)
            taken = queue.put(rows, lengths + header)
            done += taken
            if taken < len(lengths):
                break
        return done


class _In:
    """One queue from the driver."""

    def __init__(self, rings: DeviceRings, pair: int) -> None:
        self._rings, self._pair = rings, pair
        self.expect(_FIRST_OCTETS)

    def expect(self, octets: int) -> None:
        self._lead = -octets % 8  # the signature ends the frame: its words lie on words
        self._width = self._lead + octets

    def receive(self, limit: int) -> Arrived | None:
        queue = self._rings.receiving(self._pair)
        if queue is None:
            return None
        now_ns = time.monotonic_ns()
        taken = queue.take(limit, self._lead, self._width)
        if taken is None:
            return None
        rows, octets = taken
        return Arrived(rows[:, self._lead :], octets, np.full(len(octets), now_ns, np.int64))

    def release(self) -> None:
        """Nothing is held: frames are copies."""


class VhostUserBackendPort:
    """One back end, of one or several queue pairs."""

    def __init__(self, options: VhostOptions) -> None:
        self._options = options
        self._name = f"vhost_user_backend port {options.socket}"
        self._place = Rendezvous(options.socket, options.role, self._name)
        service = BackService(self._place, options.queues, self._name)
        self._service: BackService | None = service
        pairs = range(options.queues)
        self._ins = [_In(service.rings, pair) for pair in pairs]
        outs = [_Out(service.rings, pair) for pair in pairs]
        self._arriving = Gather(self._ins)
        self._leaving = outs[0] if len(outs) == 1 else Spread(outs)

    @classmethod
    def open_all(cls, specs: Sequence[PortSpec]) -> tuple[VhostUserBackendPort, ...]:
        """Open one port a spec; front ends may come and go at any time after.

        Raises:
            ConfigurationError: a spec cannot be read.
            GeneratorError: a socket cannot be served.
        """
        ports: list[VhostUserBackendPort] = []
        try:
            for spec in specs:
                ports.append(cls(VhostOptions.of(spec)))
        except (ConfigurationError, GeneratorError):
            for port in ports:
                port.close()
            raise
        return tuple(ports)

    def _served(self) -> BackService:
        if self._service is None:
            raise GeneratorError(f"{self._name}: the port is closed")
        return self._service

    def _gone(self, service: BackService) -> GeneratorError:
        return GeneratorError(service.trouble or f"{self._name}: no driver has set up its queues")

    def _driven(self) -> None:
        """Wait until a driver is there.

        Raises:
            GeneratorError: none came.
        """
        service = self._served()
        if not service.rings.wait(MEET_S):
            raise self._gone(service)

    @property
    def burst_max(self) -> int:
        """A quarter of the smallest ring that is common."""
        return self._leaving.burst_max

    @property
    def receive_slots(self) -> int:
        """Entries of the driver's transmit queue."""
        return self._served().rings.size(0) or SIZE_MAX

    def prepare(self, frames: Prepared) -> None:
        """Fill the transmit slots.

        Raises:
            ConfigurationError: frames longer than the MTU allows.
            GeneratorError: no driver has set up its queues.
        """
        self._check_fits(Frames.of(frames).longest)
        self._driven()
        self._leaving.prepare(frames)

    def _check_fits(self, octets: int) -> None:
        if octets > self._options.mtu + ETHERNET_OCTETS:
            raise ConfigurationError(
                f"frame size {octets + 4}: accepted on {self._name}: up to {self._options.mtu + 18} octets with "
                f"FCS, as its MTU is {self._options.mtu}"
            )

    def arrange(self, octets: int) -> None:
        """Make room for frames that are forwarded.

        Raises:
            ConfigurationError: frames longer than the MTU allows.
            GeneratorError: no driver has set up its queues.
        """
        self._check_fits(octets)
        self._driven()
        self._leaving.arrange(octets)

    def forward(self, frames: U8, octets: I64) -> int:
        """Copy frames to the driver; return how many it had buffers for."""
        return self._leaving.forward(frames, octets)

    def expect(self, octets: int) -> None:
        """Read frames of up to `octets`.

        Raises:
            GeneratorError: no driver has set up its queues.
        """
        self._driven()
        for queue in self._ins:
            queue.expect(octets)

    def reserve(self, count: int) -> U64:
        """Return the signature words of the next slots."""
        return self._leaving.reserve(count)

    def commit(self, count: int) -> tuple[int, int]:
        """Copy the frames to the driver; what it has no buffers for is refused."""
        return self._leaving.commit(count)

    def receive(self, limit: int) -> Arrived | None:
        """Return what arrived; the stamp is the time of this call."""
        return self._arriving.receive(limit)

    def release(self) -> None:
        """Nothing is held."""

    def overruns(self) -> int:
        """None: a full ring refuses at the driver.

        Raises:
            GeneratorError: the driver is gone, or did what it must not.
        """
        service = self._served()
        if not service.rings.ready():
            raise self._gone(service)
        return 0

    def close(self) -> None:
        """Leave the driver and remove the socket."""
        if self._service is not None:
            self._service.close()
            self._service = None
        self._place.close()
