"""`Signature` over a batch: the Internet checksum of the first 64 octets of each frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pytest_nfv.model.nf import SIGNED_OCTETS
from pytest_nfv.nfproc.batch import Batch, Ways
from pytest_nfv.nfproc.headers import scratch
from pytest_nfv.rings.port import U8, U64

_WORDS = SIGNED_OCTETS // 4
_ONE, _ZERO = np.uint64(1), np.uint64(0xFFFF)  # the signature of a frame of zeros
_MODULO = np.uint64(0xFFFF)
_KEPT = 1 << 64


class Signer:
    """Computes, and keeps the sum."""

    def __init__(self) -> None:
        """Begin at 0."""
        self._scratch = scratch(_WORDS)
        self._octets = np.arange(SIGNED_OCTETS)
        self._frames = self._sum = 0

    def told(self) -> Mapping[str, int]:
        """Return how many frames were signed, and the sum of their signatures modulo 2**64."""
        return {"signed": self._frames, "signature_sum": self._sum}

    def __call__(self, batch: Batch) -> Ways:
        """Sign the frames, which stay as they are."""
        signatures = self.signatures(batch)
        self._frames += len(signatures)
        self._sum = (self._sum + int(signatures.sum())) % _KEPT
        return 1 - batch.nic

    def signatures(self, batch: Batch) -> U64:
        """Return the signature of each frame, shape (n,)."""
        frames: U8 = batch.frames[:, :SIGNED_OCTETS]
        octets, words = batch.octets, self._scratch[:, : len(frames)]
        least = int(octets.min())
        if least < SIGNED_OCTETS and least < int(octets.max()):
            frames = np.where(self._octets < octets[:, None], frames, np.uint8(0))
            least = SIGNED_OCTETS
        words[:] = frames.view(">u4").T
        if least < SIGNED_OCTETS:  # what lies behind frames of one length is anything
            whole, rest = divmod(least, 4)
            words[whole] &= np.uint32(0xFFFFFFFF << 8 * (4 - rest) & 0xFFFFFFFF)
            words[whole + 1 :] = 0
        total: U64 = np.add.reduce(words, axis=0, dtype=np.uint64)
        signatures = _ZERO - (total - _ONE) % _MODULO - _ONE  # of one's complement's two zeros, 0x0000
        if np.count_nonzero(total) < len(total):
            signatures[total == 0] = _ZERO
        return signatures
