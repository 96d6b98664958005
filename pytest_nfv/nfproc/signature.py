"""`Signature` over a batch: the Internet checksum of the first 64 octets of each frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pytest_nfv.model.nf import SIGNED_OCTETS
from pytest_nfv.nfproc.batch import U32, Batch, Ways
from pytest_nfv.nfproc.headers import half_sums, scratch
from pytest_nfv.rings.port import U8

_WORDS = SIGNED_OCTETS // 4
_LOW, _HALF = np.uint32(0xFFFF), np.uint32(16)
_MODULO = 1 << 64


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
        self._sum = (self._sum + int(signatures.sum(dtype=np.uint64))) % _MODULO
        return 1 - batch.nic

    def signatures(self, batch: Batch) -> U32:
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
        folded = half_sums(words)
        signatures: U32 = _LOW - ((folded & _LOW) + (folded >> _HALF))
        return signatures
