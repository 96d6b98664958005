"""What a port sends, over and over: a table of templates, and octets that vary more often than they do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pytest_nfv.rings.port import U8

I64 = npt.NDArray[np.int64]
Rows = npt.NDArray[np.void]
"""One element a row: numpy copies such an element as a whole."""


def as_rows(octets: U8) -> Rows:
    """Return shape (n, w) as shape (n,) of w octets each."""
    rows: Rows = np.ascontiguousarray(octets).view(f"V{octets.shape[1]}")[:, 0]
    return rows


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Frame i is template i % P, with row i % N of `varied` written into it.

    A cycle of sizes is P templates; a million 5-tuples are one template and a million rows.

    Attributes:
        templates: shape (P, longest), frames without FCS. A frame ends where its row ends; before it are zeros.
        octets: shape (P,), their lengths.
        varied: shape (N,), or None.
        at: shape (P,), where in each frame a row of `varied` goes, counted from the frame's first octet.
        rewrite: every frame is written whole each time, as by an application that makes each anew.
    """

    templates: U8
    octets: I64
    varied: Rows | None = None
    at: I64 = field(default_factory=lambda: np.zeros(1, np.int64))
    rewrite: bool = False

    @classmethod
    def of(cls, frames: Frames | U8) -> Frames:
        """Take a table, or templates of one length, shape (P, octets)."""
        if isinstance(frames, Frames):
            return frames
        return cls(frames.copy(), np.full(len(frames), frames.shape[1], np.int64))

    @classmethod
    def mixed(cls, frames: Sequence[U8], cycle: Sequence[int] | None = None) -> Frames:
        """Return frames of different lengths, in the order that the numbers in `cycle` say."""
        longest = max(map(len, frames))
        each: U8 = np.zeros((len(frames), longest), np.uint8)
        for row, frame in zip(each, frames, strict=True):
            row[longest - len(frame) :] = frame
        order = np.arange(len(frames)) if cycle is None else np.asarray(cycle, np.int64)
        return cls(each[order], np.array([len(frame) for frame in frames], np.int64)[order])

    def varying(self, rows: U8, at: I64) -> Frames:
        """Return the same with rows, shape (N, w), written at `at`, shape (P,)."""
        return replace(self, varied=as_rows(rows), at=at)

    @property
    def period(self) -> int:
        """Templates, P."""
        return len(self.templates)

    @property
    def longest(self) -> int:
        """Octets of the longest frame."""
        return int(self.templates.shape[1])

    @property
    def alike(self) -> bool:
        """Whether all have one length."""
        return bool((self.octets == self.longest).all())

    def one_after(self) -> tuple[U8, ...]:
        """Return the frames of one cycle of templates, unvaried, each with its own length."""
        return tuple(
            row[self.longest - octets :] for row, octets in zip(self.templates, self.octets.tolist(), strict=True)
        )

    def behind(self, header: U8) -> Frames:
        """Return the frames with `header` before each."""
        lead = len(header)
        wide: U8 = np.zeros((self.period, lead + self.longest), np.uint8)
        wide[:, lead:] = self.templates
        first = self.longest - self.octets
        wide[np.arange(self.period)[:, None], first[:, None] + np.arange(lead)] = header
        return replace(self, templates=wide, octets=self.octets + lead, at=self.at + lead)

    def every(self, first: int, step: int) -> Frames:
        """Return frames `first`, `first + step`, ... as a table of their own."""
        period = self.period // math.gcd(self.period, step)
        rows = (first + step * np.arange(period)) % self.period
        if self.varied is None:
            return replace(self, templates=self.templates[rows], octets=self.octets[rows])
        count = len(self.varied)
        some = (first + step * np.arange(count // math.gcd(count, step))) % count
        return replace(
            self,
            templates=self.templates[rows],
            octets=self.octets[rows],
            varied=self.varied[some],
            at=self.at[rows],
        )


def in_turn(tables: Sequence[Frames]) -> Frames:
    """Return one table of several that take turns, frame by frame; they have equal P and N."""
    if len(tables) == 1:
        return tables[0]
    longest = max(table.longest for table in tables)
    period, turns = tables[0].period, len(tables)
    templates: U8 = np.zeros((period, turns, longest), np.uint8)
    for turn, table in enumerate(tables):
        templates[:, turn, longest - table.longest :] = table.templates
    templates = templates.reshape(period * turns, longest)
    octets = np.stack([table.octets for table in tables], axis=1).reshape(-1)
    varied = [table.varied for table in tables if table.varied is not None]
    if not varied:
        return replace(tables[0], templates=templates, octets=octets)
    at = np.stack([table.at for table in tables], axis=1).reshape(-1)
    rows = np.stack(varied, axis=1).reshape(-1)
    return replace(tables[0], templates=templates, octets=octets, varied=rows, at=at)


Prepared: TypeAlias = "Frames | U8"
"""What a port is given: a table, or templates of one length."""


def anywhere(rows: U8, width: int) -> Rows:
    """Return `width` octets from any octet of `rows` on, by its distance from the first, as one array.

    `rows` has steps of its own between rows, and at least `width` octets in each.
    """
    first: Any = rows[0, :width].view(f"V{width}")
    reach = (len(rows) - 1) * rows.strides[0] + rows.shape[1] - width + 1
    seen: Rows = np.lib.stride_tricks.as_strided(first, (reach,), (1,), writeable=rows.flags.writeable)
    return seen
