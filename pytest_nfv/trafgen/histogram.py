"""Latencies as a log-linear histogram (as HdrHistogram's): 128 buckets an octave, in constant memory.

The bucket of a value is read off the bits of its binary64 form: exponent and the upper seven bits of the mantissa.
A bucket is 1/128 of its lower end wide and answers with its middle, so that a percentile is off by at most
`RELATIVE_ERROR` of the sample that it stands for; 0 counts as 1 ns. Minimum, mean, maximum and jitter are exact.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pytest_nfv.model.trial import Direction, Latency, samples_for

PERCENTILES = (50.0, 90.0, 99.0, 99.9, 99.99, 99.999)
RELATIVE_ERROR = 1 / 256
_SHIFT = 52 - 7
_BIAS = 1023 << 7
_BUCKETS = 64 << 7
_HELD = 16_384

I64 = npt.NDArray[np.int64]


class Histogram:
    """Latency in ns of the samples of one flow, in arrival order.

    Samples are held back and counted many at once. Jitter is the mean of the absolute value of RFC 3393's
    IP packet delay variation, its selection function being successive samples in arrival order: not RFC 3550's
    smoothed estimate, and not the delay beyond the minimum (RFC 5481's PDV), which the percentiles show.

    Attributes:
        negative: samples below zero, counted as zero: the clocks of sender and receiver disagree.
    """

    def __init__(self) -> None:
        self._counts: I64 = np.zeros(_BUCKETS, np.int64)
        self._held: I64 = np.zeros(_HELD, np.int64)
        self._used = 0
        self._samples = self._sum = self._steps = self._step_sum = 0
        self._min, self._max = np.iinfo(np.int64).max, 0
        self._last: int | None = None
        self.negative = 0

    def add(self, latencies_ns: I64) -> None:
        """Take samples."""
        while len(latencies_ns):
            part = latencies_ns[: _HELD - self._used]
            self._held[self._used : self._used + len(part)] = part
            self._used += len(part)
            latencies_ns = latencies_ns[len(part) :]
            if self._used == _HELD:
                self._count()

    def _count(self) -> None:
        values = self._held[: self._used]
        if not self._used:
            return
        self.negative += int((values < 0).sum())
        values = np.maximum(values, 0)
        buckets = (np.maximum(values, 1).astype(np.float64).view(np.int64) >> _SHIFT) - _BIAS
        self._counts += np.bincount(buckets, minlength=_BUCKETS)
        joined = values if self._last is None else np.r_[self._last, values]
        self._step_sum += int(np.abs(np.diff(joined)).sum())
        self._steps += len(joined) - 1
        self._samples += self._used
        self._sum += int(values.sum())
        self._min, self._max = min(self._min, int(values.min())), max(self._max, int(values.max()))
        self._last = int(values[-1])
        self._used = 0

    def merge(self, other: Histogram) -> None:
        """Add another's samples; the step between the two is no jitter."""
        self._count()
        other._count()
        self._counts += other._counts
        self._samples += other._samples
        self._sum += other._sum
        self._steps += other._steps
        self._step_sum += other._step_sum
        self._min, self._max = min(self._min, other._min), max(self._max, other._max)
        self.negative += other.negative
        self._last = None

    def percentile(self, percentile: float) -> float:
        """Return the middle of the bucket in which `percentile` per cent of the samples have been seen, in ns."""
        self._count()
        rank = max(1, int(np.ceil(self._samples * percentile / 100)))
        bucket = int(np.searchsorted(np.cumsum(self._counts), rank))
        low, high = ((np.array([bucket, bucket + 1]) + _BIAS) << _SHIFT).view(np.float64)
        return float(min(max((low + high) / 2, self._min), self._max))

    def summary(self, direction: Direction) -> Latency | None:
        """Return the summary; None without samples. It has the median, and others with enough samples beyond."""
        self._count()
        if not self._samples:
            return None
        told = [p for p in PERCENTILES if p == 50.0 or self._samples >= samples_for(p)]
        return Latency(
            direction=direction,
            samples=self._samples,
            min_ns=float(self._min),
            mean_ns=self._sum / self._samples,
            max_ns=float(self._max),
            percentiles_ns={p: self.percentile(p) for p in told},
            jitter_ns=self._step_sum / self._steps if self._steps else 0.0,
        )
