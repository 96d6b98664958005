"""Frame size mixes: sizes and how often each comes, as values; from code, a file, or those that ship here."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.units import WIRE_OVERHEAD_OCTETS, FrameSize

PERIOD = 1024
"""Frames after which a mix comes round: a power of two, which divides the slots of rings."""
_SEED = 2544
_PROFILES = Path(__file__).parent.parent / "profiles"


@dataclass(frozen=True)
class Mix:
    """Frame sizes and their weights.

    Attributes:
        name: what texts call it.
        sizes: octets with FCS, each once.
        weights: how often each comes, relative to the others.
    """

    name: str
    sizes: tuple[int, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        what = f"mix {self.name!r}"
        if not isinstance(self.name, str) or not self.name:
            raise ConfigurationError(f"mix name {self.name!r}: accepted: a text")
        if not self.sizes or len(self.sizes) != len(self.weights):
            raise ConfigurationError(
                f"{what}: {len(self.sizes)} sizes, {len(self.weights)} weights: accepted: one weight for each size"
            )
        for size, weight in zip(self.sizes, self.weights, strict=True):
            try:
                FrameSize(size)
            except ConfigurationError as error:
                raise ConfigurationError(f"{what}: {error}") from error
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
                raise ConfigurationError(f"{what}: weight {weight!r} of {size} B: accepted: a number above 0")
        if len(set(self.sizes)) < len(self.sizes):
            raise ConfigurationError(f"{what}: sizes {self.sizes}: accepted: each size once")
        for size, count in zip(self.sizes, self.counts, strict=True):
            if not count:
                raise ConfigurationError(
                    f"{what}: the weight of {size} B is too small: it gets no place among {PERIOD:,} frames; "
                    f"accepted: a share from about 1 in {2 * PERIOD:,} on"
                )

    @classmethod
    def of(cls, value: Mix | Mapping[int, float] | str | Path) -> Mix:
        """Take a mix, sizes with their weights, the name of one that ships here, or the path of a TOML file.

        Raises:
            ConfigurationError: no such mix; the file cannot be read, naming its line.
        """
        if isinstance(value, Mix):
            return value
        if isinstance(value, Mapping):
            name = "/".join(map(str, value)) + " B as " + ":".join(f"{weight}" for weight in value.values())
            return cls(name, tuple(value), tuple(value.values()))
        if isinstance(value, str) and value in profiles():
            return _read(_PROFILES / f"{value}.toml")
        path = Path(value)
        if path.suffix != ".toml":
            raise ConfigurationError(
                f"frame size mix {str(value)!r}: accepted: {', '.join(profiles())}, or the path of a .toml file"
            )
        return _read(path)

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """How many frames of a cycle have each size: the weights' shares, rounded by largest remainder."""
        total = sum(self.weights)
        shares = [PERIOD * weight / total for weight in self.weights]
        counts = [int(share) for share in shares]
        by_rest = sorted(range(len(shares)), key=lambda place: (counts[place] - shares[place], place))
        for place in by_rest[: PERIOD - sum(counts)]:
            counts[place] += 1
        return tuple(counts)

    @cached_property
    def cycle(self) -> tuple[int, ...]:
        """The places in `sizes` of a cycle's frames, in their order; the same for equal mixes."""
        places = [place for place, count in enumerate(self.counts) for _ in range(count)]
        random.Random(_SEED).shuffle(places)
        return tuple(places)

    @property
    def mean_octets(self) -> float:
        """Mean frame with FCS, of what is sent."""
        return sum(size * count for size, count in zip(self.sizes, self.counts, strict=True)) / PERIOD

    @property
    def octets(self) -> int:
        """The mean as a whole number of octets, where one number must do."""
        return round(self.mean_octets)

    @property
    def wire_bits(self) -> float:
        """Bits of link time that a frame takes on average (L1)."""
        return (self.mean_octets + WIRE_OVERHEAD_OCTETS) * 8

    @property
    def bits(self) -> float:
        """Bits of a frame on average (L2)."""
        return self.mean_octets * 8

    def __str__(self) -> str:
        return f"{self.name} (mean {self.octets} B)"


Sizes: TypeAlias = FrameSize | Mix
"""One frame size, or several."""


def sizes_of(value: Sizes | int | str | Path) -> Sizes:
    """Take a frame size, a mix, or the text of either.

    Raises:
        ConfigurationError: neither.
    """
    if isinstance(value, Mix | Path):
        return Mix.of(value)
    if isinstance(value, str) and not value.strip().isdecimal():
        return Mix.of(value.strip())
    return FrameSize.of(value)


def profiles() -> tuple[str, ...]:
    """Return the names of the mixes that ship here."""
    return tuple(sorted(path.stem for path in _PROFILES.glob("*.toml")))


def _read(path: Path) -> Mix:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"frame size mix {path}: cannot be read: {error}") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"frame size mix {path}: not TOML: {error}") from error
    lines = [
        number for number, line in enumerate(text.splitlines(), 1) if line.split("#")[0].strip() == "[[frame]]"
    ]
    _accept(f"frame size mix {path}", data, {"name", "frame"})
    frames = data.get("frame")
    if not isinstance(frames, list) or not frames:
        raise ConfigurationError(f"frame size mix {path}: accepted: at least one table [[frame]]")
    pairs = []
    for number, frame in enumerate(frames):
        line = f", line {lines[number]}" if number < len(lines) else ""
        where = f"frame size mix {path}{line}"
        if not isinstance(frame, dict):
            raise ConfigurationError(f"{where}: accepted: a table [[frame]] with octets and weight")
        _accept(where, frame, {"octets", "weight"})
        pairs.append(_pair(where, frame))
    name = data.get("name", path.stem)
    try:
        return Mix(name, tuple(size for size, _ in pairs), tuple(weight for _, weight in pairs))
    except ConfigurationError as error:
        raise ConfigurationError(f"frame size mix {path}: {error}") from error


def _pair(where: str, frame: Mapping[str, Any]) -> tuple[int, float]:
    for key in ("octets", "weight"):
        if key not in frame:
            raise ConfigurationError(f"{where}: {key} is missing; accepted: octets and weight")
    octets, weight = frame["octets"], frame["weight"]
    try:
        Mix("frame", (octets,), (weight,))
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {str(error).removeprefix('mix ').partition(': ')[2]}") from error
    return octets, weight


def _accept(where: str, table: Mapping[str, Any], known: set[str]) -> None:
    for key in table:
        if key not in known:
            raise ConfigurationError(f"{where}: unknown key {key!r}; accepted: {', '.join(sorted(known))}")
