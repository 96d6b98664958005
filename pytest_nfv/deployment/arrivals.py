"""What the frames of an offer look like when they come out of a switch that rewrites them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pytest_nfv.model.offer import FlowOffer, Offer, Shape


def as_they_arrive(offer: Offer, forwarded: Callable[[bytes], bytes]) -> Offer:
    """Return `offer` with what is to be expected of each of its frames.

    Args:
        offer: frames as they are sent.
        forwarded: what becomes of one on its way (`VSwitchDriver.forwarded`).

    Raises:
        ConfigurationError: the switch cannot tell what becomes of such a frame.
    """
    return replace(offer, flows=tuple(_of_flow(flow, forwarded) for flow in offer.flows))


def _of_flow(flow: FlowOffer, forwarded: Callable[[bytes], bytes]) -> FlowOffer:
    others = tuple(Shape(one.template, _expected(one.template, forwarded)) for one in flow.others)
    return replace(flow, expected=_expected(flow.template, forwarded), others=others)


def _expected(template: str, forwarded: Callable[[bytes], bytes]) -> str:
    arrived = forwarded(bytes.fromhex(template)).hex()
    return "" if arrived == template else arrived
