"""The device's side of a queue: frames copied into and out of buffers that the driver names, batch by batch.

Most drivers give each frame one descriptor, or one for the header and one behind it: such batches are a handful of
array operations. Longer chains are legal and walked one by one.
"""

from __future__ import annotations

import os
import threading

import numpy as np
import numpy.typing as npt

from pytest_nfv.errors import GeneratorError
from pytest_nfv.rings.port import U8, U64
from pytest_nfv.rings.vhost_regions import PeerMemory
from pytest_nfv.rings.virtqueue import INDIRECT, NEXT, QUIET, WRAP, WRITE, Virtqueue, fence, step

I64 = npt.NDArray[np.int64]
Piece = tuple[int, int]


class DeviceQueue:
    """What both directions share. The control socket's thread ends a queue by `stop`: then nothing is written.

    Attributes:
        header: octets before each frame.
        seen: how many buffers were taken from the driver, and given back, so far.
    """

    def __init__(self, ring: Virtqueue, memory: PeerMemory, base: int, header: int, call: int, name: str) -> None:
        self._ring, self._memory, self.header, self._call, self._name = ring, memory, header, call, name
        self._mask = ring.size - 1
        self._lock = threading.Lock()
        self._stopped = False
        self.seen = base
        ring.returned[0] = QUIET

    def stop(self) -> int:
        """Touch the ring no more; return `seen`, where another may go on."""
        with self._lock:
            self._stopped = True
            return self.seen

    def _available(self, most: int) -> U64:
        """Return the heads that the driver made available, up to `most`."""
        if self._stopped:
            return np.zeros(0, np.uint64)
        pending = step(self._ring.available[1], self.seen, self._ring.size, self._name)
        if not pending:
            return np.zeros(0, np.uint64)
        places = (self.seen + np.arange(min(pending, most))) & self._mask
        heads: U64 = self._ring.heads[places].astype(np.uint64)
        if heads.max() > self._mask:
            raise GeneratorError(
                f"{self._name}: the peer made entry {int(heads.max())} available: the ring has {self._ring.size}"
            )
        return heads

    def _give_back(self, heads: U64, written: U64) -> None:
        ring = self._ring
        places = (self.seen + np.arange(len(heads))) & self._mask
        ring.used[places] = heads | written << np.uint64(32)
        self.seen += len(heads)
        ring.returned[1] = self.seen & WRAP
        fence()
        if self._call >= 0 and not ring.available[0] & QUIET:
            try:
                os.eventfd_write(self._call, 1)
            except BlockingIOError:
                return  # its counter is full: the driver has been told often enough

    def _chain(self, head: int, flag: int) -> list[Piece]:
        """Walk a chain all of whose descriptors must go one way; return (address, octets) of each."""
        pieces: list[Piece] = []
        entry = head
        for _ in range(self._ring.size):
            address, octets, flags, following = self._ring.descriptors[entry].item()
            if flags & (WRITE | INDIRECT) != flag:
                raise GeneratorError(
                    f"{self._name}: descriptor {entry} has flags {flags:#x}: accepted: {flag:#x} "
                    f"or {flag | NEXT:#x}"
                )
            pieces.append((address, octets))
            if not flags & NEXT:
                return pieces
            entry = following
            if entry > self._mask:
                raise GeneratorError(
                    f"{self._name}: descriptor {entry} follows: the ring has {self._ring.size} entries"
                )
        raise GeneratorError(f"{self._name}: the chain from descriptor {head} on has no end")


def _one(value: int) -> U64:
    return np.array([value], np.uint64)


class DeviceOut(DeviceQueue):
    """Frames to the driver: into the buffers of its receive queue."""

    def put(self, rows: U8, octets: I64 | None = None) -> int:
        """Copy in rows, shape (n, header + longest frame), as far as there are buffers; return how many.

        `octets` are their lengths, the header included, where rows are longer. A buffer that has room for its
        whole row gets all of it.

        Raises:
            GeneratorError: the driver's ring or buffers are not as they must be.
        """
        with self._lock:
            heads = self._available(len(rows))
            if not len(heads):
                return 0
            width = rows.shape[1]
            written = np.full(len(heads), width) if octets is None else octets[: len(heads)]
            table = self._ring.descriptors[heads]
            single = (table["flags"] & (WRITE | INDIRECT) == WRITE) & (table["octets"] >= width)
            if single.all():
                self._memory.write(np.ascontiguousarray(table["address"]), rows[: len(heads)])
            else:
                for head, row, length in zip(heads.tolist(), rows, written.tolist(), strict=False):
                    self._put_one(head, row[:length])
            self._give_back(heads, written.astype(np.uint64))
            return len(heads)

    def _put_one(self, head: int, row: U8) -> None:
        done = 0
        for address, octets in self._chain(head, WRITE):
            part = row[done : done + octets]
            if len(part):
                self._memory.write(_one(address), part[None, :])
            done += len(part)
        if done < len(row):
            raise GeneratorError(
                f"{self._name}: buffer {head} has {done} octets: accepted: at least {len(row)}, the header's "
                f"{self.header} included"
            )


class DeviceIn(DeviceQueue):
    """Frames from the driver: out of the buffers of its transmit queue."""

    def take(self, limit: int, lead: int, width: int) -> tuple[U8, I64] | None:
        """Return copies of what the driver sent, with each frame's octets.

        Args:
            limit: frames at most.
            lead: where in its row a frame starts.
            width: a row's octets; longer frames are cut off there, and keep their length.

        Raises:
            GeneratorError: the driver's ring or buffers are not as they must be.
        """
        with self._lock:
            heads = self._available(limit)
            if not len(heads):
                return None
            addresses, lengths, odd = self._locate(heads)
            if odd.any():
                rows = np.zeros((len(heads), width), np.uint8)
                even = np.flatnonzero(~odd)
                if len(even):
                    rows[even] = self._memory.read(addresses[even], lengths[even], lead, width)
                for row in np.flatnonzero(odd):
                    lengths[row] = self._take_one(int(heads[row]), rows[row, lead:])
            else:
                rows = self._memory.read(addresses, lengths, lead, width)
            self._give_back(heads, np.zeros(len(heads), np.uint64))
        return rows, lengths.astype(np.int64)

    def _locate(self, heads: U64) -> tuple[U64, U64, npt.NDArray[np.bool_]]:
        """Return address and length of each frame, and which rows have to be walked."""
        table = self._ring.descriptors[heads]
        flags, octets = table["flags"], table["octets"].astype(np.uint64)
        header = np.uint64(self.header)
        addresses = table["address"] + header
        lengths = octets - header
        odd = (flags != 0) | (octets <= header)
        pairs = np.flatnonzero((flags == NEXT) & (octets == header) & (table["next"] <= self._mask))
        if len(pairs):
            behind = self._ring.descriptors[table["next"][pairs]]
            whole = (behind["flags"] == 0) & (behind["octets"] > 0)
            addresses[pairs], lengths[pairs] = behind["address"], behind["octets"]
            odd[pairs] = ~whole
        return addresses, lengths, odd

    def _take_one(self, head: int, row: U8) -> int:
        """Join a chain's octets behind the header into `row`; return how many there are."""
        skip, frame = self.header, 0
        for address, octets in self._chain(head, 0):
            self._memory.check(_one(address), _one(octets))
            start = min(skip, octets)
            skip -= start
            part = min(octets - start, max(0, len(row) - frame))
            if part:
                row[frame : frame + part] = self._memory.read(_one(address + start), _one(part), 0, part)[0]
            frame += octets - start
        if frame <= 0:
            raise GeneratorError(
                f"{self._name}: buffer {head} has no octet behind the {self.header} of the header"
            )
        return frame
