"""Parameters of the simulated device and generator, as the testbed `sim` takes them.

>>> Simulation.parse("capacity=12.5Mpps,noise=0.3%,burst_every=40s,generator=20Mpps,seed=7").noise
0.003
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Self

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.units import Duration, PacketRate, ratio


@dataclass(frozen=True, slots=True)
class Simulation:
    """A device that forwards up to its capacity, and a generator that may have a limit of its own.

    Attributes:
        capacity_pps: what the device forwards, aggregate over all directions.
        noise: standard deviation of the capacity from trial to trial, as a share of it.
        burst_every_s: mean interval between loss bursts (a Poisson process); None is never.
        burst_frames: frames that one burst loses.
        generator_pps: the most that the generator offers, per direction; None is any load.
        latency_s: one-way latency of a frame that meets an empty queue.
        seed: equal seeds give equal trials.
    """

    capacity_pps: float = 12.5e6
    noise: float = 0.0
    burst_every_s: float | None = None
    burst_frames: int = 1000
    generator_pps: float | None = None
    latency_s: float = 20e-6
    seed: int = 1

    def __post_init__(self) -> None:
        _positive("capacity_pps", self.capacity_pps)
        if not 0 <= self.noise < 1:
            raise ConfigurationError(f"simulation: noise {self.noise!r}: accepted: 0 to below 1")
        if self.burst_every_s is not None:
            _positive("burst_every_s", self.burst_every_s)
        _whole("burst_frames", self.burst_frames, least=1)
        if self.generator_pps is not None:
            _positive("generator_pps", self.generator_pps)
        if not 0 <= self.latency_s < float("inf"):
            raise ConfigurationError(f"simulation: latency_s {self.latency_s!r}: accepted: a finite number >= 0")
        _whole("seed", self.seed, least=0)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `key=value,key=value`; what is not named keeps its default.

        Raises:
            ConfigurationError: an unknown, repeated or malformed part; names it and what is accepted.
        """
        found: dict[str, str] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            key, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals:
                raise ConfigurationError(f"simulation {text!r}: {part!r}: accepted: key=value with {_accepted()}")
            if key in found:
                raise ConfigurationError(f"simulation {text!r}: {key} is given twice; accepted: once")
            found[key] = value
        return cls.of(found)

    @classmethod
    def of(cls, values: Mapping[str, str | int | float]) -> Self:
        """Take a table with the keys of `parse`, as a testbed file holds it.

        Raises:
            ConfigurationError: an unknown key or a malformed value; names both and what is accepted.
        """
        fields: dict[str, Any] = {}
        for key, value in values.items():
            if key not in _KEYS:
                raise ConfigurationError(f"simulation: unknown key {key!r}; accepted: {_accepted()}")
            field, read, _ = _KEYS[key]
            try:
                fields[field] = read(value)
            except ConfigurationError as error:
                raise ConfigurationError(f"simulation: {key} = {value!r}: {error}") from error
        return cls(**fields)

    def __str__(self) -> str:
        parts = [f"capacity={PacketRate(self.capacity_pps)}", f"noise={self.noise * 100:g}%"]
        if self.burst_every_s is not None:
            parts += [f"burst_every={Duration(self.burst_every_s)}", f"burst_frames={self.burst_frames}"]
        if self.generator_pps is not None:
            parts.append(f"generator={PacketRate(self.generator_pps)}")
        return ",".join([*parts, f"latency={Duration(self.latency_s)}", f"seed={self.seed}"])


def _positive(what: str, value: float) -> None:
    if not (isfinite(value) and value > 0):
        raise ConfigurationError(f"simulation: {what} {value!r}: accepted: a finite number > 0")


def _whole(what: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(f"simulation: {what} {value!r}: accepted: a whole number >= {least}")


def _rate_pps(value: object) -> float:
    rate = PacketRate.of(str(value)).pps
    if not rate:
        raise ConfigurationError("accepted: a packet rate above 0")
    return rate


def _span_s(value: object) -> float:
    return Duration.of(str(value)).s


def _interval_s(value: object) -> float:
    span = _span_s(value)
    if not span:
        raise ConfigurationError("accepted: a duration above 0")
    return span


def _share(value: object) -> float:
    if isinstance(value, bool):
        raise ConfigurationError("accepted: a share from 0 to below 1, such as 0.003 or 0.3%")
    return ratio(str(value))


def _number(value: object) -> int:
    if not str(value).isdecimal():
        raise ConfigurationError("accepted: a whole number")
    return int(str(value))


# key: (field, reader, an accepted form)
_KEYS: dict[str, tuple[str, Callable[[object], Any], str]] = {
    "capacity": ("capacity_pps", _rate_pps, "12.5Mpps"),
    "noise": ("noise", _share, "0.3%"),
    "burst_every": ("burst_every_s", _interval_s, "40s"),
    "burst_frames": ("burst_frames", _number, "1000"),
    "generator": ("generator_pps", _rate_pps, "20Mpps"),
    "latency": ("latency_s", _span_s, "20us"),
    "seed": ("seed", _number, "7"),
}


def _accepted() -> str:
    return ", ".join(f"{key}={form}" for key, (_, _, form) in _KEYS.items())
