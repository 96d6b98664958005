"""Settings of the network cards that frames go through."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_nfv.hosts.tuning.home import own
from pytest_nfv.hosts.tuning.link_knobs import OFFLOADS, LinkKnob
from pytest_nfv.hosts.tuning.protocol import Scope, Step
from pytest_nfv.hosts.tuning.words import on_or_off


class Offloads:
    """`offloads`: TSO and GSO `on` or `off`."""

    name = "offloads"

    def steps(self, value: str, scope: Scope) -> Iterator[Step]:
        """Yield both, of each interface."""
        word = "on" if on_or_off(self.name, value) else "off"
        for interface in scope.interfaces:
            for offload in OFFLOADS:
                yield Step(LinkKnob(offload, interface, own()), word)


class FlowControl:
    """`flow-control`: pause frames (IEEE 802.3 annex 31B) both ways, `on` or `off`."""

    name = "flow-control"

    def steps(self, value: str, scope: Scope) -> Iterator[Step]:
        """Yield it of each interface; what is switched off is not negotiated either."""
        word = "on" if on_or_off(self.name, value) else "off"
        for interface in scope.interfaces:
            knob = LinkKnob("pause", interface, own())
            negotiated = knob.read().split()[0] if word == "on" else "autoneg=off"
            yield Step(knob, f"{negotiated} rx={word} tx={word}")


class AutoNegotiation:
    """`auto-negotiation`: `off` keeps the speed and duplex of now, `on` takes what the far end offers, too."""

    name = "auto-negotiation"

    def steps(self, value: str, scope: Scope) -> Iterator[Step]:
        """Yield it of each interface that is set otherwise."""
        on = on_or_off(self.name, value)
        for interface in scope.interfaces:
            knob = LinkKnob("link", interface, own())
            if knob.read().startswith("on ") != on:
                yield Step(knob, knob.switched(on))
