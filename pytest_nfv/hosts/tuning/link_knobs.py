"""Settings of a network card as texts, by the ioctl of ethtool(8): offloads, flow control, auto-negotiation."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from errno import EINVAL, EOPNOTSUPP

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts.ethtool import exchange, read_offload, set_offload
from pytest_nfv.hosts.tuning.home import in_namespace

Exchange = Callable[[str, bytes], bytes]

OFFLOADS = ("tso", "gso")
# linux/ethtool.h: (get, set) of struct ethtool_pauseparam and of struct ethtool_link_settings
_GET_PAUSE, _SET_PAUSE = 0x12, 0x13
_GET_LINK, _SET_LINK = 0x4C, 0x4D
# cmd, speed, duplex, port, phy, autoneg, mdio support, eth_tp_mdix, its control, number of words of a mask
_LINK = struct.Struct("=IIBBBBBBBb")
_LINK_HEAD = 48  # what the masks follow: supported, advertised, advertised by the partner
_WORD = 4


@dataclass(frozen=True, slots=True)
class LinkKnob:
    """One setting of an interface.

    Attributes:
        kind: of `LINK_KNOBS`.
        home: inode of the network namespace that it is in; 0 is that of whoever asks.
        exchange: hands the driver a structure.
    """

    kind: str
    interface: str
    home: int = 0
    exchange: Exchange = exchange

    @classmethod
    def of(cls, kind: str, where: str) -> LinkKnob:
        """Return what a key names, `eth1@INODE` behind its kind."""
        interface, _, home = where.partition("@")
        return cls(kind, interface, int(home or 0))

    @property
    def key(self) -> str:
        """`tso:eth1@4026531840`."""
        return f"{self.kind}:{self.interface}" + (f"@{self.home}" if self.home else "")

    def read(self) -> str:
        """Return it as text; the forms are those of `LINK_KNOBS`."""
        with in_namespace(self.home):
            return LINK_KNOBS[self.kind][0](self)

    def write(self, value: str) -> None:
        """Change it to a text of the same form."""
        with in_namespace(self.home):
            LINK_KNOBS[self.kind][1](self, value)

    def switched(self, on: bool) -> str:
        """Return the text of kind `link` with auto-negotiation on or off, all else as it is."""
        settings = _link_settings(self)
        head = _LINK.unpack_from(settings)
        return _told_link(settings, head, on)


def _read_offload(knob: LinkKnob) -> str:
    return _word(read_offload(knob.interface, knob.kind))


def _write_offload(knob: LinkKnob, value: str) -> None:
    try:
        set_offload(knob.interface, knob.kind, value == "on")
    except DeploymentError as error:
        cause = error.__cause__
        raise cause if isinstance(cause, OSError) else OSError(EINVAL, str(error)) from error


def _read_pause(knob: LinkKnob) -> str:
    words = struct.unpack("=4I", knob.exchange(knob.interface, struct.pack("=4I", _GET_PAUSE, 0, 0, 0)))
    return " ".join(f"{name}={_word(on)}" for name, on in zip(("autoneg", "rx", "tx"), words[1:], strict=True))


def _write_pause(knob: LinkKnob, value: str) -> None:
    flags = [word.endswith("=on") for word in value.split()]
    knob.exchange(knob.interface, struct.pack("=4I", _SET_PAUSE, *flags))


def _read_link(knob: LinkKnob) -> str:
    settings = _link_settings(knob)
    head = _LINK.unpack_from(settings)
    return _told_link(settings, head, bool(head[5]))


def _told_link(settings: bytes, head: tuple[int, ...], on: bool) -> str:
    _, speed, duplex, *_, words = head
    if not on:
        return f"off speed={speed} duplex={duplex}"
    start = _LINK_HEAD + words * _WORD
    supported, advertised = (settings[one : one + words * _WORD].hex() for one in (_LINK_HEAD, start))
    return f"on advertising={advertised if int(advertised, 16) else supported}"


def _write_link(knob: LinkKnob, value: str) -> None:
    settings = bytearray(_link_settings(knob))
    head = list(_LINK.unpack_from(settings))
    head[0] = _SET_LINK
    word, *rest = value.split()
    said = dict(one.split("=") for one in rest)
    head[5] = int(word == "on")
    if word == "on":
        start = _LINK_HEAD + head[-1] * _WORD
        mask = bytes.fromhex(said["advertising"])
        settings[start : start + len(mask)] = mask
    else:
        head[1], head[2] = int(said["speed"]), int(said["duplex"])
    _LINK.pack_into(settings, 0, *head)
    knob.exchange(knob.interface, bytes(settings))


def _link_settings(knob: LinkKnob) -> bytes:
    """Ask twice, as the ioctl wants it: first how many words a mask has, then for all of it."""
    size = _LINK_HEAD
    answer = knob.exchange(knob.interface, _LINK.pack(_GET_LINK, *[0] * 9).ljust(size, b"\0"))
    words = -_LINK.unpack_from(answer)[-1]
    if words <= 0:
        raise OSError(EOPNOTSUPP, "the driver does not tell its link settings")
    request = _LINK.pack(_GET_LINK, *[0] * 8, words).ljust(size + 3 * words * _WORD, b"\0")
    return knob.exchange(knob.interface, request)


def _word(on: object) -> str:
    return "on" if on else "off"


LINK_KNOBS: dict[str, tuple[Callable[[LinkKnob], str], Callable[[LinkKnob, str], None]]] = {
    **dict.fromkeys(OFFLOADS, (_read_offload, _write_offload)),
    "pause": (_read_pause, _write_pause),
    "link": (_read_link, _write_link),
}
"""Kind to how it is read and written: `on` or `off`; `autoneg=on rx=on tx=on`; `on advertising=HEX` or
`off speed=MBITS duplex=1`."""
