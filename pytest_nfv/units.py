"""Frame sizes, packet rates, bit rates (L1 and L2), links and durations, as values that refuse to mix.

A frame is counted as RFC 2544 counts it: from destination MAC to FCS, both included. On the wire each
frame also takes 7 octets of preamble, 1 of start delimiter and 12 of inter-frame gap (IEEE 802.3), so
that 10GbE carries 14,880,952 frames of 64 octets a second, in each direction of each port.

>>> line_rate("10GbE", 64)
PacketRate(pps=14880952.0)
>>> print(line_rate("10GbE", 64))
14.881 Mpps (100 % of 10GbE)
>>> 400 * kpps >= line_rate("100MbE", 64)
True
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import total_ordering
from typing import Any, Literal, Protocol, Self, TypeAlias, overload

from pytest_nfv.errors import UnitError

FCS_OCTETS = 4
WIRE_OVERHEAD_OCTETS = 20
FRAME_SIZE_MIN = 64
FRAME_SIZE_MAX = 9600  # jumbo frames of common NICs; each port narrows it by its MTU

Number: TypeAlias = int | float
Layer: TypeAlias = Literal["L1", "L2"]

_SI = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def _checked(what: str, value: object, *, zero: bool = True) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnitError(f"{what}: {value!r} is not a number")
    number = float(value)
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise UnitError(f"{what}: {value!r}; accepted: a finite number {'>= 0' if zero else '> 0'}")
    return number


def _scaled(value: float, unit: str, digits: int = 3) -> str:
    for prefix, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= factor * 0.99995:
            return f"{value / factor:.{digits}f}".rstrip("0").rstrip(".") + f" {prefix}{unit}"
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") + f" {unit}"


class OnWire(Protocol):
    """What takes link time: a frame size, or a mix of them on average."""

    @property
    def wire_bits(self) -> float:
        """Bits of link time that one frame takes (L1)."""
        ...

    @property
    def bits(self) -> float:
        """Bits of the frame itself (L2)."""
        ...


def _on_wire(value: Any) -> OnWire:
    """Take a mix as it is; all else must be a frame size."""
    sized: OnWire = value if hasattr(value, "wire_bits") else FrameSize.of(value)
    return sized


@dataclass(frozen=True, slots=True, order=True)
class FrameSize:
    """Octets of a frame, FCS included (RFC 2544 section 9)."""

    octets: int

    def __post_init__(self) -> None:
        if isinstance(self.octets, bool) or not isinstance(self.octets, int):
            raise UnitError(f"frame size {self.octets!r}: accepted: a whole number of octets with FCS")
        if not FRAME_SIZE_MIN <= self.octets <= FRAME_SIZE_MAX:
            raise UnitError(
                f"frame size {self.octets}: accepted: {FRAME_SIZE_MIN} to {FRAME_SIZE_MAX} octets "
                "with FCS (and at most the port's MTU + 18)"
            )

    @classmethod
    def of(cls, value: FrameSize | int | str) -> FrameSize:
        """Take a frame size, a whole number, or its text (`"64"`)."""
        if isinstance(value, FrameSize):
            return value
        if isinstance(value, str):
            if not value.strip().isdecimal():
                raise UnitError(f"frame size {value!r}: accepted: a whole number of octets with FCS")
            value = int(value)
        return cls(value)

    @property
    def wire_bits(self) -> int:
        """Bits of link time that one frame takes (L1)."""
        return (self.octets + WIRE_OVERHEAD_OCTETS) * 8

    @property
    def bits(self) -> int:
        """Bits of the frame itself (L2)."""
        return self.octets * 8

    def __int__(self) -> int:
        return self.octets

    def __str__(self) -> str:
        return f"{self.octets} B"


@dataclass(frozen=True, slots=True)
class Link:
    """An Ethernet link by its nominal L1 bit rate per direction: `10GbE`, `100MbE`, `2.5GbE`."""

    l1_bps: float

    def __post_init__(self) -> None:
        _checked("link", self.l1_bps, zero=False)

    @classmethod
    def of(cls, value: Link | str) -> Link:
        """Take a link or its name.

        Raises:
            UnitError: the name is not `<number>GbE` or `<number>MbE`, or the speed is zero.
        """
        if isinstance(value, Link):
            return value
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([MG])(?:bE|bps)\s*", str(value))
        if match is None:
            raise UnitError(f"link {value!r}: accepted: a speed such as 100MbE, 1GbE, 10GbE, 2.5GbE")
        speed = float(match[1])
        if speed == 0:
            raise UnitError(f"link {value!r}: the speed is zero; accepted: a speed such as 10GbE")
        return cls(speed * _SI[match[2]])

    def __str__(self) -> str:
        prefix, factor = ("G", 1e9) if self.l1_bps >= 1e9 else ("M", 1e6)
        return f"{self.l1_bps / factor:g}{prefix}bE"


@total_ordering
class _Quantity:
    """Arithmetic within one unit; anything else is a `UnitError`."""

    __slots__ = ()

    def _value(self) -> float:
        raise NotImplementedError  # each subclass gives its one number

    def _like(self, value: float) -> Self:
        raise NotImplementedError

    def _unit(self) -> str:
        return type(self).__name__

    def _same(self, other: object, verb: str) -> float:
        if isinstance(other, _Quantity) and other._unit() == self._unit():
            return other._value()
        unit = other._unit() if isinstance(other, _Quantity) else type(other).__name__
        raise UnitError(f"cannot {verb} {self!r} and {other!r}: {self._unit()} is not {unit}")

    def __add__(self, other: Self) -> Self:
        return self._like(self._value() + self._same(other, "add"))

    def __sub__(self, other: Self) -> Self:
        return self._like(self._value() - self._same(other, "subtract"))

    def __mul__(self, factor: Number) -> Self:
        if isinstance(factor, bool) or not isinstance(factor, int | float):
            raise UnitError(f"cannot multiply {self!r} by {factor!r}: accepted: a plain number")
        return self._like(self._value() * factor)

    __rmul__ = __mul__

    @overload
    def __truediv__(self, other: Number) -> Self: ...
    @overload
    def __truediv__(self, other: Self) -> float: ...
    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, int | float) and not isinstance(other, bool):
            return self._like(self._value() / other)
        return self._value() / self._same(other, "divide")

    def __lt__(self, other: Self) -> bool:
        if getattr(other, "compares_with_rates", False):
            return NotImplemented  # a measured rate knows how: `400 * kpps <= throughput`
        return self._value() < self._same(other, "compare")

    def __le__(self, other: Self) -> bool:
        if getattr(other, "compares_with_rates", False):
            return NotImplemented
        return self._value() <= self._same(other, "compare")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Quantity):
            return NotImplemented
        return self._value() == self._same(other, "compare")

    def __hash__(self) -> int:
        return hash((self._unit(), self._value()))


@dataclass(frozen=True, slots=True, eq=False)
class PacketRate(_Quantity):
    """Frames a second, per direction of one port unless the name that holds it says otherwise.

    Attributes:
        pps: frames a second.
        link: the link that this rate is spoken of with, for texts only.
        frame_size: the frame size, or mix of sizes, that goes with `link`, for texts only.
    """

    pps: float
    link: Link | None = field(default=None, repr=False)
    frame_size: OnWire | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pps", _checked("packet rate", self.pps))

    @classmethod
    def of(cls, value: PacketRate | str) -> PacketRate:
        """Take a rate or its text: `12.5Mpps`, `400 kpps`, `100pps`."""
        if isinstance(value, PacketRate):
            return value
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?(?:e\d+)?)\s*([kKMG]?)pps\s*", str(value))
        if match is None:
            raise UnitError(f"packet rate {value!r}: accepted: such as 100pps, 400kpps, 12.5Mpps")
        return cls(float(match[1]) * _SI[match[2]])

    def _value(self) -> float:
        return self.pps

    def _like(self, value: float) -> PacketRate:
        return PacketRate(value, self.link, self.frame_size)

    def on(self, link: Link | str, frame_size: OnWire | int) -> PacketRate:
        """Return the same rate, to be spoken of as a share of `link` at `frame_size`."""
        return PacketRate(self.pps, Link.of(link), _on_wire(frame_size))

    def l1(self, frame_size: OnWire | int) -> BitRate:
        """Return the bit rate on the wire, preamble and gap included."""
        return BitRate(self.pps * _on_wire(frame_size).wire_bits, "L1")

    def l2(self, frame_size: OnWire | int) -> BitRate:
        """Return the bit rate of the frames themselves, FCS included."""
        return BitRate(self.pps * _on_wire(frame_size).bits, "L2")

    @property
    def link_share(self) -> float | None:
        """Share of the link's line rate (1.0 is line rate), where a link is known."""
        if self.link is None or self.frame_size is None:
            return None
        return self.pps / line_rate(self.link, self.frame_size).pps

    def __str__(self) -> str:
        share = self.link_share
        text = _scaled(self.pps, "pps")
        return text if share is None else f"{text} ({share * 100:.3g} % of {self.link})"


@dataclass(frozen=True, slots=True, eq=False)
class BitRate(_Quantity):
    """Bits a second on a named layer: L1 counts preamble and gap, L2 the frame with FCS."""

    bps: float
    layer: Layer

    def __post_init__(self) -> None:
        object.__setattr__(self, "bps", _checked("bit rate", self.bps))
        if self.layer not in ("L1", "L2"):
            raise UnitError(f"bit rate layer {self.layer!r}: accepted: 'L1', 'L2'")

    def _value(self) -> float:
        return self.bps

    def _like(self, value: float) -> BitRate:
        return BitRate(value, self.layer)

    def _unit(self) -> str:
        return f"BitRate on {self.layer}"

    def packets(self, frame_size: OnWire | int) -> PacketRate:
        """Return the packet rate that fills this bit rate with frames of `frame_size`."""
        size = _on_wire(frame_size)
        return PacketRate(self.bps / (size.wire_bits if self.layer == "L1" else size.bits))

    def __str__(self) -> str:
        return f"{_scaled(self.bps, 'b/s')} on {self.layer}"


@dataclass(frozen=True, slots=True, eq=False)
class Duration(_Quantity):
    """A span of time in seconds."""

    s: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "s", _checked("duration", self.s))

    @classmethod
    def of(cls, value: Duration | str) -> Duration:
        """Take a duration or its text: `1s`, `500ms`, `2.5 us`, `1min`."""
        if isinstance(value, Duration):
            return value
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(min|s|ms|us|ns)\s*", str(value))
        if match is None:
            raise UnitError(f"duration {value!r}: accepted: such as 60s, 500ms, 20us, 1min")
        factor = {"min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
        return cls(float(match[1]) * factor[match[2]])

    def _value(self) -> float:
        return self.s

    def _like(self, value: float) -> Duration:
        return Duration(value)

    def __str__(self) -> str:
        for unit, factor in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
            if self.s >= factor or self.s == 0:
                return f"{self.s / factor:.4g} {unit}"
        return f"{self.s / 1e-9:.4g} ns"


@dataclass(frozen=True, slots=True, eq=False)
class Frequency(_Quantity):
    """A clock frequency in Hz: that of a processor core."""

    hz: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "hz", _checked("frequency", self.hz, zero=False))

    @classmethod
    def of(cls, value: Frequency | str) -> Frequency:
        """Take a frequency or its text: `1.2GHz`, `1200 MHz`."""
        if isinstance(value, Frequency):
            return value
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kMG])Hz\s*", str(value))
        if match is None or not float(match[1]):
            raise UnitError(f"frequency {value!r}: accepted: such as 1.2GHz, 1600MHz, 2400000kHz")
        return cls(float(match[1]) * _SI[match[2]])

    @property
    def khz(self) -> int:
        """In whole kHz, as cpufreq counts."""
        return round(self.hz / 1e3)

    def _value(self) -> float:
        return self.hz

    def _like(self, value: float) -> Frequency:
        return Frequency(value)

    def __str__(self) -> str:
        return _scaled(self.hz, "Hz")


pps = PacketRate(1.0)
kpps = PacketRate(1e3)
Mpps = PacketRate(1e6)
Gbps_l1 = BitRate(1e9, "L1")
Gbps_l2 = BitRate(1e9, "L2")
Mbps_l1 = BitRate(1e6, "L1")
Mbps_l2 = BitRate(1e6, "L2")
s = Duration(1.0)
ms = Duration(1e-3)
us = Duration(1e-6)
GHz = Frequency(1e9)
MHz = Frequency(1e6)


def line_rate(link: Link | str, frame_size: OnWire | int) -> PacketRate:
    """Return the most whole frames a second that `link` carries in one direction; of a mix, by its mean frame.

    Raises:
        UnitError: an unknown link, or a frame size out of range.

    Source: IEEE 802.3 framing; RFC 2544 section 20 calls it the maximum frame rate.
    """
    the_link, size = Link.of(link), _on_wire(frame_size)
    return PacketRate(float(math.floor(the_link.l1_bps / size.wire_bits)), the_link, size)


def ratio(text: str | Number) -> float:
    """Parse a ratio between 0 and 1: `0.005`, `0.5%`."""
    raw = str(text).strip()
    percent = raw.endswith("%")
    try:
        value = float(raw.removesuffix("%")) / (100 if percent else 1)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise UnitError(f"ratio {text!r}: accepted: a share from 0 to below 1, such as 0.005 or 0.5%")
    return value
