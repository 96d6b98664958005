"""What the frames of an offer look like when they come out of switches and VNFs that rewrite them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from pytest_nfv.model.offer import FlowOffer, Offer, Shape
from pytest_nfv.model.trial import Direction


def as_they_arrive(offer: Offer, arriving: Callable[[Direction, bytes], bytes]) -> Offer:
    """Return `offer` with what is to be expected of each of its frames.

    Args:
        offer: frames as they are sent.
        arriving: what becomes of one of a direction on its way (`Deployment.arriving`).

    Raises:
        ConfigurationError: the switch cannot tell what becomes of such a frame.
    """
    return replace(offer, flows=tuple(_of_flow(flow, partial(arriving, flow.direction)) for flow in offer.flows))


def _of_flow(flow: FlowOffer, forwarded: Callable[[bytes], bytes]) -> FlowOffer:
    others = tuple(Shape(one.template, _expected(one.template, forwarded)) for one in flow.others)
    return replace(flow, expected=_expected(flow.template, forwarded), others=others)


def _expected(template: str, forwarded: Callable[[bytes], bytes]) -> str:
    arrived = forwarded(bytes.fromhex(template)).hex()
    return "" if arrived == template else arrived
